"""Webhooks: where the team's events are sent, how that went, and what an owner may do about it."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated, Any

import typer

from berth import output
from berth.app import AsJson, app, connect, show
from berth.client import Client, Json
from berth.errors import CliError, Exit

COLUMNS = ["WEBHOOK", "ID", "STATE", "EVENTS", "DELIVERED", "ADDRESS"]
LOG_COLUMNS = ["AGE", "EVENT", "STATE", "ATTEMPTS", "ANSWER", "MS", "ABOUT", "ID"]
Name = Annotated[str, typer.Argument(metavar="WEBHOOK", help="Its name or id.")]


class Verb(StrEnum):
    """`ping` sends a test event; `rotate` makes a new secret, while the old one signs for another day."""

    PING = "ping"
    PAUSE = "pause"
    ACTIVATE = "activate"
    ROTATE = "rotate"
    DELETE = "delete"


@app.command()
def webhooks(json: AsJson = False) -> None:
    """The team's webhooks. For owners, like all about them."""
    with connect() as client:
        found = list(client.items("/webhooks"))
    show(found, as_json=json, columns=COLUMNS, rows=[_row(one) for one in found], nothing="No webhooks yet.")


@app.command("webhook-add")
def webhook_add(
    name: Annotated[str, typer.Argument(help="What it is for.")],
    url: Annotated[str, typer.Argument(help="Where deliveries are sent.")],
    kind: Annotated[
        list[str] | None, typer.Option("--kind", "-k", help="As app.deploy, or app for all of them.")
    ] = None,
    app_name: Annotated[
        list[str] | None, typer.Option("--app", help="An app whose events it gets; else the team's.")
    ] = None,
    warnings: Annotated[bool, typer.Option("--warnings", help="Warnings only.")] = False,
    json: AsJson = False,
) -> None:
    """Have the team's events sent to an address. Prints the secret that signs deliveries, this once."""
    body = {"name": name, "url": url, "kinds": kind or [], "warnings_only": warnings}
    with connect() as client:
        made = client.post("/webhooks", {**body, "apps": app_name or None})
    _show_secret(made, as_json=json)


@app.command()
def webhook(
    name: Name,
    verb: Annotated[Verb | None, typer.Argument(help="Else it is shown, with its last deliveries.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=5000, help="Of deliveries.")] = 20,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: AsJson = False,
) -> None:
    """One webhook and the log of its deliveries; or test, pause, activate, rotate or delete it."""
    with connect() as client:
        found = _find(client, name)
        if verb is None:
            _show_log(client, found, limit, as_json=json)
            return
        answer = _act(client, found, verb, yes=yes)
    if verb is Verb.ROTATE:
        _show_secret(answer, as_json=json)
    elif verb is Verb.PING:
        show(answer, as_json=json, columns=LOG_COLUMNS, rows=[_delivery(answer)])
    elif answer:
        show(answer, as_json=json, columns=COLUMNS, rows=[_row(answer)])


@app.command()
def redeliver(
    name: Name,
    delivery: Annotated[str, typer.Argument(help="Its id, as the log has it.")],
    json: AsJson = False,
) -> None:
    """Send a delivery again, under its id."""
    with connect() as client:
        answer = client.post(f"/webhooks/{_find(client, name)['id']}/deliveries/{delivery}/redeliver")
    show(answer, as_json=json, columns=LOG_COLUMNS, rows=[_delivery(answer)])


def _act(client: Client, found: Json, verb: Verb, *, yes: bool) -> Json:
    path = f"/webhooks/{found['id']}"
    if verb is Verb.DELETE:
        _confirm(found["name"], yes=yes)
        answer: Json = client.delete(path)
    elif verb in (Verb.PAUSE, Verb.ACTIVATE):
        answer = client.patch(path, {"active": verb is Verb.ACTIVATE})
    else:
        answer = client.post(f"{path}/{verb}")
    return answer


def _find(client: Client, name: str) -> Json:
    """By its id, or by a name that only one has."""
    found = list(client.items("/webhooks"))
    matching = [one for one in found if one["id"] == name] or [one for one in found if one["name"] == name]
    if not matching:
        raise CliError(f"There is no webhook {name}.", Exit.NOT_FOUND)
    if len(matching) > 1:
        ids = [f"{one['id']} to {one['url']}" for one in matching]
        raise CliError(f"{len(matching)} webhooks are called {name}. Say which by its id:", Exit.USAGE, ids)
    return matching[0]


def _confirm(name: str, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise CliError("Say --yes: nobody is here to be asked.", Exit.USAGE)
    if not typer.confirm(f"Delete {name} with the log of its deliveries?", err=True):
        raise CliError("Nothing was deleted.", Exit.FAILED)


def _show_secret(made: Json, *, as_json: bool) -> None:
    """The secret alone on standard output, so that a script can keep it."""
    if as_json:
        output.show_json(made)
        return
    output.err.print(f"The secret of {made['webhook']['name']} ({made['webhook']['id']}), this once:")
    output.out.print(made["secret"], markup=False, highlight=False)


def _show_log(client: Client, found: Json, limit: int, *, as_json: bool) -> None:
    path = f"/webhooks/{found['id']}/deliveries"
    log = list(client.items(path, {"limit": min(limit, 200)}, most=limit))
    if as_json:
        output.show_json({"webhook": found, "deliveries": log})
        return
    output.show_table(COLUMNS, [_row(found)])
    output.show_table(LOG_COLUMNS, [_delivery(one) for one in log], "Nothing was to be delivered yet.")


def _row(one: Json) -> list[Any]:
    return [
        one["name"],
        one["id"],
        output.state(one["state"]),
        " ".join(one["kinds"]) or "all",
        output.age(one["delivered_at"]) if one["delivered_at"] else "never",
        one["url"],
    ]


def _delivery(one: Json) -> list[Any]:
    return [
        output.age(one["created_at"]),
        one["kind"],
        output.state(one["state"]),
        one["attempts"],
        one["status"] or "-",
        "-" if one["milliseconds"] is None else one["milliseconds"],
        " ".join(filter(None, (one["failure"], one["detail"]))),
        one["id"],
    ]
