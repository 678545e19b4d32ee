"""How full a cluster gets, and how small it can be made, on Alibaba's openb trace."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from time import process_time

import numpy as np

from scheduler.benchmark.lines import Aim, Line, judged, peak_mib
from scheduler.simulation.compact import compact
from scheduler.simulation.play import Result, play
from scheduler.simulation.traces import Trace, read
from scheduler.simulation.workload import arriving

NODES = "openb_node_list_all_node.csv"
PODS = {"default": "openb_pod_list_default.csv", "cpu250": "openb_pod_list_cpu250.csv"}
AIMS = {"default": 0.954, "cpu250": 0.932}
"""What FGD's authors report for it."""
LOAD = 1.3


def allocation(folder: Path, pods: str, policy: str, seeds: int) -> Line:
    """Share of the GPUs that is held when 130 % of them were asked for, in random order: mean of the seeds."""
    trace = read(folder / NODES, folder / PODS[pods])
    results = [play(arriving(trace, seed, LOAD), policy, seed, process_time) for seed in range(1, seeds + 1)]
    made = _line(f"openb {pods}", trace, policy, results)
    return judged(made, Aim("allocated", ">=", AIMS[pods])) if policy == "fgd" else made


def _line(case: str, trace: Trace, policy: str, results: list[Result]) -> Line:
    def mean(field: str) -> float:
        return float(np.mean([getattr(result, field) for result in results]))

    return {
        "case": case,
        "nodes": len(trace.nodes),
        "running": 0,
        "batch": 1,
        "policy": policy,
        "placements_per_s": round(mean("per_second")),
        "p50_us": round(mean("p50_us"), 1),
        "p99_us": round(mean("p99_us"), 1),
        "peak_mib": peak_mib(),
        "seeds": len(results),
        "allocated": round(mean("allocated"), 5),
        "first_refusal": round(mean("first_refusal"), 5),
        "fragmented": round(mean("fragmented"), 4),
    }


def compaction(folder: Path, pods: str, policy: str, seeds: int) -> Iterator[Line]:
    """Fewest nodes that still take every pod once, over what the linear relaxation says that they need."""
    trace = read(folder / NODES, folder / PODS[pods])
    for seed in range(1, seeds + 1):
        before = process_time()
        found = compact(arriving(trace, seed, 0), policy, seed)
        yield {
            "case": f"compaction {pods}",
            "nodes": found.nodes if found else None,
            "running": 0,
            "batch": trace.wants,
            "policy": policy,
            "seed": seed,
            "bound": found.bound if found else None,
            "ratio": round(found.ratio, 4) if found else None,
            "seconds": round(process_time() - before, 1),
            "peak_mib": peak_mib(),
        }
