"""Secrets through a whole cluster: they are where they shall be, and nowhere else."""

from __future__ import annotations

import gzip
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from lab.processes import wait_until
from tests.cluster.conftest import Cluster

pytestmark = [pytest.mark.engine, pytest.mark.slow]

CANARIES = {
    "stored": "canary-stored-8f2b61",
    "given": "canary-given-c07d9e",
    "filed": "canary-filed-51aa04",
    "team": "canary-team-e3b7f8",
}
COMPOSE = """
services:
  web:
    image: berth/demo
    read_only: true
    command: [sh, -c, "cat /run/secrets/*; echo; echo ready; while :; do sleep 0.2; done"]
    secrets: [stored, given, filed, team]
secrets:
  stored: {external: true}
  team: {external: true}
  given: {environment: GIVEN}
  filed: {file: ./filed.txt}
"""
ROUTES = (
    *(
        "/apps",
        "/apps/canary",
        "/apps/canary/releases",
        "/apps/canary/releases/1",
        "/apps/canary/containers?ended=1",
    ),
    *(
        "/apps/canary/events",
        "/events",
        "/operations?app=canary",
        "/secrets",
        "/secrets/team",
        "/apps/canary/secrets",
    ),
    *("/audit", "/nodes", "/quota", "/registries"),
)


def _found(where: str, content: bytes) -> list[str]:
    return [f"{name} in {where}" for name, value in CANARIES.items() if value.encode() in content]


def _files(folder: Path) -> Iterator[Path]:
    yield from (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _read(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError:
        return b""
    return content + (gzip.decompress(content) if content[:2] == b"\x1f\x8b" else b"")


def _redis(url: str) -> list[str]:
    client = redis.Redis.from_url(url)
    return [hit for key in client.scan_iter("*") for hit in _found(f"Redis {key!r}", client.dump(key) or b"")]


def _raw(cluster: Cluster, path: str) -> bytes:
    lab = cluster.lab
    address = f"{lab.console.url}/api/v1/teams/default{path}"
    request = urllib.request.Request(address, headers={"Authorization": f"Bearer {lab.owner_token}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        content: bytes = answer.read()
    return content


def _running(cluster: Cluster) -> dict[str, Any] | None:
    items = cluster.lab.api.get("/apps/canary/containers")["items"]
    return next((one for one in items if one["observed"]["state"] == "running"), None)


def test_secrets_are_in_their_container_and_nowhere_else(cluster: Cluster) -> None:
    lab = cluster.lab
    lab.api.post("/secrets", {"name": "team", "value": CANARIES["team"]})
    # The app's own is stored once there is an app; until then the team's of this name serves.
    lab.api.post("/secrets", {"name": "stored", "value": "placeholder-of-the-team"})
    given = {"variables": {"GIVEN": CANARIES["given"]}, "files": {"filed.txt": CANARIES["filed"]}}
    lab.api.post("/apps", {"name": "canary", "compose": COMPOSE, **given})
    hits: list[str] = []

    def up() -> bool:
        hits.extend(_redis(lab.redis.url))
        return _running(cluster) is not None

    assert wait_until(up, 60, every=0.1), lab.report()
    lab.api.post("/apps/canary/secrets", {"name": "stored", "value": CANARIES["stored"]})
    lab.api.post("/apps/canary/releases", {"compose": COMPOSE})

    def replaced() -> bool:
        hits.extend(_redis(lab.redis.url))
        found = _running(cluster)
        return found is not None and found["desired"]["release"] == 2

    assert wait_until(replaced, 60, every=0.1), lab.report()

    seen = b""
    for host in lab.hosts:
        with host.engine.client() as client:
            for container in client.containers.list():
                hits += _found(f"inspect on {host.name}", json.dumps(container.attrs).encode())
                output = container.exec_run(["sh", "-c", "cat /run/secrets/*"]).output
                assert isinstance(output, bytes)
                seen += output
    assert _found("the container", seen) == [f"{name} in the container" for name in CANARIES]

    assert wait_until(lambda: b"ready" in _raw(cluster, "/apps/canary/logs?tail=50"), 20, every=0.5)
    log = _raw(cluster, "/apps/canary/logs?tail=50")
    assert "•••" in "".join(json.loads(line)["text"] for line in log.splitlines())
    hits += _found("the live log", log)
    for route in ROUTES:
        hits += _found(route, _raw(cluster, route))
    app = lab.api.get("/apps/canary")["app"]["id"]
    lab.api.delete("/apps/canary")
    assert wait_until(lambda: not cluster.containers(app), 60, every=0.5), lab.report()
    # Database, Redis' files, states of agents, stored logs, and what all processes say; not the engines' own folders,
    # for an engine keeps what a program itself writes until its container is removed.
    for path in _files(lab.console.home.parent):
        if "data" not in path.parts and "exec" not in path.parts:
            hits += _found(str(path), _read(path))
    hits += _redis(lab.redis.url)
    for path in Path("/dev/shm").glob("berth-*/node*/berth-*/*"):
        hits += _found(str(path), _read(path))
    assert hits == []
