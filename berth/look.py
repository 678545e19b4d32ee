"""Commands that only look: apps, their containers, releases and history."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from berth import output
from berth.app import App, AsJson, app, connect, show
from berth.client import Client, Json


@app.command()
def apps(json: AsJson = False) -> None:
    """The team's apps."""
    with connect() as client:
        found = list(client.items("/apps"))
    rows = [
        [
            one["name"],
            output.state(one["observed"]["state"]),
            f"{one['observed']['replicas']}/{one['desired']['replicas']}",
            f"#{one['desired']['release']}" if one["desired"]["release"] else "-",
            " ".join(one["urls"]) or "-",
        ]
        for one in found
    ]
    show(
        found,
        as_json=json,
        columns=["APP", "STATE", "WELL", "RELEASE", "URLS"],
        rows=rows,
        nothing="No apps yet.",
    )


@app.command()
def ps(
    name: App,
    ended: Annotated[bool, typer.Option("--ended", "-a", help="Also containers that are gone.")] = False,
    json: AsJson = False,
) -> None:
    """An app's slots, what fills them, and why one waits."""
    with connect() as client:
        if ended:
            gone = list(client.items(f"/apps/{name}/containers", {"ended": True}))
            rows = [_container(one["name"], one) for one in gone]
            show(gone, as_json=json, columns=COLUMNS, rows=rows, nothing="No containers yet.")
            return
        found = client.get(f"/apps/{name}")["app"]
    rows = [_slot(slot) for service in found["services"] for slot in service["slots"]]
    show(found, as_json=json, columns=COLUMNS, rows=rows, nothing="No slots: nothing is wanted of this app.")


COLUMNS = ["SLOT", "STATE", "HEALTH", "NODE", "RELEASE", "AGE", "RESTARTS", "ABOUT"]


def _slot(slot: Json) -> list[Any]:
    if slot["container"] is None:
        return [slot["name"], output.state("pending"), "-", "-", "-", "-", "-", slot["pending"]]
    return _container(slot["name"], slot["container"])


def _container(name: str, one: Json) -> list[Any]:
    seen = one["observed"]
    about = seen["error"] or seen["progress"] or seen["stop_reason"] or " ".join(one["urls"])
    if seen["exit_code"] is not None:
        about = f"exit code {seen['exit_code']}{', out of memory' if seen['oom'] else ''} {about}".strip()
    return [
        name,
        output.state(seen["state"]),
        output.state(seen["health"]) if seen["health"] != "none" else "-",
        one["node_name"],
        f"#{one['desired']['release']}",
        output.age(seen["started_at"]),
        seen["restarts"],
        about,
    ]


@app.command()
def releases(name: App, json: AsJson = False) -> None:
    """An app's releases, the newest first."""
    with connect() as client:
        found = list(client.items(f"/apps/{name}/releases"))
    rows = [
        [
            f"#{one['number']}",
            output.state(one["state"]),
            output.age(one["created_at"]),
            one["created_by"],
            f"of #{one['rolled_back_from']}"
            if one["rolled_back_from"]
            else f"{len(one['warnings'])} warnings",
            one["error"],
        ]
        for one in found
    ]
    show(found, as_json=json, columns=["RELEASE", "STATE", "AGE", "BY", "ABOUT", "ERROR"], rows=rows)


@app.command()
def events(
    name: Annotated[str, typer.Argument(help="One app alone.")] = "",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=5000)] = 50,
    json: AsJson = False,
) -> None:
    """What happened, by whom and why; the newest last."""
    path = f"/apps/{name}/events" if name else "/events"
    with connect() as client:
        found = newest(client, path, limit)
    rows = [
        [output.age(one["at"]), "!" if one["warning"] else " ", one["kind"], one["actor"], one["message"]]
        for one in found
    ]
    show(found, as_json=json, columns=["AGE", "", "KIND", "BY", "WHAT"], rows=rows, nothing="Nothing yet.")


def newest(client: Client, path: str, limit: int) -> list[Json]:
    """The newest events, in the order in which they happened."""
    return list(client.items(path, {"limit": min(limit, 200)}, most=limit))[::-1]
