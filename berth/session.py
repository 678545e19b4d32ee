"""Signing in and out."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from berth import config, output
from berth.app import AsJson, app, connect
from berth.client import Client
from berth.config import Login
from berth.errors import CliError, Exit


@app.command()
def login(
    url: Annotated[str, typer.Argument(help="The console's address, as https://berth.example.com.")],
    team: Annotated[str, typer.Option(help="Needed where the token's person is in several teams.")] = "",
    ca: Annotated[
        str, typer.Option(help="File with the authority that signed the console's certificate.")
    ] = "",
) -> None:
    """Keep an API token for this console. It is asked for, or read from standard input; never an argument."""
    if not url.startswith(("http://", "https://")):
        raise CliError(f"“{url}” is no address: begin it with https:// or http://.", Exit.USAGE)
    secret = typer.prompt("API token", hide_input=True) if sys.stdin.isatty() else sys.stdin.readline()
    token = secret.strip()
    if not token:
        raise CliError("No token was given.", Exit.USAGE)
    with Client(Login(url.rstrip("/"), team, token, ca)) as client:
        me = client.get("//me")
    teams = [one["slug"] for one in me["teams"]]
    chosen = team or (teams[0] if len(teams) == 1 else "")
    if chosen not in teams:
        among = ", ".join(teams) or "none"
        raise CliError(f"Choose a team with --team. This token opens: {among}.", Exit.USAGE)
    kept = config.save(Login(url.rstrip("/"), chosen, token, ca))
    output.err.print(
        f"Signed in as {me['user']['email']} in team {chosen}. The token is kept in {kept}.", markup=False
    )


@app.command()
def logout() -> None:
    """Forget the token that is kept. It stays valid until it is revoked."""
    output.err.print("Signed out." if config.forget() else "There was no login.")


@app.command()
def whoami(json: AsJson = False) -> None:
    """Who this token is, and where."""
    with connect() as client:
        me = client.get("//me")
        if json:
            output.show_json({**me, "console": client.login.url, "team": client.login.team})
            return
        row = [
            me["user"]["email"],
            client.login.team,
            (me.get("token") or {}).get("name", ""),
            client.login.url,
        ]
        output.show_table(["WHO", "TEAM", "TOKEN", "CONSOLE"], [row])
