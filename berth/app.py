"""The command line's frame: its options, what every command shares, and how it ends."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Annotated, Any

import typer

from berth import __version__, config, output
from berth.client import Client
from berth.errors import CliError, Exit

app = typer.Typer(
    name="berth",
    help="Berth from the command line.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


_team: ContextVar[str] = ContextVar("team", default="")
"""Given before the command, for all of it."""


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"berth {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    team: Annotated[str, typer.Option("--team", "-t", help="Instead of the login's team.")] = "",
    _shown: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    _team.set(team)


def connect() -> Client:
    """A client of the chosen console and team."""
    return Client(config.load(team=_team.get()))


@contextmanager
def ended_well() -> Iterator[None]:
    """Turns what goes wrong into a sentence on standard error and an exit code."""
    try:
        yield
    except CliError as error:
        output.show_error(error)
        raise SystemExit(error.code) from error
    except BrokenPipeError:
        # The reader has seen enough, as `head` has; Python must not complain while it ends.
        sys.stderr.close()
        raise SystemExit(Exit.OK) from None


def app_names(incomplete: str) -> list[str]:
    """For the shell's completion, which must never fail loudly."""
    try:
        with Client(config.load()) as client:
            return [one["name"] for one in client.items("/apps") if one["name"].startswith(incomplete)]
    except CliError:
        return []


def node_names(incomplete: str) -> list[str]:
    try:
        with Client(config.load()) as client:
            return [one["name"] for one in client.items("/nodes") if one["name"].startswith(incomplete)]
    except CliError:
        return []


App = Annotated[str, typer.Argument(help="Its name.", autocompletion=app_names)]
Node = Annotated[str, typer.Argument(help="Its name.", autocompletion=node_names)]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document instead of a table.")]
Detach = Annotated[bool, typer.Option("--detach", "-d", help="Do not wait for the end.")]
Timeout = Annotated[float, typer.Option(help="Seconds to wait for the end.", min=0)]


def split(name: str) -> tuple[str, str]:
    """APP/SERVICE; the service may be left out."""
    app_name, _slash, service = name.partition("/")
    return app_name, service


def path_of(name: str) -> str:
    """The API's path of APP or APP/SERVICE."""
    app_name, service = split(name)
    return f"/apps/{app_name}/services/{service}" if service else f"/apps/{app_name}"


def show(value: Any, *, as_json: bool, columns: list[str], rows: list[list[Any]], nothing: str = "") -> None:
    if as_json:
        output.show_json(value)
    else:
        output.show_table(columns, rows, nothing)
