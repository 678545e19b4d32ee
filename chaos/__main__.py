"""`python -m chaos --minutes 3 --seed 7`: exit code 1, with the seed and what went wrong, unless all held."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from random import SystemRandom

from chaos.play import play
from lab import requirements


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=3, help="of faults (3)")
    parser.add_argument("--seed", type=int, help="the same seed plans the same faults and requests; else any")
    parser.add_argument("--faults-per-minute", type=int, default=20, help="(20)")
    parser.add_argument("--logs", type=Path, help="folder to keep the processes' logs in")
    options = parser.parse_args()
    if missing := requirements.engine() or requirements.redis():
        print(f"chaos: {missing}", file=sys.stderr)
        return 1
    seed = SystemRandom().randrange(1_000_000) if options.seed is None else options.seed
    print(f"chaos: seed {seed}", flush=True)
    report = play(
        seed,
        minutes=options.minutes,
        per_minute=options.faults_per_minute,
        logs=options.logs,
        say=lambda line: print(line, flush=True),
    )
    print(f"chaos: {report}")
    if report.problems:
        again = f"--seed {seed} --minutes {options.minutes:g} --faults-per-minute {options.faults_per_minute}"
        print(f"chaos: FAILED; again: python -m chaos {again}")
    return 1 if report.problems else 0


if __name__ == "__main__":
    sys.exit(main())
