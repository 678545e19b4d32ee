"""Run a trace or a made-up workload against policies, and compare.

    python -m scheduler.simulate --nodes nodes.csv --pods pods.csv --load 1.3 --policy binpack,fgd,random
    python -m scheduler.simulate --synthetic nodes=500,zones=3,load=1.1 --policy spread,binpack --plot out.png
    python -m scheduler.simulate --nodes nodes.csv --pods pods.csv --policy fgd --compact

A trace is in openb's format or in one of our own:

    openb  nodes: sn,cpu_milli,memory_mib,gpu,model
           pods:  name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,...
    ours   nodes: name,cpu_milli,memory_mib[,zone][,gpu][,labels]
           services: app,service,replicas,cpu_milli,memory_mib[,max_per_node][,num_gpu][,gpu_milli]
                     [,spread][,constraints]
           labels: disk=ssd;rack=r1   spread: node.zone;node.labels.rack   constraints: node.labels.disk==ssd

Everything but the times depends on the arguments alone.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from scheduler.simulation import plot
from scheduler.simulation.compact import compact
from scheduler.simulation.play import Result, play
from scheduler.simulation.policies import NAMES
from scheduler.simulation.traces import Trace, TraceError, read
from scheduler.simulation.workload import Synthetic, arriving

TIMES = ("placed/s", "p50 us", "p99 us")
HEAD = ("policy", "placed", "refused", *TIMES, "held", "1st refusal", "fragmented", "skew", "moves")


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except (TraceError, OSError, ModuleNotFoundError) as error:
        print(f"simulate: {error}", file=sys.stderr)
        return 2


def _run(options: argparse.Namespace) -> int:
    if options.plot and (reason := plot.missing()):
        raise ModuleNotFoundError(reason)
    trace = _trace(options)
    if options.compact:
        return _compact(trace, options.policy, options.seed)
    results = [play(trace, policy, options.seed, budget=options.moves) for policy in options.policy]
    print(_table([HEAD, *map(_cells, results)]))
    if options.plot:
        plot.save(results, options.plot)
    return 0


def _trace(options: argparse.Namespace) -> Trace:
    if options.synthetic is not None:
        return Synthetic.parse(options.synthetic).trace(options.seed)
    if not (options.nodes and options.pods):
        raise TraceError("give --nodes and --pods, or --synthetic")
    return arriving(read(options.nodes, options.pods), options.seed, options.load)


def _compact(trace: Trace, policies: Sequence[str], seed: int) -> int:
    rows: list[tuple[str, ...]] = [("policy", "nodes", "bound", "ratio")]
    for policy in policies:
        found = compact(trace, policy, seed)
        if found is None:
            rows.append((policy, "never fits", "", ""))
        else:
            rows.append((policy, str(found.nodes), str(found.bound), f"{found.ratio:.3f}"))
    print(_table(rows))
    return 0


def _cells(result: Result) -> tuple[str, ...]:
    return (
        result.policy,
        f"{result.placed}",
        f"{result.refused}",
        f"{result.per_second:.0f}",
        f"{result.p50_us:.0f}",
        f"{result.p99_us:.0f}",
        f"{100 * result.allocated:.2f} %",
        "-" if result.first_refusal is None else f"{100 * result.first_refusal:.2f} %",
        f"{100 * result.fragmented:.1f} %",
        "-" if result.skew is None else f"{result.skew:.2f}",
        "-" if result.moves is None else f"{result.moves.number} (gain {100 * result.moves.gain:.1f} %)",
    )


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows
    )


def _policies(text: str) -> list[str]:
    names = text.split(",")
    if unknown := [name for name in names if name not in NAMES]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(NAMES)}")
    return names


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m scheduler.simulate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--nodes", type=Path, metavar="CSV")
    parser.add_argument("--pods", type=Path, metavar="CSV", help="pods (openb) or services (ours)")
    parser.add_argument(
        "--synthetic", metavar="NAME=NUMBER,…", help="nodes, zones, gpus, services, replicas, load"
    )
    parser.add_argument(
        "--policy", type=_policies, default=["spread", "binpack"], help=f"of {', '.join(NAMES)}"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--load",
        type=float,
        default=0.0,
        help="ask a trace's pods until this share of the cluster (0: each once)",
    )
    parser.add_argument(
        "--moves", type=int, default=0, metavar="BUDGET", help="of a rebalance at the end (0: none)"
    )
    parser.add_argument("--plot", type=Path, metavar="PNG")
    parser.add_argument(
        "--compact", action="store_true", help="fewest nodes that still take it, and a lower bound for it"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
