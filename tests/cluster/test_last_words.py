"""What is left of a container on real engines: its whole log, its code and its last lines."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import pytest

from lab.processes import wait_until
from tests.cluster.conftest import Cluster

pytestmark = [pytest.mark.engine, pytest.mark.slow]

FAILS = """
services:
  web:
    image: berth/demo
    restart: "no"
    command: [sh, -c, "seq 1 3000; echo oops >&2; exit 3"]
"""
RUNS = """
services:
  web:
    image: berth/demo
    stop_grace_period: 2s
    command: [sh, -c, "trap 'echo leaving; exit 7' TERM; echo here; while :; do sleep 0.2; done"]
"""


def _lines(cluster: Cluster, app: str, query: str) -> list[str]:
    lab = cluster.lab
    request = urllib.request.Request(
        f"{lab.console.url}/api/v1/teams/default/apps/{app}/logs?{query}",
        headers={"Authorization": f"Bearer {lab.owner_token}"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        events = [json.loads(line) for line in answer]
    return [event["text"] for event in events if event["kind"] == "line"]


def _gone(cluster: Cluster, app: str) -> list[dict[str, Any]]:
    """Records of containers that are on no node any more, oldest first."""
    items = cluster.lab.api.get(f"/apps/{app}/containers?ended=1")["items"]
    return [one for one in reversed(items) if one["observed"]["removed_at"]]


def test_an_ended_containers_whole_log_outlives_it(cluster: Cluster) -> None:
    cluster.lab.api.post("/apps", {"name": "fails", "compose": FAILS})
    assert wait_until(lambda: _gone(cluster, "fails"), 60, every=0.5), cluster.lab.report()
    first = _gone(cluster, "fails")[0]
    assert first["observed"]["exit_code"] == 3
    assert {"3000", "oops"} & set(first["observed"]["last_lines"])
    assert len(_lines(cluster, "fails", f"container={first['id']}")) == 100
    whole = _lines(cluster, "fails", f"container={first['id']}&since=1h")
    assert sorted(whole) == sorted([*(str(number) for number in range(1, 3001)), "oops"])
    assert _lines(cluster, "fails", "ended=1&search=OOP&since=1h&slot=1&service=web")[0] == "oops"


def test_a_stopped_containers_code_and_last_lines_are_there(cluster: Cluster) -> None:
    operation = cluster.lab.api.post("/apps", {"name": "runs", "compose": RUNS})["operation"]
    assert cluster.settles(operation["app"]["id"], 1), cluster.lab.report()
    cluster.lab.api.post("/apps/runs/stop")
    assert wait_until(lambda: _gone(cluster, "runs"), 60, every=0.5), cluster.lab.report()
    [record] = _gone(cluster, "runs")
    assert record["observed"]["exit_code"] == 7
    assert record["observed"]["last_lines"] == ["here", "leaving"]
    assert _lines(cluster, "runs", "ended=1") == ["here", "leaving"]
