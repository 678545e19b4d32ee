"""`make bench`: a lab of one node, and every measurement on it. JSON lines on standard output."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

from bench import logs, memory, page, start
from lab import requirements
from lab.lab import Lab
from lab.state import Run

MEASUREMENTS: dict[str, Callable[[Lab], Iterator[dict[str, Any]]]] = {
    "start": start.measure,
    "logs": logs.measure,
    "page": page.measure,
    "memory": memory.measure,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("only", nargs="*", help=f"some of {', '.join(MEASUREMENTS)} (all)")
    chosen = parser.parse_args().only or list(MEASUREMENTS)
    if missing := requirements.engine() or requirements.redis():
        print(f"bench: {missing}", file=sys.stderr)
        return 1
    with Run.create() as run:
        lab = Lab(run, nodes=1)
        lab.start()
        try:
            for name in chosen:
                for line in MEASUREMENTS[name](lab):
                    print(json.dumps(line), flush=True)
        finally:
            lab.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
