"""Following an operation to its end: bars for people at a terminal, lines for everybody else."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn

from berth import output
from berth.client import LONGEST_WAIT, Client, Json
from berth.errors import CliError, Exit

RUNNING = "running"
WATCHING = 1.0
"""Seconds between two looks at the app while its bars are shown."""


def follow(client: Client, operation: Json, timeout: float, *, quiet: bool = False) -> Json:
    """The operation once it has ended well. `quiet`: show nothing.

    Raises CliError if it failed, or has not ended when the time is up.
    """
    if quiet:
        return _verdict(_wait(client, operation, timeout), timeout)
    if output.err.is_terminal:
        return _verdict(_with_bars(client, operation, timeout), timeout)
    return _verdict(_with_lines(client, operation, timeout), timeout)


def _verdict(operation: Json, timeout: float) -> Json:
    if operation["state"] == RUNNING:
        text = f"It goes on after {timeout:g} s: berth wait {operation['id']}"
        raise CliError(text, Exit.TIMEOUT)
    if operation["state"] != "succeeded":
        reason = operation["error"] or "no reason was given"
        raise CliError(f"{_what(operation)} {operation['state'].replace('_', ' ')}: {reason}", Exit.FAILED)
    return operation


def _what(operation: Json) -> str:
    target = f" {operation['target']}" if operation["target"] else ""
    return f"{operation['kind'].capitalize()} of {operation['app']['name']}{target}"


def _wait(client: Client, operation: Json, timeout: float) -> Json:
    end = time.monotonic() + timeout
    while operation["state"] == RUNNING and (left := end - time.monotonic()) > 0:
        operation = client.get(_wait_path(operation), {"timeout": min(left, LONGEST_WAIT)})
    return operation


def _wait_path(operation: Json) -> str:
    return f"/operations/{operation['id']}/wait"


@dataclass(slots=True)
class Steps:
    """Prints each step of an operation once."""

    told: int = 0

    def tell(self, operation: Json) -> None:
        for step in operation["steps"][self.told :]:
            output.err.print(f"  {step['text']}", markup=False)
        self.told = max(self.told, len(operation["steps"]))


def _with_lines(client: Client, operation: Json, timeout: float) -> Json:
    steps, end = Steps(), time.monotonic() + timeout
    steps.tell(operation)
    while operation["state"] == RUNNING and (left := end - time.monotonic()) > 0:
        operation = client.get(_wait_path(operation), {"timeout": min(left, WATCHING)})
        steps.tell(operation)
    return operation


@dataclass(slots=True)
class Bars:
    """One bar for each service: how many of its wanted slots run well, from the release being rolled out."""

    progress: Progress
    bars: dict[str, TaskID] = field(default_factory=dict)

    def draw(self, app: Json) -> None:
        release = app["desired"]["release"]
        for service in app["services"]:
            name, wanted = service["name"], service["desired"]["replicas"]
            if name not in self.bars:
                self.bars[name] = self.progress.add_task(name, total=wanted, about="")
            about = next((slot["pending"] for slot in service["slots"] if slot["pending"]), "")
            well = sum(_well(slot, release) for slot in service["slots"])
            self.progress.update(
                self.bars[name], completed=min(well, wanted), total=wanted, about=about or _stage(service)
            )


def _well(slot: Json, release: int | None) -> bool:
    """Whether what fills the slot runs, is not unhealthy, and is not of an older release."""
    if slot["container"] is None:
        return False
    seen = slot["container"]["observed"]
    newest = release is None or slot["container"]["desired"]["release"] == release
    return newest and seen["state"] == "running" and seen["health"] in {"none", "healthy"}


def _stage(service: Json) -> str:
    """What most of the slots that are not there yet are at."""
    found = [slot["container"]["observed"]["state"] for slot in service["slots"] if slot["container"]]
    waiting = [word for word in found if word != "running"]
    return max(set(waiting), key=waiting.count) if waiting else ""


def _with_bars(client: Client, operation: Json, timeout: float) -> Json:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TextColumn("{task.fields[about]}", markup=False),
    )
    steps, end = Steps(), time.monotonic() + timeout
    with Progress(*columns, console=output.err, transient=False) as progress:
        bars = Bars(progress)
        while True:
            steps.tell(operation)
            if operation["kind"] != "delete":
                bars.draw(client.get(f"/apps/{operation['app']['name']}")["app"])
            left = end - time.monotonic()
            if operation["state"] != RUNNING or left <= 0:
                return operation
            operation = client.get(_wait_path(operation), {"timeout": min(left, WATCHING)})
