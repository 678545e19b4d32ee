"""Changes that make no release: scale, restart, stop, start, delete; and waiting for any of them."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from berth import output
from berth.app import App, AsJson, Detach, Timeout, app, connect, path_of
from berth.deploy import finish
from berth.errors import CliError, Exit
from berth.progress import follow

Target = Annotated[str, typer.Argument(metavar="APP[/SERVICE]", help="The app, or one service of it.")]


@app.command()
def scale(
    name: App,
    wanted: Annotated[list[str], typer.Argument(metavar="SERVICE=N...", help="As in web=3 worker=2.")],
    detach: Detach = False,
    timeout: Timeout = 600,
    json: AsJson = False,
) -> None:
    """Set how many replicas services have."""
    pairs = [_pair(one) for one in wanted]
    with connect() as client:
        for service, replicas in pairs:
            answer = client.post(f"/apps/{name}/services/{service}/scale", {"replicas": replicas})
            finish(client, answer, detach=detach, timeout=timeout, as_json=json)


def _pair(text: str) -> tuple[str, int]:
    service, _equals, number = text.partition("=")
    if not service or not number.isdecimal():
        raise CliError(f"“{text}” is not SERVICE=N.", Exit.USAGE)
    return service, int(number)


@app.command()
def restart(name: Target, detach: Detach = False, timeout: Timeout = 600, json: AsJson = False) -> None:
    """Replace the running containers one by one."""
    _act(name, "restart", detach=detach, timeout=timeout, as_json=json)


@app.command()
def stop(name: Target, detach: Detach = False, timeout: Timeout = 600, json: AsJson = False) -> None:
    """Stop an app or a service. Its volumes stay."""
    _act(name, "stop", detach=detach, timeout=timeout, as_json=json)


@app.command()
def start(name: Target, detach: Detach = False, timeout: Timeout = 600, json: AsJson = False) -> None:
    """Start what was stopped."""
    _act(name, "start", detach=detach, timeout=timeout, as_json=json)


def _act(name: str, verb: str, *, detach: bool, timeout: float, as_json: bool) -> None:
    with connect() as client:
        answer = client.post(f"{path_of(name)}/{verb}")
        finish(client, answer, detach=detach, timeout=timeout, as_json=as_json)


@app.command()
def delete(
    name: App,
    volumes: Annotated[
        bool, typer.Option("--volumes", help="Delete its volumes too, with what is on them.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    detach: Detach = False,
    timeout: Timeout = 600,
    json: AsJson = False,
) -> None:
    """Stop an app and forget it. Its volumes stay on their nodes unless you say otherwise."""
    if not yes:
        if not sys.stdin.isatty():
            raise CliError("Say --yes: nobody is here to be asked.", Exit.USAGE)
        what = f"Type {name} to delete it{' and its volumes' if volumes else ''}"
        if typer.prompt(what, err=True) != name:
            raise CliError("Nothing was deleted.", Exit.FAILED)
    with connect() as client:
        answer = client.delete(f"/apps/{name}", {"volumes": "delete" if volumes else "keep"})
        finish(client, answer, detach=detach, timeout=timeout, as_json=json)


@app.command()
def wait(
    operation: Annotated[str, typer.Argument(help="Its id, as --detach printed it.")],
    timeout: Timeout = 900,
    json: AsJson = False,
) -> None:
    """Follow an operation to its end."""
    with connect() as client:
        found = client.get(f"/operations/{operation}")
        found = follow(client, found, timeout, quiet=json)
    if json:
        output.show_json(found)
