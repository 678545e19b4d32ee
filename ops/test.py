"""`make test`: what can share the machine on both cores, the simulation, then what needs it alone, then PostgreSQL."""

from __future__ import annotations

import os
import sys

from lab import requirements
from ops import steps

TOGETHER = "not engine and not browser and not postgres"
ALONE = "engine or browser or postgres"
ON_POSTGRES = "not engine and not browser and not postgres and not slow"


def main() -> int:
    pytest = [sys.executable, "-m", "pytest", "-q", "--color=auto"]
    failed = []
    # The slow ones among them last many seconds each: whoever is done takes some of the other's.
    if not steps.run("quick and slow tests", [*pytest, "-n", "2", "--dist", "worksteal", "-m", TOGETHER]):
        failed.append("quick and slow tests")
    # In processes of its own, with its progress shown: the seeds that once failed, and 1,000 more.
    if not steps.run(
        "the whole loop, simulated", [sys.executable, "-m", "sim", "--corpus", "--seeds", "1000"]
    ):
        failed.append("simulation")
    if not steps.run("engines, browser, PostgreSQL", [*pytest, "-v", "-m", ALONE]):
        failed.append("engine and browser tests")
    if not _on_postgres(pytest):
        failed.append("console on PostgreSQL")
    return steps.finish("make test", failed)


def _on_postgres(pytest: list[str]) -> bool:
    """The console's tests again, on the other database."""
    if missing := requirements.database():
        print(f"--- the console on PostgreSQL: skipped, {missing}", flush=True)
        return os.environ.get("BERTH_CI") != "1"
    # Without a database, or, as the matrix, about who may ask what: which database answers is all the same.
    elsewhere = [f"--ignore=tests/{name}" for name in ("lab", "matrix", "nodeagent", "scheduler")]
    argv = [sys.executable, "-m", "lab.postgres", *pytest, "-n", "2", "-m", ON_POSTGRES, *elsewhere]
    return steps.run("the console on PostgreSQL", argv)


if __name__ == "__main__":
    sys.exit(main())
