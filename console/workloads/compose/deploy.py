"""`deploy`, and what stands beside it that says the same or adds to it."""

from __future__ import annotations

from dataclasses import dataclass

from .context import Context
from .cursor import Cursor, value
from .environment import read_labels
from .keys import DEPLOY
from .model import Mode, Placement, Resources, Restart, Update
from .own import Own, read_own
from .placement import read_placement
from .resources import either, read_resources
from .restart import read_restart
from .updates import read_update
from .values import integer, one_of


@dataclass(slots=True)
class Deployment:
    """What the readers below found out about one service. `fields` are those of `deploy`."""

    fields: dict[str, Cursor]
    own: Own
    mode: Mode
    resources: Resources
    replicas: int
    placement: Placement
    update: Update
    rollback: Update
    restart: Restart
    labels: dict[str, str]
    defaults: list[str]


def read_deployment(fields: dict[str, Cursor], context: Context) -> Deployment:
    deploy = fields["deploy"].fields(DEPLOY) if "deploy" in fields else {}
    own = read_own(fields, context)
    mode: Mode = value(
        deploy, "mode", one_of("replicated", "global", "replicated-job", "global-job"), "replicated"
    )
    defaults: list[str] = []
    resources = read_resources(fields, deploy.get("resources"), own, context.policy, defaults)
    count = integer(0, context.policy.max_replicas)
    replicas = either(fields.get("scale"), deploy.get("replicas"), count)
    _endpoint_mode(deploy)
    return Deployment(
        fields=deploy,
        own=own,
        mode=mode,
        resources=resources,
        replicas=1 if replicas is None else replicas,
        placement=read_placement(deploy.get("placement"), own.spread, own.affinity),
        update=read_update(deploy.get("update_config")),
        rollback=read_update(deploy.get("rollback_config"), rollback=True),
        restart=read_restart(fields, deploy.get("restart_policy"), defaults, job=mode.endswith("-job")),
        labels=_labels(deploy.get("labels")),
        defaults=defaults,
    )


def _endpoint_mode(deploy: dict[str, Cursor]) -> None:
    """Names resolve to the containers themselves, which Swarm calls dnsrr."""
    if value(deploy, "endpoint_mode", one_of("vip", "dnsrr"), "dnsrr") == "vip":
        deploy["endpoint_mode"].warn(
            "note",
            "vip has no effect: a service has no address of its own, its name stands for its containers",
        )


def _labels(at: Cursor | None) -> dict[str, str]:
    found = read_labels(at)
    if at is not None and found:
        at.warn("note", "containers do not get these labels: they are kept with the service")
    return found


def check_together(fields: dict[str, Cursor], found: Deployment, *, ports: bool, volumes: bool) -> None:
    """What each key may say alone but not beside the others. `ports`: it has host ports of its choice."""
    if found.mode.startswith("global"):
        for at, name in ((fields.get("scale"), "scale"), (found.fields.get("replicas"), "replicas")):
            if at is not None:
                at.fail_key(
                    "invalid", f"{name} has no place in mode {found.mode}: there is one on every node"
                )
        if found.placement.max_per_node:
            found.fields["placement"].fail(
                "invalid",
                f"max_replicas_per_node has no place in mode {found.mode}: there is one on every node",
            )
    for key, update in (("update_config", found.update), ("rollback_config", found.rollback)):
        if update.order != "start-first":
            continue
        if found.own.exclusive:
            found.fields[key].warn("note", "start-first has no effect: an exclusive service never runs twice")
        elif ports and (volumes or found.mode == "global"):
            found.fields[key].fail(
                "invalid",
                "start-first cannot work: both containers would need the same host port of the same node. "
                "Leave the host port out, or use stop-first",
            )
