"""`make bench-scheduler`: how fast the scheduler places and how well. JSON lines on standard output.

Each case runs in a process of its own. Times are CPU time of that process, so that what else runs on the
machine does not count; `peak_mib` is the most memory it had resident, Python and NumPy included.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from scheduler.benchmark import changing, placing, quality
from scheduler.benchmark.lines import Line
from scheduler.benchmark.world import Size
from scheduler.garbage import look_seldom

ONE_CORE = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

Case = Callable[[argparse.Namespace], Iterator[Line]]


def _sized(measure: Callable[[Size], Iterator[Line]]) -> Case:
    return lambda options: measure(Size(options.nodes, options.running))


def _allocation(pods: str, policy: str) -> Case:
    return lambda options: iter([quality.allocation(options.openb, pods, policy, options.seeds)])


def _compaction(pods: str) -> Case:
    return lambda options: quality.compaction(options.openb, pods, "fgd", min(options.seeds, 3))


CASES: Mapping[str, Case] = {
    "identical": _sized(placing.identical),
    "different": _sized(placing.different),
    "single": _sized(placing.single),
    "million": _sized(placing.million),
    "changed": _sized(changing.changed),
    **{
        f"openb-{pods}-{policy}": _allocation(pods, policy)
        for pods in quality.PODS
        for policy in ("random", "bestfit", "fgd")
    },
    **{f"compaction-{pods}": _compaction(pods) for pods in quality.PODS},
}


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    if options.here:
        look_seldom()  # as the controller's process does
        for line in CASES[options.here](options):
            print(json.dumps(line), flush=True)
        return 0
    chosen = [name for name in CASES if not options.only or name.startswith(tuple(options.only))]
    if not chosen:
        print(f"bench: no case starts so; there are {', '.join(CASES)}", file=sys.stderr)
        return 2
    return max(_run(name, options) for name in chosen)


def _reason(name: str, options: argparse.Namespace) -> str:
    """Why the case cannot run here; empty when it can."""
    if name.startswith(("openb-", "compaction-")) and not (
        options.openb and (options.openb / quality.NODES).is_file()
    ):
        return "skipped: --openb or BERTH_OPENB names no folder with the openb trace"
    if name.startswith("compaction-") and find_spec("scipy") is None:
        return "skipped: its lower bound needs SciPy, which the development requirements install"
    return ""


def _run(name: str, options: argparse.Namespace) -> int:
    if reason := _reason(name, options):
        print(f"{name}: {reason}", file=sys.stderr)
        return 0
    command = [sys.executable, "-m", "scheduler.bench", "--here", name, "--seeds", str(options.seeds)]
    command += ["--nodes", str(options.nodes), "--running", str(options.running)]
    command += ["--openb", str(options.openb)] if options.openb else []
    return subprocess.run(command, env={**os.environ, **ONE_CORE}, check=False).returncode


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m scheduler.bench", description=__doc__)
    parser.add_argument("only", nargs="*", help=f"cases that start so, of {', '.join(CASES)} (all)")
    parser.add_argument("--nodes", type=int, default=Size().nodes)
    parser.add_argument("--running", type=int, default=Size().running)
    parser.add_argument("--seeds", type=int, default=10, help="of the openb cases")
    folder = os.environ.get("BERTH_OPENB")
    parser.add_argument("--openb", type=Path, default=Path(folder) if folder else None, metavar="DIR")
    parser.add_argument("--here", choices=CASES, help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
