"""How soon six stateless replicas run elsewhere, Berth's and Swarm's in turn on like engines; then what stalls, Redis
being down and the console being away cost.

`python -m bench failover --runs 20 --minutes 10`, or `--cases cut stalls` for some of it. Either clock starts right
before the fault and ends with the engine's own StartedAt of the last replica. Swarm's engines have no live-restore,
which it refuses.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from statistics import quantiles
from typing import Any

from bench import outages
from lab.api import ApiError
from lab.faults import Cut, Fault, Killed
from lab.lab import Lab
from lab.look import look_at
from lab.processes import wait_until
from lab.state import Run
from lab.swarm import Swarm

REPLICAS = 6
COMPOSE = f"services:\n  web:\n    image: berth/demo\n    deploy: {{replicas: {REPLICAS}}}\n"
CUT_FOR = 20.0
"""Longer than either takes to replace what is cut off."""
AIMS = {"an engine dies": 5.0, "a host is cut off": 12.0}
FAULTS = {"engine": "an engine dies", "cut": "a host is cut off"}
CASES = (*FAULTS, *outages.CASES)


def measure(
    run: Run, *, runs: int, minutes: float, cases: Collection[str] = CASES
) -> Iterator[dict[str, Any]]:
    """`cases`: some of `CASES`. Swarm's engines are started only for those that it is compared in."""
    lab = Lab(run, nodes=3)
    lab.start()
    try:
        faults = [FAULTS[name] for name in FAULTS if name in cases]
        against = Swarm.of_its_own(run) if faults else None
        if against:
            against.start(run.directory / "demo.tar")
            for case in faults:
                yield _case(lab, against, case, runs)
        yield from outages.measure(lab, minutes, cases)
    finally:
        lab.stop()


@dataclass(slots=True)
class Times:
    """Seconds, of each round. `back`: from the end of the fault to exactly what is wanted and a ready node."""

    elsewhere: list[float]
    down: list[float]
    back: list[float]


def _case(lab: Lab, swarm: Swarm, case: str, runs: int) -> dict[str, Any]:
    ours, theirs = Times([], [], []), Times([], [], [])
    for number in range(runs):
        _berth_round(lab, case, 1 + number % 3, f"web-{number}", ours)
        # Not the manager: with it Swarm would lose its judgement as well.
        _swarm_round(swarm, case, 2 + number % 2, f"web-{number}", theirs)
    line: dict[str, Any] = {"case": f"six replicas run elsewhere after {case}", "runs": runs}
    for name, times in (("berth", ours), ("swarm", theirs)):
        for what in ("down", "elsewhere", "back"):
            line |= {f"{name}_{what}_{key}": value for key, value in spread(getattr(times, what)).items()}
        line[f"{name}_elsewhere_each_s"] = [round(one, 2) for one in times.elsewhere]
    return {**line, "aim_s": AIMS[case]}


def spread(seconds: list[float]) -> dict[str, float]:
    """p50 and p95; nothing of nothing."""
    if not seconds:
        return {}
    cuts = quantiles(seconds, n=20, method="inclusive") if len(seconds) > 1 else seconds * 19
    return {"p50_s": round(cuts[9], 2), "p95_s": round(cuts[18], 2)}


def until(condition: Callable[[], object], what: str, timeout: float = 120.0) -> float:
    """The time at which the condition was first seen to hold."""
    if not wait_until(condition, timeout, every=0.1):
        raise RuntimeError(f"after {timeout:.0f} s there is still not: {what}")
    return time.time()


# -- Berth


def _berth_round(lab: Lab, case: str, victim: int, name: str, times: Times) -> None:
    app = lab.api.post("/apps", {"name": name, "compose": COMPOSE})["operation"]["app"]["id"]
    until(lambda: len(running(lab, app)) == REPLICAS, "six replicas")
    # The first deploy's judgement is over, as it would be in the middle of the night.
    time.sleep(5.0)
    fault: Fault = Killed(lab, f"engine-{victim}") if case == "an engine dies" else Cut(lab, victim)
    begun = time.time()
    fault.inject()
    down = until(lambda: state(lab, victim) == "down", "the node down")
    until(lambda: len(running(lab, app, victim)) == REPLICAS, "six replicas elsewhere")
    times.down.append(down - begun)
    times.elsewhere.append(max(running(lab, app, victim).values()) - begun)
    time.sleep(max(0.0, begun + CUT_FOR - time.time()) if isinstance(fault, Cut) else 0.0)
    healed = time.time()
    fault.heal()
    clean = until(lambda: exact(lab, app) and state(lab, victim) == "ready", "what is wanted alone")
    times.back.append(clean - healed)
    lab.remove_apps()


def running(lab: Lab, app: str, without: int = 0) -> dict[str, float]:
    """Start by slot, of what runs on the engines but for that host's."""
    hosts = [host for number, host in enumerate(lab.hosts, 1) if number != without]
    return {one.name: one.started for host in hosts for one in look_at(host.engine, app) if one.running}


def exact(lab: Lab, app: str) -> bool:
    """Nothing else of the app is on any engine."""
    seen = [one for host in lab.hosts for one in look_at(host.engine, app)]
    return len(seen) == REPLICAS and len({one.name for one in seen if one.running}) == REPLICAS


def state(lab: Lab, number: int) -> str:
    try:
        nodes = lab.api.get("/nodes")["items"]
    except ApiError:
        return "unknown"
    return next(str(one["observed"]["state"]) for one in nodes if one["name"] == f"node-{number}")


# -- Swarm


def _swarm_round(swarm: Swarm, case: str, victim: int, name: str, times: Times) -> None:
    swarm.create(name, REPLICAS)
    time.sleep(5.0)
    host = swarm.hosts[victim - 1]
    begun = time.time()
    if case == "an engine dies":
        host.engine.kill()
    else:
        host.host.cut()
    down = until(lambda: swarm.state(victim) == "down", "the node down")
    until(lambda: len(swarm.started(name, without=victim)) == REPLICAS, "six replicas elsewhere")
    times.down.append(down - begun)
    times.elsewhere.append(max(swarm.started(name, without=victim)) - begun)
    if case != "an engine dies":
        time.sleep(max(0.0, begun + CUT_FOR - time.time()))
    healed = time.time()
    host.host.heal()
    host.engine.start(90.0)
    clean = until(
        lambda: swarm.state(victim) == "ready" and len(swarm.started(name)) == REPLICAS, "six replicas alone"
    )
    times.back.append(clean - healed)
    swarm.remove(name)
