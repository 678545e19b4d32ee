"""Volumes: which there are, who has them, and how one is deleted."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated, Any

import typer

from berth import output
from berth.app import AsJson, Detach, Timeout, app, app_names, connect, show
from berth.client import Client, Json
from berth.deploy import finish
from berth.errors import CliError, Exit

COLUMNS = ["VOLUME", "ID", "NODE", "SIZE", "USED BY", "ABOUT"]
Name = Annotated[str, typer.Argument(metavar="APP/VOLUME", help="Its app and its name there; or its id.")]


class Verb(StrEnum):
    DELETE = "delete"


@app.command()
def volumes(
    name: Annotated[str, typer.Argument(help="One app's alone.", autocompletion=app_names)] = "",
    json: AsJson = False,
) -> None:
    """The team's volumes, also those that have outlived their apps."""
    with connect() as client:
        found = list(client.items(f"/apps/{name}/volumes" if name else "/volumes"))
    rows = [_row(one) for one in found]
    show(found, as_json=json, columns=COLUMNS, rows=rows, nothing="No volumes yet.")


@app.command()
def volume(
    name: Name,
    verb: Annotated[Verb | None, typer.Argument(help="Else it is shown.")] = None,
    forget: Annotated[
        bool, typer.Option("--forget", help="With delete: its node will not come back; for administrators.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    detach: Detach = False,
    timeout: Timeout = 600,
    json: AsJson = False,
) -> None:
    """One volume; or delete it with what is on it, which is refused while something has or mounts it."""
    with connect() as client:
        found = _find(client, name)
        if verb is Verb.DELETE:
            _confirm(found, yes=yes)
            answer = client.delete(f"/volumes/{found['id']}", {"forget": forget})
            finish(client, answer, detach=detach, timeout=timeout, as_json=json)
        else:
            show(found, as_json=json, columns=COLUMNS, rows=[_row(found)])


def _row(one: Json) -> list[Any]:
    about = ["its app is gone"] if one["kept"] else []
    about += ["being deleted"] if one["deleting"] else []
    return [
        _full_name(one),
        one["id"],
        one["node"]["name"] if one["node"] else "-",
        "-" if one["bytes"] is None else output.size(one["bytes"]),
        " ".join(one["containers"] or one["services"]) or "-",
        "; ".join(about),
    ]


def _full_name(one: Json) -> str:
    return f"{one['app']}/{one['name']}"


def _find(client: Client, name: str) -> Json:
    """By APP/VOLUME, which several may have on several nodes or after one another; or by its id."""
    if "/" not in name:
        found: Json = client.get(f"/volumes/{name}")
        return found
    matching = [one for one in client.items("/volumes") if _full_name(one) == name]
    if not matching:
        raise CliError(f"There is no volume {name}.", Exit.NOT_FOUND)
    if len(matching) > 1:
        lines = [
            f"{one['id']} on {one['node']['name'] if one['node'] else 'no node'}"
            + (", of an app that is gone" if one["kept"] else "")
            for one in matching
        ]
        raise CliError(f"{len(matching)} volumes are called {name}. Say which by its id:", Exit.USAGE, lines)
    return matching[0]


def _confirm(found: Json, *, yes: bool) -> None:
    """The data is gone for good: its name is to be typed, unless --yes says so."""
    if found["why_not"]:
        raise CliError(found["why_not"], Exit.CONFLICT)
    if yes:
        return
    if not sys.stdin.isatty():
        raise CliError("Say --yes: nobody is here to be asked.", Exit.USAGE)
    name = _full_name(found)
    if typer.prompt(f"Type {name} to delete it with what is on it", err=True) != name:
        raise CliError("Nothing was deleted.", Exit.FAILED)
