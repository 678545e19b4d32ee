"""Compose files that want rights on a host, or to break what reads them: the corpus, by a name for each.

Of most the service `web` is written, to be put into `WHOLE`; the rest are whole files.
"""

from __future__ import annotations

import json

WHOLE = "services:\n  web: {image: berth/demo, %s}\nvolumes: {data: }\n"


def _bomb(levels: int, width: int) -> str:
    lines = ["x0: &x0 {a: b}"]
    for level in range(1, levels):
        lines.append(f"x{level}: &x{level} [{', '.join([f'*x{level - 1}'] * width)}]")
    return "\n".join([*(f"x-{line}" for line in lines), "services: {web: {image: berth/demo}}"])


SERVICES: dict[str, str] = {
    "privileged": "privileged: true",
    "privileged as text": "privileged: 'true'",
    "root of the host": "volumes: ['/:/host']",
    "the engine's socket": "volumes: ['/var/run/docker.sock:/var/run/docker.sock']",
    "the engine's socket read-only": "volumes: ['/run/docker.sock:/s:ro']",
    "a path by the long form": "volumes: [{type: bind, source: /etc, target: /x}]",
    "a path by a volume's source": "volumes: [{type: volume, source: /etc, target: /x}]",
    "a relative path": "volumes: ['./x:/x']",
    "a path that climbs": "volumes: ['../../etc:/x']",
    "a home folder": "volumes: ['~/.ssh:/x']",
    "a path of Windows": "volumes: ['C:\\\\:/x']",
    "a named pipe": "volumes: [{type: npipe, source: '\\\\.\\pipe\\docker_engine', target: /x}]",
    "propagation": "volumes: [{type: bind, source: /x, target: /x, bind: {propagation: shared}}]",
    "a path made on the host": "volumes: [{type: bind, source: /x, target: /x, bind: {create_host_path: true}}]",
    "a volume of nobody": "volumes: ['nobody:/x']",
    "another app's volume": "volumes: ['berth-a1-data:/x']",
    "a mount over /proc": "volumes: ['data:/proc']/..",
    "a mount over the root": "volumes: ['data:/']",
    "a mount that climbs to the root": "volumes: ['data:/x/..']",
    "a relative target": "volumes: ['data:x']",
    "an image as a mount": "volumes: [{type: image, source: x, target: /x}]",
    "a cluster volume": "volumes: [{type: cluster, source: x, target: /x}]",
    "labels of a relabelled path": "volumes: ['data:/x:Z']",
    "a device": "devices: ['/dev/sda:/dev/sda']",
    "the memory device": "devices: ['/dev/mem']",
    "a device by cdi": "devices: ['vendor.com/class=name']",
    "a device rule": "device_cgroup_rules: ['a *:* rwm']",
    "a capability": "cap_add: [SYS_ADMIN]",
    "all capabilities": "cap_add: [ALL]",
    "a harmless-looking capability": "cap_add: [NET_RAW]",
    "host network": "network_mode: host",
    "another container's network": "network_mode: 'container:x'",
    "another service's network": "network_mode: 'service:web'",
    "host processes": "pid: host",
    "another container's processes": "pid: 'container:x'",
    "host ipc": "ipc: host",
    "shareable ipc": "ipc: shareable",
    "host names": "uts: host",
    "host users": "userns_mode: host",
    "host control groups": "cgroup: host",
    "a parent control group": "cgroup_parent: /",
    "kernel settings": "sysctls: {kernel.core_pattern: '|/x'}",
    "kernel settings as a list": "sysctls: [net.ipv4.ip_forward=1]",
    "no seccomp": "security_opt: ['seccomp:unconfined']",
    "own seccomp": "security_opt: ['seccomp=./profile.json']",
    "no apparmor": "security_opt: ['apparmor=unconfined']",
    "no labels": "security_opt: ['label:disable']",
    "new privileges": "security_opt: ['no-new-privileges:false']",
    "unmasked paths": "security_opt: ['systempaths=unconfined']",
    "another runtime": "runtime: runc",
    "isolation": "isolation: process",
    "another's volumes": "volumes_from: ['container:x']",
    "the api's socket": "use_api_socket: true",
    "spared by the oom killer": "oom_kill_disable: true",
    "last for the oom killer": "oom_score_adj: -1000",
    "a name for the host": "extra_hosts: ['host.docker.internal:host-gateway']",
    "the metadata service by name": "extra_hosts: {metadata: 169.254.169.254}",
    "links to others": "external_links: [x]",
    "credentials": "credential_spec: {file: x.json}",
    "storage options": "storage_opt: {size: 1T}",
    "a low port": "ports: ['22:22']",
    "a port on an address of the host": "ports: ['127.0.0.1:8080:80']",
    "a port in host mode": "ports: [{target: 80, published: 80, mode: host}]",
    "very many ports": "ports: ['1024-65000:1024-65000']",
    "a log driver to anywhere": "logging: {driver: syslog, options: {syslog-address: 'tcp://10.0.0.1:1'}}",
    "a log without end": "logging: {driver: local, options: {max-size: '-1'}}",
    "an unlimited ulimit": "ulimits: {nproc: -1}",
    "an unknown ulimit": "ulimits: {rtprio: 99}",
    "no memory": "mem_limit: 0",
    "negative memory": "mem_limit: -1",
    "no processor": "cpus: 0",
    "endless processes": "pids_limit: -1",
    "too many replicas": "deploy: {replicas: 100000}",
    "an endless grace": "stop_grace_period: 9999999h",
    "berth's own label": "labels: {berth.cluster: x}",
    "a label as a list": "labels: ['berth.slot=x']",
    "an env file of the console": "env_file: /etc/shadow",
    "an env file that climbs": "env_file: ../../../../etc/passwd",
    "a secret that climbs": "secrets: [{source: x, target: ../../etc/passwd}]",
    "a config nobody gave": "configs: [/etc/shadow]",
    "a user with a shell": "user: '0; rm -rf /'",
    "a host name with a shell": "hostname: '$(id)'",
    "a host name with a path": "hostname: ../../x",
    "a folder with a NUL": 'working_dir: "/x\\0y"',
    "a signal with a shell": "stop_signal: 'KILL; id'",
    "a variable with a NUL": 'environment: {A: "x\\0y"}',
    "a build of the host's files": "build: /",
    "a container's name": "container_name: ../../x",
    "another file": "extends: {file: /etc/passwd, service: x}",
    "a hook as root": "post_start: [{command: id, user: root, privileged: true}]",
    "a provider": "provider: {type: /bin/sh}",
    "a gpu of all": "gpus: all",
    "host dns": "dns: [169.254.169.254]",
    "a mac address": "mac_address: 02:42:ac:11:65:43",
    "an unknown key": "Privileged: true",
}
SERVICES["a mount over /proc"] = "tmpfs: ['relative']"

FILES: dict[str, str] = {
    "an image as an option": "services: {web: {image: --privileged}}",
    "an image as a path": "services: {web: {image: ../../etc}}",
    "an image with a shell": "services: {web: {image: 'a;id'}}",
    "a name with a path": "services: {../../x: {image: berth/demo}}",
    "a name with a shell": "services: {'$(id)': {image: berth/demo}}",
    "a name with a line": 'services: {"a\\nb": {image: berth/demo}}',
    "a very long name": f"services: {{{'a' * 5000}: {{image: berth/demo}}}}",
    "a volume that is a path": WHOLE.replace(
        "data: }", "data: {driver_opts: {type: none, o: bind, device: /}}}"
    )
    % "volumes: ['data:/x']",
    "a volume of nfs": WHOLE.replace(
        "data: }", "data: {driver_opts: {type: nfs, o: addr=10.0.0.1, device: ':/'}}}"
    )
    % "init: true",
    "a volume of a plug-in": WHOLE.replace("data: }", "data: {driver: vieux/sshfs}}") % "init: true",
    "a volume of somebody else": WHOLE.replace("data: }", "data: {external: true}}") % "init: true",
    "a volume by another name": WHOLE.replace("data: }", "data: {name: other}}") % "init: true",
    "a volume with a path in its name": "services: {web: {image: berth/demo}}\nvolumes: {../../etc: }",
    "a secret of a file of the console": "services: {web: {image: berth/demo, secrets: [a]}}\n"
    "secrets: {a: {file: /etc/shadow}}",
    "a secret of the console's variables": "services: {web: {image: berth/demo, secrets: [a]}}\n"
    "secrets: {a: {environment: BERTH_SECRET_KEY}}",
    "a config of a file of the console": "services: {web: {image: berth/demo}}\nconfigs: {a: {file: /etc/shadow}}",
    "another file included": "include: [/etc/passwd]\nservices: {web: {image: berth/demo}}",
    "a host's network": "services: {web: {image: berth/demo}}\nnetworks: {default: {name: host, external: true}}",
    "an alias bomb": _bomb(40, 9),
    "a circle": "services: {web: &a {image: berth/demo, x-a: *a}}",
    "a circle of extends": "services: {a: {image: x, extends: {service: b}}, b: {image: x, extends: {service: a}}}",
    "a python object": "services: {web: {image: !!python/object/apply:os.system [id]}}",
    "an unknown tag": "services: {web: !vault {image: berth/demo}}",
    "huge": "services: {web: {image: berth/demo}}\n#" + "x" * (300 * 1024),
    "deep": "services: {web: {image: berth/demo, x-a: " + "[" * 5000 + "]" * 5000 + "}}",
    "many services": json.dumps({"services": {f"s{n}": {"image": "berth/demo"} for n in range(200)}}),
    "a variable bomb": "services: {web: {image: berth/demo, labels: {a: '"
    + "${A:-" * 200
    + "x" * 1000
    + "}" * 200
    + "${B:?no}'}}}",
    "two documents": "services: {web: {image: berth/demo}}\n---\nservices: {}",
    "no yaml": "\t{",
    "control characters": "services: {web: {image: 'berth/demo\x1b[2J'}}",
    "nothing": "",
}

CORPUS: dict[str, str] = {**{name: WHOLE % text for name, text in SERVICES.items()}, **FILES}
