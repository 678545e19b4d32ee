"""One run: the lab, the faults and the people by the seed, then the engines' verdict."""

from __future__ import annotations

import shutil
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from chaos import checker
from chaos.plan import Planned, plan
from chaos.users import Deed, Users, deeds
from lab import requirements
from lab.disks import MIB
from lab.eventlog import TROUBLE, EventLog
from lab.faults import PowerCut
from lab.lab import Lab
from lab.look import Seen, look_at
from lab.runs import runs_of
from lab.state import Run

HOSTS = 3
DISK = 256 * MIB
CONVERGED_WITHIN = 60.0
ANSWERED_WITHIN = 30.0


@dataclass(slots=True)
class Report:
    """`problems` is empty when all held. `log`: what was done when, in seconds from the beginning."""

    seed: int
    problems: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    faults: int = 0
    asked: int = 0
    granted: int = 0
    runs: int = 0
    converged_s: float | None = None

    def __str__(self) -> str:
        figures = (
            f"seed {self.seed}: {self.faults} faults, {self.asked} requests ({self.granted} granted), "
            f"{self.runs} runs of containers, converged after "
        )
        took = "never" if self.converged_s is None else f"{self.converged_s:.1f} s"
        return "\n".join([f"{figures}{took}", *self.problems])


def play(
    seed: int,
    *,
    minutes: float,
    per_minute: int = 20,
    deeds_per_minute: int = 15,
    logs: Path | None = None,
    say: Callable[[str], None] = print,
) -> Report:
    """Starts a lab of its own and removes it. `logs`: a folder that gets the processes' logs."""
    database: Literal["sqlite", "postgres"] = "sqlite" if requirements.database() else "postgres"
    with Run.create() as run:
        lab = Lab(run, nodes=HOSTS, database=database, disk=DISK)
        try:
            lab.start()
            faults = plan(
                seed, minutes=minutes, per_minute=per_minute, hosts=HOSTS, postgres=lab.postgres is not None
            )
            users = deeds(seed, minutes=minutes, per_minute=deeds_per_minute)
            for line in ("faults:", *map(str, faults), "requests:", *map(str, users)):
                say(line)
            game = Game(lab, Report(seed), say)
            return game.play(faults, users)
        finally:
            lab.stop()
            if logs:
                keep_logs(run.directory, logs)


def keep_logs(directory: Path, target: Path) -> None:
    for path in directory.rglob("*.log"):
        if "disk" not in path.parts:
            kept = target / path.relative_to(directory)
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, kept)


class Game:
    def __init__(self, lab: Lab, report: Report, say: Callable[[str], None]) -> None:
        self.lab, self.report, self._say = lab, report, say
        self._begun = time.monotonic()
        self._locks: dict[str, threading.Lock] = defaultdict(threading.Lock)
        self._events = EventLog({host.name: host.engine for host in lab.hosts})

    def play(self, faults: Sequence[Planned], todo: Sequence[Deed]) -> Report:
        users = Users(lambda: self.lab.api, todo, lambda text: self.note(f"user   {text}"))
        threads = [threading.Thread(target=self._suffer, args=(fault,), daemon=True) for fault in faults]
        self._events.start()
        self._begun = time.monotonic()
        for thread in (users.thread, *threads):
            thread.start()
        for thread in (*threads, users.thread):
            thread.join()
        self.report.faults, mended = len(faults), time.monotonic()
        self.note("all is mended")
        self._end(users, mended)
        self._events.stop()
        self.report.asked, self.report.granted = users.asked, users.granted
        runs = runs_of(self._events.moments())
        self.report.runs = len(runs)
        self.report.problems += checker.broken(runs)
        return self.report

    def note(self, text: str) -> None:
        line = f"{time.monotonic() - self._begun:7.1f}  {text}"
        self.report.log.append(line)
        self._say(line)

    def _suffer(self, planned: Planned) -> None:
        """One fault, from its time to its mending. A part that an earlier one still mends is waited for."""
        fault = planned.fault(self.lab)
        time.sleep(max(0.0, self._begun + planned.at - time.monotonic()))
        with ExitStack() as held:
            for part in sorted(fault.parts):
                held.enter_context(self._locks[part])
            try:
                self.note(f"fault  {fault}, {planned.seconds} s")
                fault.inject()
                if isinstance(fault, PowerCut):
                    self._events.went_dark(fault.host.name)
                time.sleep(planned.seconds)
                fault.heal()
                if planned.seconds:
                    self.note(f"mended {fault}")
            except Exception as error:  # noqa: BLE001  (a lab that cannot do its part is a finding, too)
                self.report.problems.append(f"the lab: {fault}: {type(error).__name__}: {error}")

    def _end(self, users: Users, mended: float) -> None:
        """From the last mending on: the people's last word, then the engines' word that it was heeded."""
        if not users.settle(ANSWERED_WITHIN):
            self.report.problems.append(f"the console gave no clear answers within {ANSWERED_WITHIN:.0f} s")
        slots = checker.expected(users.wanted)
        left = ["nobody has looked"]
        while time.monotonic() - mended < CONVERGED_WITHIN and left:
            time.sleep(0.5)
            left = checker.amiss(slots, self._there())
        if left:
            self.report.problems += [f"after {CONVERGED_WITHIN:.0f} s: {line}" for line in left]
        else:
            self.report.converged_s = time.monotonic() - mended
            self.note("the engines have what is wanted")

    def _there(self) -> dict[str, Iterable[Seen]]:
        try:
            return {host.name: look_at(host.engine) for host in self.lab.hosts}
        except TROUBLE as error:
            self.note(f"an engine does not answer: {error}")
            return {}
