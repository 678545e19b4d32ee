"""What is not run is refused by name, with service, key, line, column and a code."""

from __future__ import annotations

import pytest

from console.workloads.compose.keys import (
    SERVICE_REFUSED,
    SERVICE_UNSUPPORTED,
    TOP_UNSUPPORTED,
)
from tests.workloads.compose.helpers import problem, problems


@pytest.mark.parametrize("key", sorted(SERVICE_UNSUPPORTED))
def test_unsupported_key(key: str) -> None:
    found = problem(f"{key}: {{}}")
    assert (found.code, found.key, found.line, found.column) == ("unsupported", f"services.web.{key}", 4, 5)
    assert found.service == "web"
    assert found.message.startswith(f"{key} is not supported yet")


@pytest.mark.parametrize("key", sorted(SERVICE_REFUSED))
def test_refused_key(key: str) -> None:
    found = problem(f"{key}: {{}}")
    assert (found.code, found.key, found.line, found.column) == ("refused", f"services.web.{key}", 4, 5)
    assert found.message == f"{key} is not allowed: {SERVICE_REFUSED[key]}"


@pytest.mark.parametrize("key", sorted(TOP_UNSUPPORTED))
def test_unsupported_top_level_key(key: str) -> None:
    (found,) = problems(f"services: {{web: {{image: busybox}}}}\n{key}: {{}}\n")
    assert (found.code, found.key, found.line, found.column, found.service) == ("unsupported", key, 2, 1, "")


BODIES = [
    ("privileged: true", "refused", "privileged"),
    ("network_mode: host", "refused", "network_mode"),
    ("network_mode: container:abc", "refused", "network_mode"),
    ("network_mode: bridge", "unsupported", "network_mode"),
    ("security_opt: [seccomp:unconfined]", "refused", "security_opt[0]"),
    ("volumes: ['./here:/x']", "refused", "volumes[0]"),
    ("volumes: ['/etc:/x:ro']", "refused", "volumes[0]"),
    ("volumes: ['~/x:/x']", "refused", "volumes[0]"),
    ("volumes: ['../x:/x']", "refused", "volumes[0]"),
    ("volumes: ['C:\\x:/x']", "refused", "volumes[0]"),
    ("volumes: ['/var/run/docker.sock:/var/run/docker.sock']", "refused", "volumes[0]"),
    ("volumes: [{type: bind, source: /etc, target: /x}]", "refused", "volumes[0]"),
    ("volumes: [{type: volume, source: /etc, target: /x}]", "refused", "volumes[0]"),
    ("volumes: [{type: npipe, source: x, target: /x}]", "refused", "volumes[0]"),
    ("volumes: [/anonymous]", "unsupported", "volumes[0]"),
    ("volumes: [{type: volume, target: /x}]", "unsupported", "volumes[0]"),
    ("volumes: [{type: image, source: x, target: /x}]", "unsupported", "volumes[0]"),
    ("volumes: ['data:/x:z']", "unsupported", "volumes[0]"),
    (
        "volumes: [{type: volume, source: data, target: /x, volume: {nocopy: true}}]",
        "unsupported",
        "volumes[0].volume.nocopy",
    ),
    ("volumes: ['']", "invalid", "volumes[0]"),
    ("tmpfs: [5]", "invalid", "tmpfs[0]"),
    ("volumes: ['nowhere:/x']", "missing", "volumes[0]"),
    ("volumes: ['data:relative']", "invalid", "volumes[0]"),
    ("volumes: ['data:/']", "invalid", "volumes[0]"),
    ("volumes: ['data:/x', 'other:/x']", "invalid", "volumes"),
    ("tmpfs: ['/x:exec']", "unsupported", "tmpfs[0]"),
    ("tmpfs: ['/x:size=lots']", "invalid", "tmpfs[0]"),
    ("configs: [nowhere]", "missing", "configs[0]"),
    ("ports: ['127.0.0.1:8080:80']", "refused", "ports[0]"),
    ("ports: ['[::1]:8080:80']", "refused", "ports[0]"),
    ("ports: ['80:80']", "refused", "ports[0]"),
    ("ports: [{target: 80, published: 443}]", "refused", "ports[0]"),
    ("ports: ['8080:80/sctp']", "unsupported", "ports[0]"),
    ("ports: ['8080-8090:80']", "unsupported", "ports[0]"),
    ("ports: [{target: 80, name: web}]", "unsupported", "ports[0].name"),
    ("ports: ['8080-8081:80-82']", "invalid", "ports[0]"),
    ("ports: ['70000']", "invalid", "ports[0]"),
    ("ports: ['0']", "invalid", "ports[0]"),
    ("ports: [abc]", "invalid", "ports[0]"),
    ("ports: ['8080:80', '8080:81']", "invalid", "ports[1]"),
    ("ports: [{published: 8080}]", "missing", "ports[0]"),
    ("ports: {a: 1}", "invalid", "ports"),
    ("ports: ['1-65535']", "limit", "ports[0]"),
    ("expose: [x]", "invalid", "expose[0]"),
    ("labels: {berth.app: x}", "refused", "labels.berth.app"),
    ("labels: [berth.x=1]", "refused", "labels[0]"),
    ("environment: {A: [1]}", "invalid", "environment.A"),
    ("environment: [' A=1']", "invalid", "environment[0]"),
    ("environment: [5]", "invalid", "environment[0]"),
    ("env_file: nowhere.env", "missing", "env_file"),
    ("env_file: ['']", "invalid", "env_file[0]"),
    ("env_file: [{path: x, required: false, format: raw}]", "unsupported", "env_file[0].format"),
    ("command: echo a | cat", "invalid", "command"),
    ("command: echo 'a", "invalid", "command"),
    ("command: [echo, 5]", "invalid", "command[1]"),
    ("command: {a: b}", "invalid", "command"),
    ("user: 1000", "invalid", "user"),
    ("working_dir: here", "invalid", "working_dir"),
    ("hostname: a b", "invalid", "hostname"),
    ("stop_signal: now", "invalid", "stop_signal"),
    ("stop_grace_period: 90", "invalid", "stop_grace_period"),
    ("init: maybe", "invalid", "init"),
    ("shm_size: big", "invalid", "shm_size"),
    ("pull_policy: daily", "unsupported", "pull_policy"),
    ("healthcheck: {test: [curl, x]}", "invalid", "healthcheck.test"),
    ("healthcheck: {test: x, start_interval: 1s}", "unsupported", "healthcheck.start_interval"),
    ("healthcheck: {test: x, interval: 1ns}", "invalid", "healthcheck.interval"),
    ("healthcheck: {test: x, retries: -1}", "invalid", "healthcheck.retries"),
    ("ulimits: {rtprio: 5}", "refused", "ulimits.rtprio"),
    ("ulimits: {nofile: {soft: 5}}", "missing", "ulimits.nofile"),
    ("ulimits: {nofile: {soft: 5, hard: 4}}", "invalid", "ulimits.nofile"),
    ("logging: {driver: syslog}", "unsupported", "logging.driver"),
    ("logging: {options: {tag: x}}", "unsupported", "logging.options.tag"),
    ("logging: {options: {max-size: 100g}}", "invalid", "logging.options"),
    ("restart: sometimes", "invalid", "restart"),
    ("restart: no-such", "invalid", "restart"),
    ("scale: -1", "invalid", "scale"),
    ("scale: 2.5", "invalid", "scale"),
    ("scale: 100000", "invalid", "scale"),
    ("scale: 2\ndeploy: {replicas: 3}", "invalid", "scale"),
    ("mem_limit: 0", "invalid", "mem_limit"),
    ("mem_limit: 64m\ndeploy: {resources: {limits: {memory: 65m}}}", "invalid", "mem_limit"),
    ("mem_limit: 64m\nmem_reservation: 65m", "invalid", "mem_reservation"),
    ("cpus: 0", "invalid", "cpus"),
    ("pids_limit: -1", "invalid", "pids_limit"),
    ("deploy: {restart_policy: {condition: x}}", "invalid", "deploy.restart_policy.condition"),
    (
        "deploy: {placement: {constraints: [node.role==manager]}}",
        "unsupported",
        "deploy.placement.constraints[0]",
    ),
    ("deploy: {placement: {constraints: [a=b]}}", "invalid", "deploy.placement.constraints[0]"),
    ("deploy: {placement: {preferences: [{spread: zone}]}}", "invalid", "deploy.placement.preferences[0]"),
    ("extends: nowhere", "missing", "extends"),
    ("extends: web", "invalid", "extends"),
    ("extends: {service: web, file: x.yml}", "unsupported", "extends.file"),
    ("x-berth: {domains: [a]}", "unsupported", "x-berth.domains"),
    ("deploy: {x-berth: {a: 1}}", "unsupported", "deploy.x-berth"),
    ("x-n: .nan", "invalid", "x-n"),
]


@pytest.mark.parametrize(("body", "code", "key"), BODIES, ids=[body for body, _, _ in BODIES])
def test_value(body: str, code: str, key: str) -> None:
    assert problems_of(body) == [(code, key, "web")]


def problems_of(body: str) -> list[tuple[str, str, str]]:
    text = "services:\n  web:\n    image: busybox\n" + "\n".join(f"    {line}" for line in body.splitlines())
    text += "\nvolumes: {data: , other: }\nconfigs: {conf: {content: hello}}\n"
    return [(one.code, one.key.removeprefix("services.web."), one.service) for one in problems(text)]


@pytest.mark.parametrize(
    ("volume", "code", "key"),
    [
        ("{driver_opts: {device: /etc}}", "refused", "driver_opts.device"),
        ("{driver_opts: {o: bind}}", "refused", "driver_opts.o"),
        ("{driver_opts: {type: nfs}}", "refused", "driver_opts.type"),
        ("{driver_opts: {size: 1g}}", "unsupported", "driver_opts.size"),
        ("{driver: nfs}", "unsupported", "driver"),
        ("{external: true}", "refused", "external"),
        ("{name: other-team}", "unsupported", "name"),
        ("{labels: {a: b}}", "unsupported", "labels"),
        ("{drivr: local}", "invalid", "drivr"),
    ],
)
def test_top_level_volume(volume: str, code: str, key: str) -> None:
    (found,) = problems(f"services: {{web: {{image: busybox}}}}\nvolumes: {{data: {volume}}}\n")
    assert (found.code, found.key, found.line) == (code, f"volumes.data.{key}", 2)


@pytest.mark.parametrize(
    ("config", "code", "key"),
    [
        ("{external: true}", "unsupported", "configs.c.external"),
        ("{file: ./nowhere}", "missing", "configs.c.file"),
        ("{environment: NOPE}", "missing", "configs.c.environment"),
        ("{content: a, file: b}", "invalid", "configs.c"),
        ("{}", "invalid", "configs.c"),
    ],
)
def test_top_level_config(config: str, code: str, key: str) -> None:
    found = problems(f"services: {{web: {{image: busybox}}}}\nconfigs: {{c: {config}}}\n")
    assert (code, key) in [(one.code, one.key) for one in found]


@pytest.mark.parametrize(
    ("text", "code", "key"),
    [
        ("", "invalid", ""),
        ("just text", "invalid", ""),
        ("name: x", "missing", ""),
        ("services: {}", "missing", ""),
        ("services: []", "invalid", "services"),
        ("services: {web: {}}", "missing", "services.web"),
        ("services: {web: {image: 'UPPER:bad tag'}}", "invalid", "services.web.image"),
        ("services: {web: {image: ''}}", "invalid", "services.web.image"),
        ("services: {'a b': {image: busybox}}", "invalid", "services.a b"),
        ("name: Not Good\nservices: {web: {image: busybox}}", "invalid", "name"),
        ("services: {web: {image: busybox}}\nconfigs: {'../x': {content: a}}", "invalid", "configs.../x"),
        ("services: {web: {image: busybox}}\nx-berth: {a: 1}", "unsupported", "x-berth.a"),
    ],
)
def test_file(text: str, code: str, key: str) -> None:
    (found,) = problems(text)
    assert (found.code, found.key) == (code, key)
