from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeagent.errors import Refused
from nodeagent.hardening import CAPABILITIES, assert_safe, check_spec
from nodeagent.names import check_image
from nodeagent.protocol import Attachment, File, Healthcheck, Mount, PortBinding, Spec, Ulimit
from nodeagent.runtime import payload
from tests.nodeagent.builders import full_spec, identity, spec


def host_config(wanted: Spec) -> dict[str, Any]:
    return payload.host_config(identity(), wanted, 20000)


def test_what_berth_makes_is_safe() -> None:
    for wanted in (spec(), full_spec()):
        assert_safe(wanted, host_config(wanted))


def volume(**changes: Any) -> tuple[Mount, ...]:
    return (Mount(**{"kind": "volume", "source": "data", "target": "/data", **changes}),)


HOSTILE_SPECS: dict[str, dict[str, Any]] = {
    "no memory limit": {"memory": 0},
    "no cpu limit": {"cpu": 0},
    "negative cpu": {"cpu": -1},
    "no process limit": {"pids": 0},
    "unlimited processes": {"pids": -1},
    "no shared memory": {"shm_size": 0},
    "unbounded log": {"log_max_size": 0},
    "no log file": {"log_max_file": 0},
    "negative restarts": {"restart_max": -1},
    "endless grace": {"stop_grace": 1e9},
    "negative grace": {"stop_grace": -1.0},
    "signal with a space": {"stop_signal": "TERM 9"},
    "image as an option": {"image": "--privileged"},
    "image with a path": {"image": "../../etc"},
    "image with a space": {"image": "a b"},
    "image of a host path": {"image": "/var/lib/x"},
    "empty image": {"image": ""},
    "short digest": {"image": "sha256:abc"},
    "own label": {"labels": {"berth.cluster": "x"}},
    "the prefix itself": {"labels": {"berth": "x"}},
    "nul in a label": {"labels": {"a": "x\0y"}},
    "nul in an argument": {"command": ("sh", "-c", "a\0b")},
    "nul in the entrypoint": {"entrypoint": ("a\0b",)},
    "nul in a variable": {"environment": {"A": "\0"}},
    "a variable with an equals sign": {"environment": {"A=B": "x"}},
    "a variable without a name": {"environment": {"": "x"}},
    "control character in user": {"user": "root\n"},
    "control character in the folder": {"working_dir": "/tmp\x1b"},
    "host network": {"network": "host"},
    "default bridge": {"network": "bridge"},
    "another container's network": {"network": "container:abc"},
    "network as a path": {"network": "../x"},
    "alias with a slash": {"network": "n1", "aliases": ("a/b",)},
    "host name with a space": {"hostname": "a b"},
    "one network twice": {"networks": (Attachment(network="n1"),) * 2},
    "host network among others": {"networks": (Attachment(network="n1"), Attachment(network="host"))},
    "an alias with a space": {"networks": (Attachment(network="n1", aliases=("a b",)),)},
    "very many networks": {"networks": tuple(Attachment(network=f"n{n}") for n in range(40))},
    "ports without a network": {"ports": (PortBinding(host=80, container=80),)},
    "port 0": {"network": "n1", "ports": (PortBinding(host=0, container=80),)},
    "port 70000": {"network": "n1", "ports": (PortBinding(host=70000, container=80),)},
    "container port 0": {"network": "n1", "ports": (PortBinding(host=80, container=0),)},
    "one port twice": {"network": "n1", "ports": (PortBinding(host=80, container=80),) * 2},
    "a host path as a volume": {"mounts": volume(source="/etc")},
    "a relative path as a volume": {"mounts": volume(source="../etc")},
    "a volume without a name": {"mounts": volume(source="")},
    "a volume with a colon": {"mounts": volume(source="a:b")},
    "a volume in upper case": {"mounts": volume(source="Data")},
    "a relative target": {"mounts": volume(target="data")},
    "the root as target": {"mounts": volume(target="/")},
    "a target that climbs": {"mounts": volume(target="/data/../etc")},
    "a target with a newline": {"mounts": volume(target="/da\nta")},
    "a target in /proc": {"mounts": volume(target="/proc/sys")},
    "a target in /proc behind two slashes": {"mounts": volume(target="//proc/sys")},
    "one target twice, with more slashes": {"mounts": volume() + volume(target="//data")},
    "a target in /sys": {"mounts": volume(target="/sys")},
    "a device as target": {"mounts": volume(target="/dev/kmsg")},
    "one target twice": {"mounts": volume() + volume(target="/data/")},
    "a tmpfs with a source": {"mounts": (Mount(kind="tmpfs", source="x", target="/x"),)},
    "a tmpfs below zero": {"mounts": (Mount(kind="tmpfs", target="/x", size=-1),)},
    "a set-uid file": {"files": (File(target="/x", content=b"", mode=0o4755),)},
    "a file that climbs": {"files": (File(target="/../x", content=b""),)},
    "a file in /proc behind two slashes": {"files": (File(target="//proc/x", content=b""),)},
    "a file in /proc": {"files": (File(target="/proc/x", content=b""),)},
    "a file of nobody": {"files": (File(target="/x", content=b"", uid=-1),)},
    "large files": {"files": (File(target="/x", content=b"x" * (5 << 20)),)},
    "an unknown ulimit": {"ulimits": (Ulimit(name="rtprio", soft=1, hard=1),)},
    "an unlimited ulimit": {"ulimits": (Ulimit(name="nproc", soft=-1, hard=-1),)},
    "soft above hard": {"ulimits": (Ulimit(name="nofile", soft=2, hard=1),)},
    "a health check of nothing": {"healthcheck": Healthcheck(test=())},
    "a health check of an unknown kind": {"healthcheck": Healthcheck(test=("RUN", "x"))},
    "a health check without a command": {"healthcheck": Healthcheck(test=("CMD",))},
    "a health check in the past": {"healthcheck": Healthcheck(test=("CMD", "x"), interval=-1.0)},
    "a health check with a nul": {"healthcheck": Healthcheck(test=("CMD", "x\0"))},
}


@pytest.mark.parametrize("changes", HOSTILE_SPECS.values(), ids=HOSTILE_SPECS.keys())
def test_a_hostile_specification_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(Refused) as caught:
        check_spec(spec(**changes))
    assert (caught.value.code, caught.value.fatal) == ("refused", True)


HOSTILE_HOST_CONFIGS: dict[str, dict[str, Any]] = {
    "privileged": {"Privileged": True},
    "a bind": {"Binds": ["/:/host"]},
    "no binds at all is also not ours": {"Binds": []},
    "host network": {"NetworkMode": "host"},
    "another container's network": {"NetworkMode": "container:x"},
    "host processes": {"PidMode": "host"},
    "host ipc": {"IpcMode": "host"},
    "host names": {"UTSMode": "host"},
    "host users": {"UsernsMode": "host"},
    "host control groups": {"CgroupnsMode": "host"},
    "a device": {"Devices": [{"PathOnHost": "/dev/sda"}]},
    "a gpu": {"DeviceRequests": [{}]},
    "all gpus": {"DeviceRequests": [{"Driver": "nvidia", "Count": -1, "Capabilities": [["gpu"]]}]},
    "a gpu that was not given": {
        "DeviceRequests": [{"Driver": "nvidia", "DeviceIDs": ["0"], "Capabilities": [["gpu"]]}]
    },
    "a device rule": {"DeviceCgroupRules": ["a *:* rwm"]},
    "an added capability": {"CapAdd": [*CAPABILITIES, "SYS_ADMIN"]},
    "all capabilities": {"CapAdd": ["ALL"]},
    "capabilities kept": {"CapDrop": []},
    "new privileges": {"SecurityOpt": []},
    "no seccomp": {"SecurityOpt": ["no-new-privileges:true", "seccomp=unconfined"]},
    "a bind as a mount": {"Mounts": [{"Type": "bind", "Source": "/", "Target": "/x"}]},
    "a volume with a path": {"Mounts": [{"Type": "volume", "Source": "/etc", "Target": "/x"}]},
    "a volume with a driver": {
        "Mounts": [
            {"Type": "volume", "Source": "v", "VolumeOptions": {"DriverConfig": {"Options": {"o": "bind"}}}}
        ]
    },
    "no memory limit": {"Memory": 0},
    "swap without end": {"MemorySwap": -1},
    "no cpu limit": {"NanoCpus": 0},
    "no process limit": {"PidsLimit": -1},
    "another log driver": {"LogConfig": {"Type": "syslog", "Config": {}}},
    "an unbounded log": {"LogConfig": {"Type": "local", "Config": {}}},
    "always restarted": {"RestartPolicy": {"Name": "always"}},
    "a port on one address": {"PortBindings": {"80/tcp": [{"HostIp": "10.0.0.1", "HostPort": "80"}]}},
    "sysctls": {"Sysctls": {"kernel.x": "1"}},
    "another runtime": {"Runtime": "x"},
    "a cgroup parent": {"CgroupParent": "/"},
    "spared by the oom killer": {"OomKillDisable": True},
    "volumes from others": {"VolumesFrom": ["x"]},
    "links": {"Links": ["x"]},
}


@pytest.mark.parametrize("changes", HOSTILE_HOST_CONFIGS.values(), ids=HOSTILE_HOST_CONFIGS.keys())
def test_a_hostile_host_config_is_refused(changes: dict[str, Any]) -> None:
    wanted = full_spec()
    with pytest.raises(Refused):
        assert_safe(wanted, {**host_config(wanted), **changes})


def test_every_key_must_be_set() -> None:
    complete = host_config(spec())
    for key in complete:
        with pytest.raises(Refused, match=key):
            assert_safe(spec(), {name: value for name, value in complete.items() if name != key})


TEXT = st.text(max_size=20)


@given(
    st.fixed_dictionaries(
        {
            "memory": st.integers(-1, 1 << 40),
            "cpu": st.integers(-1, 10000),
            "pids": st.integers(-1, 1000),
            "network": st.one_of(st.sampled_from(["", "n1", "host", "none"]), TEXT),
            "user": TEXT,
            "mounts": st.lists(
                st.builds(Mount, kind=st.sampled_from(["volume", "tmpfs"]), target=TEXT, source=TEXT),
                max_size=2,
            ).map(tuple),
            "restart": st.sampled_from(["no", "unless-stopped", "on-failure"]),
            "ulimits": st.lists(
                st.builds(
                    Ulimit, name=st.sampled_from(["nofile", "rtprio"]), soft=st.integers(), hard=st.integers()
                ),
                max_size=2,
            ).map(tuple),
        }
    )
)
def test_whatever_passes_the_check_makes_a_safe_host_config(values: dict[str, Any]) -> None:
    wanted = spec(**values)
    try:
        check_spec(wanted)
    except Refused:
        return
    assert_safe(wanted, host_config(wanted))


@pytest.mark.parametrize(
    "name",
    [
        "nginx",
        "nginx:1.27-alpine",
        "team/app",
        "registry.example.org/team/app:1.2",
        "localhost:5000/app",
        "10.77.0.254:5000/team/sub/app:v1",
        "ghcr.io/o/app@sha256:" + "a" * 64,
        "app:1@sha256:" + "0" * 64,
        "sha256:" + "f" * 64,
    ],
)
def test_usual_image_names_are_fine(name: str) -> None:
    assert check_image(name) == name
