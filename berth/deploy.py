"""Deploying: the diff, the release, and how it goes."""

from __future__ import annotations

import difflib
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from berth import compose, output, plan
from berth.app import App, AsJson, Detach, Timeout, app, connect
from berth.client import Client, Json
from berth.errors import ApiError, CliError, Exit
from berth.progress import follow

File = Annotated[
    Path | None, typer.Option("--file", "-f", help="The Compose file; else the usual names are tried.")
]
EnvFile = Annotated[
    Path | None, typer.Option("--env-file", help="Values for ${NAME}; else .env beside the file.")
]
Vars = Annotated[
    list[str], typer.Option("--var", "-e", metavar="NAME=VALUE", help="One more value; may be repeated.")
]


@app.command()
def deploy(
    name: App,
    file: File = None,
    env_file: EnvFile = None,
    var: Vars = [],  # noqa: B006  (Typer copies it)
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Show what would change, where it would go and what it claims of the quota. Nothing changes.",
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    detach: Detach = False,
    timeout: Timeout = 900,
    json: AsJson = False,
) -> None:
    """Make a Compose file's app, or its next release; follow the rollout to its end."""
    bundle = compose.read(file, env_file, var)
    with connect() as client:
        current = _current(client, name)
        checked = client.post("/compose/check", bundle.body())
        _warn(checked)
        changes = diff(current["compose"] if current else "", bundle.compose)
        where, body = f"/apps/{name}/releases", bundle.body()
        if current is None:
            where, body = "/apps", {"name": name, **body}
        if not json:
            show_diff(changes)
        if dry_run:
            would = client.post(where, body, {"dry_run": True})
            if json:
                told = {"app": name, "new": current is None, "diff": changes, "check": checked}
                output.show_json({**told, "would": would})
            else:
                plan.show(would)
            return
        if (
            not (yes or json)
            and sys.stdin.isatty()
            and not typer.confirm(f"Deploy {name}?", default=True, err=True)
        ):
            raise CliError("Nothing was changed.", Exit.FAILED)
        answer = client.post(where, body)
        finish(client, answer, detach=detach, timeout=timeout, as_json=json)


def finish(client: Client, answer: Json, *, detach: bool, timeout: float, as_json: bool) -> None:
    """Of a write that answered with an operation: to its end, or with its id."""
    operation = answer["operation"]
    if not detach:
        operation = follow(client, operation, timeout, quiet=as_json)
    if as_json:
        output.show_json({**answer, "operation": operation})
    elif detach:
        output.out.print(operation["id"], markup=False)
    else:
        _done(client, operation)


def _done(client: Client, operation: Json) -> None:
    output.err.print(
        Text(f"{operation['kind'].capitalize()} of {operation['app']['name']} succeeded.", "green")
    )
    if operation["kind"] == "delete":
        return
    for url in client.get(f"/apps/{operation['app']['name']}")["app"]["urls"]:
        output.out.print(url, markup=False)


def _current(client: Client, name: str) -> Json | None:
    """The newest release with its file; None: there is no such app yet."""
    try:
        newest = next(client.items(f"/apps/{name}/releases"), None)
    except ApiError as error:
        if error.status == 404:
            return None
        raise
    found: Json | None = client.get(f"/apps/{name}/releases/{newest['number']}") if newest else None
    return found


def _warn(checked: Json) -> None:
    for one in checked["warnings"]:
        output.err.print(Text(f"warning: line {one['line']}: {one['key']}: {one['message']}", "yellow"))


def diff(old: str, new: str) -> list[str]:
    """Lines of a unified diff between two Compose files; none when they are equal."""
    sides = (old.splitlines(), new.splitlines())
    return list(difflib.unified_diff(*sides, "running" if old else "nothing", "this file", lineterm=""))


def show_diff(lines: list[str]) -> None:
    if not lines:
        output.err.print("The file is what runs already; images are looked up anew.")
    tones = {"+": "green", "-": "red", "@": "cyan"}
    for line in lines:
        output.err.print(Text(line, tones.get(line[0], "") if line else ""))


@app.command()
def rollback(
    name: App,
    to: Annotated[int, typer.Argument(help="The release's number; else the one before the newest.")] = 0,
    detach: Detach = False,
    timeout: Timeout = 900,
    json: AsJson = False,
) -> None:
    """A new release with an old one's content and images."""
    with connect() as client:
        target = to or _before(client, name)
        answer = client.post(f"/apps/{name}/rollback", {"release": target})
        finish(client, answer, detach=detach, timeout=timeout, as_json=json)


def _before(client: Client, name: str) -> int:
    """The newest release that was ready before the one that is newest now."""
    for one in list(client.items(f"/apps/{name}/releases"))[1:]:
        if one["state"] == "ready":
            return int(one["number"])
    raise CliError(f"{name} has no earlier release to go back to.", Exit.CONFLICT)
