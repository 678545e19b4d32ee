"""Logs of an app, of a service, of one slot; past lines, or on and on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated

import typer
from rich.text import Text

from berth import output
from berth.app import app, connect, split
from berth.client import Client, Json, Query
from berth.errors import CliError, Exit

COLOURS = ("cyan", "green", "magenta", "blue", "yellow", "bright_cyan", "bright_green", "bright_magenta")
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@app.command()
def logs(
    name: Annotated[
        str, typer.Argument(metavar="APP[/SERVICE[.SLOT]]", help="As in shop, shop/web or shop/web.2.")
    ],
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with lines as they are written.")
    ] = False,
    tail: Annotated[
        int, typer.Option("--tail", "-n", min=-1, help="Past lines of each container; -1: as many as fit.")
    ] = -1,
    since: Annotated[str, typer.Option(help="A time, or an age such as 10m, 2h or 7d.")] = "",
    until: Annotated[str, typer.Option(help="As --since; not with --follow.")] = "",
    search: Annotated[str, typer.Option("--search", "-s", help="Lines with this text alone.")] = "",
    regex: Annotated[bool, typer.Option("--regex", help="The text is a pattern (RE2).")] = False,
    ended: Annotated[bool, typer.Option("--ended", "-a", help="Also of containers that are gone.")] = False,
    timestamps: Annotated[
        bool, typer.Option("--timestamps", "-T", help="With the time of each line.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object in a line.")] = False,
) -> None:
    """Lines of all replicas, merged by their time."""
    app_name, place = split(name)
    service, slot = _place(place)
    query: Query = {
        "follow": follow, "since": since, "until": until, "search": search, "regex": regex, "ended": ended,
        "service": service, **({"slot": slot} if slot else {}), **({"tail": tail} if tail >= 0 else {}),
    }  # fmt: skip
    with connect() as client:
        printer = Printer(timestamps=timestamps, as_json=json)
        for event in _events(client, f"/apps/{app_name}/logs", query, follow=follow):
            printer.show(event)


def _place(text: str) -> tuple[str, int]:
    service, dot, slot = text.partition(".")
    if dot and not slot.isdecimal():
        raise CliError(f"“{text}” is not SERVICE.SLOT.", Exit.USAGE)
    return service, int(slot or 0)


def _events(client: Client, path: str, query: Query, *, follow: bool) -> Iterator[Json]:
    if not follow:
        yield from client.lines(path, query)
        return
    for event in client.events(path, query):
        yield event.data


class Printer:
    """Writes what comes. Lines are data: control characters of theirs never reach the terminal."""

    def __init__(self, *, timestamps: bool, as_json: bool) -> None:
        self.timestamps, self.as_json = timestamps, as_json
        self.colours: dict[str, str] = {}

    def show(self, event: Json) -> None:
        if self.as_json:
            output.show_json_line(event)
            return
        match event["kind"]:
            case "line":
                output.out.print(self._line(event))
            case "gap":
                text = event["text"] or f"{event['dropped']} lines are missing here"
                output.err.print(Text(f"--- {event['name']}: {text}", "yellow"))
            case "error":
                raise CliError(event["text"], Exit.FAILED)

    def _line(self, event: Json) -> Text:
        name = event["name"]
        colour = self.colours.setdefault(name, COLOURS[len(self.colours) % len(COLOURS)])
        line = Text(f"{name} | ", colour)
        if self.timestamps:
            line.append(f"{event['at']} ", "dim")
        return line.append(printable(event["text"]))


def printable(text: str) -> Text:
    """Colours of the line stay; whatever else could move the cursor or the window's title is dropped."""
    shown = Text.from_ansi(text) if output.out.is_terminal else Text(text)
    shown.plain = CONTROL.sub("", shown.plain)
    return shown
