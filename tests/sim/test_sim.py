"""The whole loop under seeded faults. In processes of their own: a run takes over time, ids and the database."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

pytestmark = pytest.mark.thorough

ROOT = Path(__file__).resolve().parent.parent.parent


BROKEN = """
import sys
from sim.database import prepare
prepare()
from sim import checks
checks.MOST_LIVE = 0
if __name__ == "__main__":
    from sim.__main__ import main
    sys.exit(main())
"""
"""The simulation with a check that nothing can meet, in its workers too."""


def sim(*words: str, program: Sequence[str] = ("-m", "sim")) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *program, *words],
        cwd=ROOT,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "console.settings",
            "PYTHONHASHSEED": "0",
            "PYTHONPATH": str(ROOT),
        },
        capture_output=True,
        text=True,
        timeout=1500,
        check=False,
    )


def test_a_seed_replays_exactly() -> None:
    first, second = sim("--seed", "7", "--trace"), sim("--seed", "7", "--trace")
    assert first.stdout.splitlines()[-1] == "seed 7: passed"
    assert len(first.stdout.splitlines()) > 50
    assert first.stdout == second.stdout


@pytest.mark.timeout(600)
def test_seeds_pass() -> None:
    """Those that once failed, and a few more; `make test` runs 1,000."""
    done = sim("--corpus", "--seeds", "10")
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


def test_a_seed_that_fails_is_printed_and_replays(tmp_path: Path) -> None:
    program = tmp_path / "broken.py"
    program.write_text(BROKEN)
    found = sim("--seeds", "5", program=[str(program)])
    last, how = found.stdout.splitlines()[-2:]
    assert (found.returncode, last.split()[0]) == (1, "seed")
    assert "live containers" in last
    words = how.partition("-m sim ")[2].split()
    first, second = (sim(*words, program=[str(program)]) for _time in range(2))
    assert (first.returncode, first.stdout.splitlines()[-1]) == (1, last)
    assert first.stdout == second.stdout
