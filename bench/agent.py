"""What an agent costs at rest, with a hundred containers that do nothing: processor time by the kernel's count, and
resident memory."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import psutil

from bench.costs import Costs
from lab.lab import Lab
from lab.look import look_at
from lab.processes import wait_until

CONTAINERS = 100
IDLE = f"""
services:
  idle:
    image: berth/demo
    command: [sleep, "100000"]
    stop_grace_period: 0s
    deploy: {{replicas: {CONTAINERS}, resources: {{limits: {{cpus: "0.01", memory: 8m}}}}}}
"""
SETTLE, SECONDS = 15.0, 60.0
AIM_PERCENT, AIM_MIB = 2.0, 80


def measure(lab: Lab) -> Iterator[dict[str, Any]]:
    """Raises `RuntimeError` when the containers do not come up."""
    start_idle(lab)
    time.sleep(SETTLE)
    yield at_rest(lab, SECONDS)
    lab.remove_apps()


def start_idle(lab: Lab) -> None:
    lab.api.post("/apps", {"name": "idle", "compose": IDLE})

    def running() -> int:
        return sum(one.running for one in look_at(lab.hosts[0].engine))

    if not wait_until(lambda: running() == CONTAINERS, 120.0, every=1.0):
        raise RuntimeError(f"only {running()} of {CONTAINERS} containers run")


def at_rest(lab: Lab, seconds: float) -> dict[str, Any]:
    """All that an agent does with them: heartbeats, looks, lists. Its engine's own time is told beside it."""
    pid = lab.pid("agent-1")
    if pid is None:
        raise RuntimeError("the agent does not run")
    spent: dict[str, dict[str, float]] = {}
    began = time.monotonic()
    with Costs({"agent": pid, "engine": lab.pid("engine-1")}).into(spent, "rest"):
        time.sleep(seconds)
    percent = {name: 100 * cost / (time.monotonic() - began) for name, cost in spent["rest"].items()}
    process = psutil.Process(pid)
    return {
        "case": f"agent with {CONTAINERS} idle containers",
        "seconds": seconds,
        "percent_of_a_core": round(percent["agent"], 2),
        "aim_percent": AIM_PERCENT,
        "engine_percent_of_a_core": round(percent["engine"], 2),
        "resident_mib": round(process.memory_info().rss / 2**20, 1),
        "aim_mib": AIM_MIB,
        "threads": process.num_threads(),
    }
