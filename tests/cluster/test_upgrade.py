"""The next release, with a migration of a busy table, takes over from this one while an app is visited all the time."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import pytest

from lab import programs, requirements
from lab.api import Api, ApiError
from lab.lab import CONSOLE, PORT, Lab
from lab.look import look_at
from lab.processes import Process, wait_until
from lab.state import Run
from tests.cluster.conftest import Cluster
from tests.conftest import require

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(280)]

VISITED = """
services:
  web:
    image: berth/demo
    ports: ["8080:80"]
    deploy: {replicas: 2}
"""
MIGRATION = """
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("workloads", "%s")]
    operations = [
        migrations.AddField("container", "mark", models.CharField(max_length=9, db_default="next")),
        migrations.AddIndex("container", models.Index(fields=["mark"], name="container_mark")),
    ]
"""
MODEL = """
models.CharField(max_length=9, db_default="next").contribute_to_class(Container, "mark")
Container._meta.indexes.append(models.Index(fields=["mark"], name="container_mark"))
"""
"""What the next release adds: its code reads and writes the column with every container."""
IMPORT = "from console.cluster.models import Node; from console.workloads.models import Container"
MARKS = "[*Container.objects.order_by().values_list('mark', flat=True).distinct()]"


def make_next_release(root: Path) -> Path:
    """A tree that is this one with one more migration, and code that needs it."""
    root.mkdir()
    for name in ("scheduler", "nodeagent", "templates", "static", "locale"):
        (root / name).symlink_to(programs.ROOT / name)
    shutil.copytree(programs.ROOT / "console", root / "console", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(programs.ROOT / "manage.py", root)
    folder = root / "console" / "workloads" / "migrations"
    newest = max(path.stem for path in folder.glob("0*.py"))
    (folder / f"{int(newest[:4]) + 1:04}_next.py").write_text(MIGRATION % newest)
    with (root / "console" / "workloads" / "models.py").open("a") as models:
        models.write(MODEL)
    return root


class Visitors:
    """Every address is asked without a pause to speak of, each time on a new connection, until `stop()`."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self.answered: list[float] = []
        self.failed: list[str] = []
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._visit, args=(one,)) for one in addresses]

    def _visit(self, address: str) -> None:
        while not self._over.wait(0.02):
            try:
                with urllib.request.urlopen(f"{address}/healthz", timeout=5) as answer:
                    assert answer.read() == b"ok\n"
            except (urllib.error.URLError, OSError, AssertionError) as error:
                self.failed.append(f"{time.strftime('%T')} {address}: {error!r}")
            else:
                self.answered.append(time.monotonic())

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(10.0)

    def between(self, begun: float, ended: float) -> int:
        """How many were answered then."""
        return sum(begun <= moment <= ended for moment in self.answered)


@dataclass(frozen=True)
class Upgrade(Cluster):
    """`lab` runs this release; `next` is the next one's processes, not yet started, from the tree `root`."""

    run: Run
    root: Path

    @cached_property
    def next(self) -> dict[str, Process]:
        address = urlsplit(self.lab.console.url).hostname or ""
        commands = {
            "web": programs.web(address, PORT),
            "second web": programs.web(address, PORT + 1),
            "controller": programs.controller(self.root),
            "worker": programs.worker(self.lab.console.home),
        }
        return {
            name: self.run.process(f"next-{name}", argv, env=self.lab.console.env, cwd=self.root)
            for name, argv in commands.items()
        }

    @property
    def second(self) -> Api:
        """The next release's web process on another port, as on a second machine."""
        return Api(self.lab.console.url.replace(str(PORT), str(PORT + 1)), self.lab.owner_token)

    def manage(self, *words: str) -> str:
        """A command of the next release, as an operator types it."""
        env, argv = dict(self.lab.console.env), [sys.executable, "manage.py", *words]
        done = subprocess.run(argv, cwd=self.root, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def ask(self, expression: str) -> str:
        return self.manage("shell", "--no-imports", "-c", f"{IMPORT}; print({expression})")

    def started(self, app: str) -> set[tuple[str, float]]:
        """Engine's id and start of each container: the same set means that none was restarted or replaced."""
        return {(one.id, one.started) for host in self.lab.hosts for one in look_at(host.engine, app)}

    def sessions(self) -> list[int]:
        """Number of each agent's link, which grows with every one."""
        nodes = self.ask("[*Node.objects.order_by('name').values_list('synced_session', flat=True)]")
        return [int(number) for number in json.loads(nodes)]

    def reconnected(self, since: list[int]) -> bool:
        """Whether every agent has come back and has its assignment."""
        self.lab.await_ready(60.0)
        return all(now > then for now, then in zip(self.sessions(), since, strict=True))

    def deploys(self, name: str, api: Api | None = None) -> bool:
        body = {"name": name, "compose": "services: {web: {image: berth/demo}}"}
        app = (api or self.lab.api).post("/apps", body)["operation"]["app"]["id"]
        return self.settles(app, 1)

    def report(self) -> str:
        ends = [f"--- next {name}\n{part.tail(12)}" for name, part in self.next.items()]
        return "\n".join([self.lab.report(), *ends])

    @contextmanager
    def visited(self) -> Iterator[Visitors]:
        """An app of two containers is asked all the while. At the end no visit has failed, and the same two run."""
        app = self.lab.api.post("/apps", {"name": "visited", "compose": VISITED})["operation"]["app"]["id"]
        assert self.settles(app, 2), self.report()
        before = self.started(app)
        visitors = Visitors([f"http://{node.host.address}:8080" for node in self.lab.hosts])
        visitors.start()
        try:
            yield visitors
        finally:
            visitors.stop()
        assert visitors.failed == []
        assert self.started(app) == before
        assert self.observed(app) == 2


@contextmanager
def upgrade(database: Literal["sqlite", "postgres"], root: Path) -> Iterator[Upgrade]:
    with Run.create() as run:
        lab = Lab(run, nodes=2, database=database)
        made = Upgrade(lab, run, make_next_release(root))
        try:
            lab.start()
            yield made
        finally:
            for part in made.next.values():
                part.stop()
            lab.stop()


def test_one_machine_ends_its_console_migrates_and_starts_the_next(tmp_path: Path) -> None:
    require(requirements.engine() or requirements.redis())
    with upgrade("sqlite", tmp_path / "next") as made, made.visited() as visitors:
        before = made.sessions()
        begun = time.monotonic()
        for name in CONSOLE:
            made.lab.stop_one(name)
        made.manage("migrate", "--no-input")
        # Long enough for agents to know that nobody is there.
        time.sleep(5.0)
        for name in CONSOLE:
            made.next[name].start()
        assert wait_until(lambda: made.reconnected(before), 60.0, every=0.5), made.report()
        assert visitors.between(begun, time.monotonic()) > 100
        assert made.deploys("after"), made.report()
        assert made.ask(MARKS) == "['next']"


def test_two_machines_change_one_after_the_other(tmp_path: Path) -> None:
    """The database is migrated under this release's processes, which go on working on it."""
    require(requirements.engine() or requirements.redis() or requirements.database())
    with upgrade("postgres", tmp_path / "next") as made, made.visited():
        lab = made.lab
        made.manage("migrate", "--no-input")
        assert made.deploys("old-alone"), made.report()
        before = made.sessions()

        for name in ("second web", "worker", "controller"):
            made.next[name].start()
        assert wait_until(lambda: answers(made.second), 30.0, every=0.2), made.report()
        assert made.deploys("by-the-newer", made.second), made.report()
        assert made.deploys("by-the-older"), made.report()
        assert "Leading" not in made.next["controller"].tail(50)

        for name in CONSOLE:
            lab.stop_one(name)
        made.next["web"].start()
        assert wait_until(lambda: made.reconnected(before), 60.0, every=0.5), made.report()
        assert made.deploys("new-alone"), made.report()
        assert "Leading" in made.next["controller"].tail(50)
        assert made.ask(MARKS) == "['next']"


def answers(api: Api) -> bool:
    try:
        api.get("/apps")
    except ApiError:
        return False
    return True
