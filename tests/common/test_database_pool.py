"""A web process on PostgreSQL, with fewer connections than requests at a time."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from lab import programs
from lab.postgres import PostgresServer
from lab.processes import wait_until
from lab.redis_server import RedisServer, free_port
from tests.programs import environment

pytestmark = pytest.mark.postgres

CONNECTIONS = 2
REQUESTS = 40
AWAY, FOUND_WITHIN = 17.0, 7.0
"""Seconds."""


@pytest.fixture
def address(tmp_path: Path, postgres_server: PostgresServer, redis_server: RedisServer) -> Iterator[str]:
    port = free_port()
    env = environment(tmp_path, postgres_server.new_database())
    env |= {"REDIS_URL": redis_server.url, "BERTH_DATABASE_POOL": str(CONNECTIONS)}
    migrate = [sys.executable, "manage.py", "migrate", "--no-input"]
    subprocess.run(migrate, env=env, cwd=programs.ROOT, check=True, capture_output=True)
    process = subprocess.Popen(programs.web("127.0.0.1", port), env=env, cwd=programs.ROOT)
    address = f"http://127.0.0.1:{port}"
    try:
        assert wait_until(lambda: _healthy(address), 30.0)
        yield address
    finally:
        process.terminate()
        process.wait(10.0)


def _healthy(address: str) -> bool:
    """What it answers to a request for which it asks the database."""
    try:
        return httpx.get(f"{address}/healthz", timeout=30.0).status_code == 200
    except httpx.HTTPError:
        return False


def test_more_requests_than_connections_are_all_answered(address: str) -> None:
    with ThreadPoolExecutor(4 * CONNECTIONS) as threads:
        assert all(threads.map(_healthy, [address] * REQUESTS))


def test_after_a_restart_of_postgresql_no_request_is_given_a_dead_connection(
    address: str, postgres_server: PostgresServer
) -> None:
    postgres_server.stop()
    postgres_server.start()
    assert [_healthy(address) for _ in range(2 * CONNECTIONS)] == [True] * 2 * CONNECTIONS


def test_a_server_that_was_away_while_it_was_asked_is_found_again_at_once(
    address: str, postgres_server: PostgresServer
) -> None:
    postgres_server.stop()
    back = time.monotonic() + AWAY
    while time.monotonic() < back:
        assert not _healthy(address)
    postgres_server.start()
    begun = time.monotonic()
    assert wait_until(lambda: _healthy(address), 60.0)
    assert time.monotonic() - begun < FOUND_WITHIN
