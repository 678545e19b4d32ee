"""The worker's clock process, with a real worker and Redis."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from lab import programs
from lab.processes import wait_until
from lab.redis_server import RedisServer

pytestmark = [pytest.mark.redis, pytest.mark.slow]


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_it_ends_with_a_worker_that_is_killed(redis_server: RedisServer, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "BERTH_HOME": str(tmp_path),
        "BERTH_SECRET_KEY": "k" * 40,
        "REDIS_URL": redis_server.url,
        "DATABASE_URL": f"sqlite:///{tmp_path}/berth.sqlite3",
    }
    with (tmp_path / "log").open("w") as log:
        worker = subprocess.Popen(programs.worker(tmp_path), env=environment, stdout=log, stderr=log)
    try:
        assert wait_until(lambda: children(worker.pid), 30), (tmp_path / "log").read_text()
        [clock] = children(worker.pid)
        schedule = tmp_path / "celery-schedule"
        assert wait_until(lambda: list(tmp_path.glob(f"{schedule.name}*")), 30), (
            tmp_path / "log"
        ).read_text()
        time.sleep(2)  # it opens its schedule right before it is said to have begun
        worker.kill()
        worker.wait()
        assert wait_until(lambda: _is_gone(clock), 10), "it rings on"
    finally:
        worker.kill()
        worker.wait()


def _is_gone(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIG_DFL)
    except ProcessLookupError:
        return True
    # Nobody may be there to take its exit status.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
