"""What two-second stalls, Redis being down and the console being away cost. On a lab of three nodes."""

from __future__ import annotations

import random
import time
import urllib.error
import urllib.request
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from lab.eventlog import EventLog
from lab.faults import ConsoleStopped, ContainerKilled, ContainerRemoved, Paused, Stopped
from lab.lab import CONSOLE, Lab, LabHost
from lab.look import look_at
from lab.processes import wait_until
from lab.runs import doubled, runs_of

STALL = 2.0
STALLS_A_MINUTE = 15
WEB = "services:\n  web:\n    image: berth/demo\n    ports: ['80']\n    deploy: {replicas: 6}\n"
EVERYWHERE = "services:\n  each:\n    image: berth/demo\n    deploy: {mode: global}\n"
REDIS_DOWN = (10.0, 60.0)
CASES = ("stalls", "frozen", "redis", "console")
FROZEN = 40.0
BOUND = "services:\n  db:\n    image: berth/demo\n    volumes: ['data:/data']\nvolumes: {data: {}}\n"


def measure(lab: Lab, minutes: float, cases: Collection[str] = CASES) -> Iterator[dict[str, Any]]:
    if not set(CASES).intersection(cases):
        return
    app = _deploy(lab, "web", WEB)
    _await(lab, app, 6)
    if "stalls" in cases:
        yield _stalls(lab, app, minutes)
    if "frozen" in cases:
        yield _frozen(lab, app)
    if "redis" in cases:
        for seconds in REDIS_DOWN:
            yield _redis_down(lab, min(seconds, minutes * 60))
    if "console" in cases:
        yield _console_away(lab, app, minutes)
    lab.remove_apps()


def _deploy(lab: Lab, name: str, compose: str) -> str:
    return str(lab.api.post("/apps", {"name": name, "compose": compose})["operation"]["app"]["id"])


def _started(lab: Lab, app: str) -> set[tuple[str, float]]:
    seen = [one for host in lab.hosts for one in look_at(host.engine, app)]
    return {(one.name, one.started) for one in seen if one.running}


def _await(lab: Lab, app: str, count: int, timeout: float = 120.0) -> None:
    if not wait_until(lambda: len(_started(lab, app)) == count, timeout, every=0.1):
        raise RuntimeError(f"{count} replicas did not come: {_started(lab, app)}")


def _stalls(lab: Lab, app: str, minutes: float) -> dict[str, Any]:
    """At random, in agents and in the console's processes, sometimes in several at once."""
    parts = [*CONSOLE, "agent-1", "agent-2", "agent-3"]
    chance, before, since = random.Random(1), _started(lab, app), _newest(lab)
    end, stalls = time.time() + minutes * 60, 0
    while time.time() < end:
        chosen = [Paused(lab, part) for part in chance.sample(parts, chance.choice([1, 1, 1, 2]))]
        for stall in chosen:
            stall.inject()
        time.sleep(STALL)
        for stall in chosen:
            stall.heal()
        stalls += len(chosen)
        time.sleep(chance.uniform(0.5, 1.5) * 60 / STALLS_A_MINUTE - STALL)
    time.sleep(10.0)
    told = _node_states(lab, since)
    return {
        "case": f"stalls of {STALL:.0f} s in agents and console",
        "minutes": minutes,
        "stalls": stalls,
        "nodes_lost": sum("is down" in text for text in told),
        "nodes_suspect": sum("is suspect" in text for text in told),
        "replicas_replaced": len(before - _started(lab, app)),
        "aim_nodes_lost": 0,
    }


def _frozen(lab: Lab, app: str) -> dict[str, Any]:
    """Engine and agent of the host with a volume are stopped (SIGSTOP) together; its containers run on."""
    bound = _deploy(lab, "base", BOUND)
    _await(lab, bound, 1)
    number = next(number for number, host in enumerate(lab.hosts, 1) if look_at(host.engine, bound))
    before = _started(lab, bound)
    log = EventLog({host.name: host.engine for host in lab.hosts})
    log.start()
    frozen = [Paused(lab, f"{part}-{number}") for part in ("agent", "engine")]
    others = [host for host in lab.hosts if host.name != f"node-{number}"]
    begun = time.time()
    for fault in frozen:
        fault.inject()
    if not wait_until(lambda: len(_names(others, app)) == 6, FROZEN, every=0.1):
        raise RuntimeError("six replicas did not come to run elsewhere")
    elsewhere = max(one.started for host in others for one in look_at(host.engine, app)) - begun
    time.sleep(max(0.0, begun + FROZEN - time.time()))
    for fault in reversed(frozen):
        fault.heal()
    back = time.time()
    _await(lab, app, 6)
    clean = time.time() - back
    lab.await_ready(60.0)
    log.stop()
    twice = [one for one, _other in doubled(runs_of(log.moments())) if one.name.startswith("base/")]
    line = {
        "case": f"a host's engine and agent stopped for {FROZEN:.0f} s",
        "elsewhere_s": round(elsewhere, 2),
        "stale_ones_gone_s": round(clean, 2),
        "aim_stale_s": 10,
        "volume_bound_ran_twice": len(twice),
        "volume_bound_undisturbed": _started(lab, bound) == before,
    }
    lab.api.delete("/apps/base")
    return line


def _names(hosts: Iterable[LabHost], app: str) -> set[str]:
    return {one.name for host in hosts for one in look_at(host.engine, app) if one.running}


def _newest(lab: Lab) -> int:
    return int(lab.api.get("/events?limit=1")["items"][0]["id"])


def _node_states(lab: Lab, since: int) -> list[str]:
    found: list[str] = []
    before = ""
    while True:
        page = lab.api.get(f"/events?limit=200{before}")["items"]
        found += [one["message"] for one in page if one["id"] > since and one["kind"] == "node.state"]
        if len(page) < 200 or page[-1]["id"] <= since:
            return found
        before = f"&before={page[-1]['id']}"


def _redis_down(lab: Lab, seconds: float) -> dict[str, Any]:
    """Jobs end while it is away; then one more on each node, from its return on."""
    ending = _deploy(lab, "ending", WEB)
    time.sleep(0.4)
    store = Stopped(lab, "redis")
    store.inject()
    time.sleep(seconds)
    store.heal()
    back = time.time()
    each = _deploy(lab, "each", EVERYWHERE)
    _await(lab, each, 3)
    works = max(started for _name, started in _started(lab, each)) - back
    _await(lab, ending, 6)
    settled = time.time() - back
    for name in ("ending", "each"):
        lab.api.delete(f"/apps/{name}")
    return {
        "case": f"Redis down for {seconds:.0f} s with jobs ending meanwhile",
        "all_agents_work_again_s": round(works, 2),
        "what_was_under_way_is_done_s": round(settled, 2),
        "aim_s": 15,
    }


def _console_away(lab: Lab, app: str, minutes: float) -> dict[str, Any]:
    """One replica is killed and one removed meanwhile; the others' pages are asked for all the time."""
    urls = lab.api.get("/apps/web")["app"]["urls"]
    console = ConsoleStopped(lab)
    console.inject()
    end = time.time() + minutes * 60
    asked, failed = _ask(urls, end - minutes * 30)
    touched = _started(lab, app)
    ContainerRemoved(lab, 1, pick=1).inject()
    ContainerKilled(lab, 2, pick=1).inject()
    time.sleep(max(0.0, end - time.time()))
    hurt = touched - _started(lab, app)
    console.heal()
    back = time.time()
    lab.await_ready(60.0)
    ready = time.time() - back
    if not wait_until(lambda: len(_started(lab, app)) == 6 and _well(lab) == 6, 120.0, every=0.1):
        raise RuntimeError("what changed while the console was away was not taken in")
    return {
        "case": f"the console away for {minutes:g} minutes",
        "pages_asked": asked,
        "pages_failed": failed,
        "replicas_hurt": len(hurt),
        "nodes_ready_s": round(ready, 2),
        "taken_in_s": round(time.time() - back, 2),
        "aim_s": 30,
    }


def _ask(urls: list[str], end: float) -> tuple[int, int]:
    asked = failed = 0
    while time.time() < end:
        for url in urls:
            asked += 1
            try:
                with urllib.request.urlopen(f"{url}/healthz", timeout=2) as answer:
                    failed += answer.read() != b"ok\n"
            except (urllib.error.URLError, OSError):
                failed += 1
        time.sleep(0.2)
    return asked, failed


def _well(lab: Lab) -> int:
    return int(lab.api.get("/apps/web")["app"]["observed"]["replicas"])
