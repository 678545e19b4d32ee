"""Nodes, and what would happen if."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from berth import output
from berth.app import AsJson, Node, app, connect, show, split
from berth.client import Json
from berth.errors import CliError, Exit


class Verb(StrEnum):
    """What an administrator may ask of a node, or say of it: that it is dead (its volumes wait for it), or that after a
    restored backup the database is right."""

    CORDON = "cordon"
    UNCORDON = "uncordon"
    DRAIN = "drain"
    UNDRAIN = "undrain"
    DEAD = "dead"
    CONFIRM = "confirm"


class What(StrEnum):
    """`loss`: the node is gone at once. `drain`: it is emptied."""

    LOSS = "loss"
    DRAIN = "drain"


@app.command()
def nodes(json: AsJson = False) -> None:
    """The cluster's nodes, and what is reserved of them."""
    with connect() as client:
        found = list(client.items("/nodes"))
    rows = [_node(one) for one in found]
    show(found, as_json=json, columns=NODE_COLUMNS, rows=rows, nothing="No nodes yet.")


NODE_COLUMNS = ["NODE", "STATE", "ZONE", "CONTAINERS", "CPU", "MEMORY", "ABOUT"]


def _node(one: Json) -> list[Any]:
    seen, held = one["observed"], one["reserved"]
    wanted = [word for word in ("cordoned", "draining") if one["desired"][word]]
    return [
        one["name"],
        output.state(seen["state"]),
        one["desired"]["zone"] or "-",
        held["containers"],
        f"{held['cpu'] / 1000:g}/{seen['cpu'] / 1000:g}",
        f"{output.size(held['memory'])}/{output.size(seen['memory'])}",
        "; ".join(filter(None, [*wanted, seen["state_reason"], seen["version_warning"]])),
    ]


@app.command()
def node(
    name: Node,
    verb: Annotated[Verb | None, typer.Argument(help="Else it is shown.")] = None,
    json: AsJson = False,
) -> None:
    """One node with your containers on it; or keep containers off it, which is for administrators."""
    with connect() as client:
        if verb:
            client.post(f"/nodes/{name}/{verb}")
        found = client.get(f"/nodes/{name}")
    if json:
        output.show_json(found)
        return
    output.show_table(NODE_COLUMNS, [_node(found["node"])])
    rows = [[f"{one['app']}/{one['service']}.{one['slot']}", one["id"]] for one in found["containers"]]
    output.show_table(["CONTAINER", "ID"], rows, "No container of your team is on it.")


@app.command("what-if")
def what_if(
    name: Node,
    event: Annotated[
        What, typer.Argument(help="The node is gone at once (loss), or is emptied (drain).")
    ] = What.LOSS,
    json: AsJson = False,
) -> None:
    """What would become of a node's containers. Nothing changes."""
    with connect() as client:
        found = client.get(f"/nodes/{name}/what-if", {"event": event.value})
    if json:
        output.show_json(found)
        return
    for group, words in GROUPS.items():
        output.out.print(f"{found[group]['total']} {words}", markup=False)
    rows = [_concerned(group, one) for group in GROUPS for one in found[group]["own"]]
    output.show_table(
        ["CONTAINER", "FATE", "NODE", "WHY", "WHAT WOULD HELP"], rows, "None of them is your team's."
    )


GROUPS = {"moved": "would move", "waiting": "would wait", "bound": "would stay", "ended": "would end"}


def _concerned(group: str, one: Json) -> list[Any]:
    place = one["container"]
    name = f"{place['app']} {place['service']}.{place['slot']}"
    return [name, GROUPS[group], one["target"] or "-", one["reason"], "; ".join(one["remedies"])]


@app.command()
def room(
    name: Annotated[str, typer.Argument(metavar="APP/SERVICE")],
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many more to try.")] = 100,
    json: AsJson = False,
) -> None:
    """How many more replicas fit now, where, and what refuses the next one."""
    app_name, service = split(name)
    if not service:
        raise CliError("Say which service: APP/SERVICE.", Exit.USAGE)
    with connect() as client:
        found = client.get(f"/apps/{app_name}/services/{service}/room", {"limit": limit})
    if json:
        output.show_json(found)
        return
    output.out.print(f"{found['fits']} more fit of {found['limit']} tried.", markup=False)
    output.show_table(["NODE", "MORE"], [[one["name"], one["count"]] for one in found["nodes"]])
    if found["refusal"]:
        output.out.print(found["refusal"]["summary"], markup=False)
    elif found["over_quota"]:
        output.out.print(found["over_quota"], markup=False)
