"""The whole loop under seeded faults. In processes of their own: a run takes over time, ids and the database."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.thorough

ROOT = Path(__file__).resolve().parent.parent.parent


def sim(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sim", *words],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "console.settings"},
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


@pytest.mark.slow
@pytest.mark.timeout(1600)
def test_seeds_pass() -> None:
    """Those that once failed, and 1,000 more."""
    done = sim("--corpus", "--seeds", "1000")
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
