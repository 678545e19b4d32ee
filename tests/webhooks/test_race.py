"""Writers and workers at the same time, a worker killed among them: no event is lost, none sent that was not
committed."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from lab.postgres import PostgresServer
from tests import programs
from tests.webhooks.receiver import Receiver
from tests.webhooks.receiver import receiver as serve

WRITERS = 3


def start(environment: dict[str, str], *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.webhooks.race", *words],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    said, _error = process.communicate(timeout=120)
    assert process.returncode == 0
    return said


def race(home: Path, database: str) -> None:
    home.mkdir()
    environment = programs.environment(home, database) | {"BERTH_WEBHOOK_NETWORKS": "127.0.0.0/8"}
    with serve() as receiver:
        receiver.answer(200, slow=0.001)
        finish(start(environment, "setup", receiver.url))
        workers = [start(environment, "work") for _each in range(2)]
        try:
            writers = [start(environment, "write", str(seed)) for seed in range(WRITERS)]
            wait_for(receiver, 20)
            workers[0].kill()
            workers.append(start(environment, "work"))
            committed = sorted(number for one in writers for number in json.loads(finish(one)))
            seen = wait_for(receiver, len(committed))
        finally:
            for worker in workers:
                worker.kill()
                worker.communicate()
    assert len(committed) > 60
    assert sorted(seen) == committed
    assert sum(seen.values()) - len(seen) <= 1, "what was under way at the kill is sent twice, nothing else"


def wait_for(receiver: Receiver, count: int) -> Counter[int]:
    """How often each event has come, once there are so many. A dead worker's turn is over after some seconds."""
    until = time.monotonic() + 60
    while True:
        seen = Counter(json.loads(got.body)["data"]["id"] for got in list(receiver.got))
        if len(seen) >= count or time.monotonic() > until:
            return seen
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_nothing_is_lost_or_made_up(tmp_path: Path) -> None:
    race(tmp_path / "home", f"sqlite:///{tmp_path}/home/berth.sqlite3")


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.timeout(200)
def test_nothing_is_lost_or_made_up_on_postgresql(postgres_server: PostgresServer, tmp_path: Path) -> None:
    race(tmp_path / "home", postgres_server.new_database())
