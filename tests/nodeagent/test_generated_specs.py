"""Whatever a Compose file says, and whatever a specification holds: no unsafe request reaches an engine.

What is unsafe is told here once more, in other words than in nodeagent/hardening.py. `HOSTILE_CASES` sets how many are
tried (`make hostile`: 10,000).
"""

from __future__ import annotations

import json
import os
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nodeagent.errors import Refused
from nodeagent.hardening import CAPABILITIES, assert_safe
from nodeagent.protocol import File, Healthcheck, Identity, Mount, PortBinding, Secret, Spec, Ulimit
from nodeagent.runtime import payload
from nodeagent.vault import Bind, Private
from tests.nodeagent.builders import identity, spec

CASES = int(os.environ.get("HOSTILE_CASES", "300"))
MANY = settings(max_examples=CASES, deadline=None, suppress_health_check=list(HealthCheck))

EVIL = st.sampled_from(
    [
        *(
            "",
            "/",
            "..",
            "../../etc",
            "/etc",
            "/proc",
            "/proc/sys",
            "/sys",
            "/dev/mem",
            "/dev/shm/x",
            "//proc/x",
            "/x/../..",
        ),
        *(
            "/var/run/docker.sock",
            "host",
            "none",
            "bridge",
            "container:x",
            "default",
            "data",
            "berth-a1",
            "berth-a1-data",
        ),
        *(
            "a:b",
            "a b",
            "a;id",
            "$(id)",
            "a\nb",
            "a\0b",
            "--privileged",
            "root",
            "0:0",
            "1000",
            "/data",
            "/run/secrets/x",
        ),
        *(
            "berth",
            "berth.cluster",
            "LD_PRELOAD",
            "A=B",
            "PATH",
            "SIGKILL",
            "9",
            "KILL; id",
            "nofile",
            "rtprio",
            "nproc",
        ),
    ]
) | st.text(max_size=12)
NUMBER = st.sampled_from([-(2**63), -1, 0, 1, 22, 80, 0o4755, 65535, 65536, 2**31, 2**63 - 1]) | st.integers(
    -10, 1 << 34
)


def tuples(of: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(of, max_size=2).map(tuple)


SPECS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "image": EVIL,
        "command": tuples(EVIL),
        "entrypoint": tuples(EVIL),
        "environment": st.dictionaries(EVIL, EVIL, max_size=2),
        "labels": st.dictionaries(EVIL, EVIL, max_size=2),
        "user": EVIL,
        "working_dir": EVIL,
        "hostname": EVIL,
        "stop_signal": EVIL,
        "stop_grace": st.floats(allow_nan=True) | NUMBER.map(float),
        "read_only": st.booleans(),
        "init": st.booleans(),
        "shm_size": NUMBER,
        "memory": NUMBER,
        "cpu": NUMBER,
        "pids": NUMBER,
        "restart_max": NUMBER,
        "network": EVIL,
        "aliases": tuples(EVIL),
        "ports": tuples(st.builds(PortBinding, host=NUMBER, container=NUMBER)),
        "mounts": tuples(
            st.builds(
                Mount,
                kind=st.sampled_from(["volume", "tmpfs"]),
                source=EVIL,
                target=EVIL,
                size=NUMBER,
                mode=NUMBER,
                read_only=st.booleans(),
            )
        ),
        "files": tuples(
            st.builds(File, target=EVIL, content=st.just(b"x"), mode=NUMBER, uid=NUMBER, gid=NUMBER)
        ),
        "secrets": tuples(
            st.builds(Secret, name=EVIL, version=EVIL, target=EVIL, variable=EVIL, mode=NUMBER, uid=NUMBER)
        ),
        "ulimits": tuples(st.builds(Ulimit, name=EVIL, soft=NUMBER, hard=NUMBER)),
        "healthcheck": st.none() | st.builds(Healthcheck, test=tuples(EVIL)),
        "log_max_size": NUMBER,
        "log_max_file": NUMBER,
    },
)
PRIVATES = st.builds(
    Private,
    folder=EVIL | st.just("/run/berth/n1/berth-s1-g1"),
    binds=tuples(
        st.builds(
            Bind,
            source=EVIL | st.sampled_from([f"/run/berth/n1/berth-s1-g1/{n}" for n in range(3)]),
            target=EVIL,
        )
    ),
    variables=st.none() | st.dictionaries(EVIL, EVIL, max_size=2),
)
_PLACE = re.compile(r"/run/berth/n1/berth-s1-g1/\d")
_INSIDE = re.compile(r"/(?!\.|proc(/|$)|sys(/|$))[^\0\n]*")


def _unsafe(body: dict[str, Any]) -> str:
    """What is wrong with a create request, in a word; empty: nothing."""
    host, text = body["HostConfig"], json.dumps(body)
    banned = {
        "Binds",
        "Devices",
        "DeviceCgroupRules",
        "VolumesFrom",
        "Sysctls",
        "Runtime",
        "CgroupParent",
        "Links",
    }
    banned |= {
        "PidMode",
        "UTSMode",
        "UsernsMode",
        "CgroupnsMode",
        "ExtraHosts",
        "OomKillDisable",
        "OomScoreAdj",
    }
    if found := banned & host.keys():
        return f"has {found}"
    if host["Privileged"] or host["CapDrop"] != ["ALL"] or set(host["CapAdd"]) - set(CAPABILITIES):
        return "rights"
    if host["SecurityOpt"] != ["no-new-privileges:true"] or host["IpcMode"] != "private":
        return "walls"
    if host["NetworkMode"] in {"host", "bridge", "default"} or ":" in host["NetworkMode"]:
        return "network"
    if min(host["Memory"], host["MemorySwap"], host["NanoCpus"], host["PidsLimit"], host["ShmSize"]) <= 0:
        return "limits"
    for mount in host["Mounts"]:
        target = mount["Target"]
        if not _INSIDE.fullmatch(re.sub("/+", "/", target)) or ".." in target.split("/"):
            return f"target {target!r}"
        if mount["Type"] == "bind" and not (_PLACE.fullmatch(mount["Source"]) and mount["ReadOnly"] is True):
            return f"bind {mount!r}"
        if mount["Type"] == "volume" and not re.fullmatch(r"[a-z0-9][a-z0-9_.-]*", mount["Source"]):
            return f"volume {mount!r}"
        if "DriverConfig" in json.dumps(mount) or mount["Type"] not in {"bind", "volume", "tmpfs"}:
            return f"mount {mount!r}"
    if any(limit["Soft"] < 0 or limit["Hard"] < 0 or limit["Name"] == "rtprio" for limit in host["Ulimits"]):
        return "ulimits"
    own = [key for key in body["Labels"] if key.startswith("berth.")]
    if (
        any(body["Labels"][key] != value for key, value in payload.labels(identity()).items())
        or len(own) > 10
    ):
        return "labels"
    return "NUL" if "\\u0000" in text else ""


def request(identity_: Identity, wanted: Spec, private: Private) -> dict[str, Any] | None:
    """As the runtime makes it; None where the agent refuses."""
    try:
        body = payload.create_body(identity_, wanted, 20000, private=private)
        assert_safe(wanted, body["HostConfig"], private)
    except (Refused, ValueError, OverflowError):
        return None
    return body


def few(values: dict[str, Any], kept: int) -> dict[str, Any]:
    """Some of the fields alone: most specifications with many such values are refused for the first of them."""
    names = sorted(values)
    return {name: values[name] for name in names[kept % (len(names) + 1) :][:2]}


@pytest.mark.thorough
@MANY
@given(st.builds(few, SPECS, st.integers(0, 30)) | SPECS, st.just(Private()) | PRIVATES)
def test_no_specification_yields_an_unsafe_request(values: dict[str, Any], private: Private) -> None:
    body = request(identity(), spec(**values), private)
    assert body is None or not _unsafe(body), _unsafe(body)


def test_what_is_usual_is_let_through_and_the_judge_can_condemn() -> None:
    body = request(identity(), spec(), Private())
    assert body is not None
    assert _unsafe(body) == ""
    for key, value in {"Privileged": True, "Binds": [], "NetworkMode": "host", "Memory": 0}.items():
        assert _unsafe({**body, "HostConfig": {**body["HostConfig"], key: value}})
