"""Real parts for the tests: engines, Redis, PostgreSQL, Chromium. Each worker process has its own.

A part that this machine cannot have skips the test with the way to get it; in CI it fails the test.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
from django.contrib.auth.management import create_permissions
from django.contrib.contenttypes.management import create_contenttypes
from django.core.cache import cache
from django.db.models.signals import post_migrate
from hypothesis import settings as hypothesis_settings
from pytest_django.fixtures import Settings

from lab import demo_image, requirements
from lab.engine import Engine
from lab.lab import Lab
from lab.postgres import PostgresServer
from lab.redis_server import RedisServer
from lab.state import Run

# A busy machine is no defect.
hypothesis_settings.register_profile("berth", deadline=None)
hypothesis_settings.load_profile("berth")

# After each test that commits, the tables are emptied and these rows made anew. Nobody reads them.
post_migrate.disconnect(create_contenttypes)
post_migrate.disconnect(create_permissions, dispatch_uid="django.contrib.auth.management.create_permissions")

IN_CI = os.environ.get("BERTH_CI") == "1" or os.environ.get("CI") == "true"


def require(reason: str) -> None:
    """Skips (in CI: fails) the test when `reason` is not empty."""
    if not reason:
        return
    if IN_CI:
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a test that skips because it `needs` something fails, whoever skipped it."""
    del item, call
    report = yield
    if IN_CI and report.skipped and isinstance(report.longrepr, tuple) and "needs " in report.longrepr[2]:
        report.outcome = "failed"
        report.longrepr = report.longrepr[2]
    return report


@pytest.fixture(autouse=True)
def _fresh_counts() -> None:
    """Attempts that other tests made from the same address do not count."""
    cache.clear()


@pytest.fixture(scope="session")
def run() -> Iterator[Run]:
    """This session's run of the lab: what is started through it is gone at the end."""
    with Run.create() as created:
        yield created


@pytest.fixture(scope="session")
def demo_archive(run: Run) -> Path:
    """`berth/demo:latest` as a `docker load` archive."""
    require(requirements.demo_image())
    archive = run.directory / "demo.tar"
    demo_image.build(archive)
    return archive


@pytest.fixture(scope="session")
def engines(run: Run, demo_archive: Path) -> Callable[[int], list[Engine]]:
    """`engines(3)`: three engines, each a host of its own on one network, with berth/demo loaded.

    Asked again it gives the same ones, and more if more are wanted. Whoever breaks one mends it.
    """
    require(requirements.engine())
    made: list[Engine] = []

    def ask(count: int) -> list[Engine]:
        while len(made) < count:
            host = run.network.add_host()
            engine = Engine(run.directory / f"e{len(made) + 1}", netns=host.netns, address=host.address)
            engine.start()
            engine.load(demo_archive)
            made.append(engine)
        return made[:count]

    return ask


@pytest.fixture(scope="session")
def _first_engine(engines: Callable[[int], list[Engine]]) -> Engine:
    return engines(1)[0]


@pytest.fixture
def engine(_first_engine: Engine) -> Iterator[Engine]:
    """One engine with berth/demo; a test's containers are removed after it."""
    _first_engine.start()
    yield _first_engine
    _first_engine.start()
    _first_engine.remove_containers()


@pytest.fixture(scope="session")
def _lab3(run: Run) -> Iterator[Lab]:
    require(requirements.engine() or requirements.redis())
    # Old images go within seconds of what makes them old.
    lab = Lab(run, nodes=3, settings={"BERTH_IMAGES_EVERY": "10"})
    try:
        lab.start()
        yield lab
    finally:
        lab.stop()


@pytest.fixture
def lab3(_lab3: Lab) -> Iterator[Lab]:
    """Three nodes and a console, all running and ready, without apps; a test may kill any part."""
    _lab3.restart_all()
    yield _lab3
    _lab3.restart_all()
    _lab3.remove_apps()


@pytest.fixture(scope="session")
def _redis(run: Run) -> RedisServer:
    require(requirements.redis())
    return RedisServer(run)


@pytest.fixture
def redis_server(_redis: RedisServer) -> RedisServer:
    """A private Redis, running and empty; a test may kill it. Its extra users are the test's to remove."""
    _redis.start()
    _redis.flushall()
    return _redis


@pytest.fixture(scope="session")
def _postgres(run: Run) -> Iterator[PostgresServer]:
    require(requirements.database())
    server = PostgresServer(run)
    yield server
    server.stop()


@pytest.fixture
def postgres_server(_postgres: PostgresServer) -> PostgresServer:
    """A private PostgreSQL cluster, running; a test may kill it."""
    _postgres.start()
    return _postgres


@pytest.fixture
def log_folder(settings: Settings, tmp_path: Path) -> Path:
    """Where logs of ended containers are stored in this test."""
    folder = tmp_path / "container-logs"
    logs = {**settings.STORAGES["logs"], "OPTIONS": {"location": str(folder)}}
    settings.STORAGES = {**settings.STORAGES, "logs": logs}
    return folder


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of the browser."""
    require(requirements.chromium())
    return requirements.chromium_path()
