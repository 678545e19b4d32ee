"""`make bench`: a lab of one node, and every measurement on it. JSON lines on standard output.

`step`, `failover` and `swarm` make what they need themselves, and only when they are asked for.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from bench import agent, failover, logs, memory, page, samples, start, step, swarm
from lab import requirements
from lab.lab import Lab
from lab.state import Run

MEASUREMENTS: dict[str, Callable[[Lab], Iterator[dict[str, Any]]]] = {
    "start": start.measure,
    "logs": logs.measure,
    "page": page.measure,
    "memory": memory.measure,
    "agent": agent.measure,
    "samples": samples.measure,
}
ALONE: dict[str, Callable[[Run], Iterator[dict[str, Any]]]] = {"step": step.measure}
FAILOVER, SWARM = "failover", "swarm"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    choices = [*MEASUREMENTS, *ALONE, FAILOVER, SWARM]
    parser.add_argument("--runs", type=int, help="failover: rounds of each fault (20); swarm: turns (3)")
    parser.add_argument(
        "--most", type=int, default=swarm.MOST, help="swarm: replicas of the largest case (200)"
    )
    parser.add_argument("--floor", action="store_true", help="swarm: what the engines alone take, too")
    parser.add_argument("--plot", type=Path, help="swarm: the PNG to draw the curves in")
    parser.add_argument(
        "--minutes", type=float, default=10, help="failover: of stalls, and without a console (10)"
    )
    parser.add_argument(
        "--cases",
        nargs="+",
        default=failover.CASES,
        choices=failover.CASES,
        help="failover: some of its cases (all)",
    )
    parser.add_argument("only", nargs="*", metavar="only", help=f"some of {', '.join(choices)}")
    options = parser.parse_args()
    chosen = options.only or list(MEASUREMENTS)
    if unknown := set(chosen).difference(choices):
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    alone: dict[str, Callable[[Run], Iterator[dict[str, Any]]]] = {**ALONE}
    alone[FAILOVER] = partial(
        failover.measure, runs=options.runs or 20, minutes=options.minutes, cases=options.cases
    )
    alone[SWARM] = partial(
        swarm.measure, runs=options.runs or 3, most=options.most, plot=options.plot, floor=options.floor
    )
    in_lab = [name for name in chosen if name in MEASUREMENTS]
    engines = in_lab or {FAILOVER, SWARM}.intersection(chosen)
    missing = [requirements.redis(), requirements.engine() if engines else ""]
    missing += [requirements.database()] if "step" in chosen else []
    if any(missing):
        print(f"bench: {'; '.join(filter(None, missing))}", file=sys.stderr)
        return 1
    # Whoever ends it gets engines and containers cleared away all the same.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with Run.create() as run:
        for name in chosen:
            if name in alone:
                _print(alone[name](run))
        if in_lab:
            _measure_in_lab(run, in_lab)
    return 0


def _measure_in_lab(run: Run, names: list[str]) -> None:
    lab = Lab(run, nodes=1)
    lab.start()
    try:
        for name in names:
            _print(MEASUREMENTS[name](lab))
    finally:
        lab.stop()


def _print(lines: Iterator[dict[str, Any]]) -> None:
    for line in lines:
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    sys.exit(main())
