"""`python -m sim --seeds 1000`, `python -m sim --corpus --seeds 20`, `python -m sim --seed 7 --trace`."""

from __future__ import annotations

import argparse
import os
import sys
from itertools import chain

from sim.run import corpus, replay, run_seeds


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m sim", description="The whole loop under faults, by seeds."
    )
    parser.add_argument("--seed", type=int, help="run this one alone")
    parser.add_argument("--trace", action="store_true", help="with --seed: print every event")
    parser.add_argument("--seeds", type=int, default=0, help="run that many")
    parser.add_argument("--first", type=int, default=1, help="the first of them")
    parser.add_argument("--corpus", action="store_true", help="run the seeds that once found something")
    parser.add_argument("--processes", type=int, default=2)
    asked = parser.parse_args()
    if asked.seed is not None and asked.trace:
        return replay(asked.seed)
    alone = [] if asked.seed is None else [asked.seed]
    kept = corpus() if asked.corpus else []
    return run_seeds(chain(alone, kept, range(asked.first, asked.first + asked.seeds)), asked.processes)


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":
        # The order of a set of words differs between processes without it, and a seed would not replay.
        os.execve(
            sys.executable,
            [sys.executable, "-m", "sim", *sys.argv[1:]],
            {**os.environ, "PYTHONHASHSEED": "0"},
        )
    sys.exit(main())
