"""Applying an administrator's word about a node, and asking for it where the database seems to be a restored backup."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from django.db.models import Q

from console.cluster.enums import HoldState, NodeState
from console.cluster.lost import Death, Hold
from console.cluster.models import Node
from console.common.prepared import Prepared
from console.controller import jobs, rows, volumes
from console.controller.context import Step
from console.workloads.enums import ENDED, OperationState
from console.workloads.models import Container, Slot, Volume
from nodeagent import protocol
from scheduler.lifecycle import Actor, State, move
from scheduler.model import AppView, Plan

MOST_GENERATIONS = 2**53
"""No honest slot comes near it; a number above would end where the database's numbers do."""
MOST_NAMED = 50
_LIVE = {"running", "paused", "restarting"}
_DEATHS = Prepared(Death.objects.all)
_SLOTS = Slot.objects.select_related("service__app").distinct()
_ASKED = Prepared(lambda node: _SLOTS.filter(containers__node=node))
_ASKED_OR_SHOWN = Prepared(lambda node, shown: _SLOTS.filter(Q(containers__node=node) | Q(pk__in=shown)))


# -- this node is dead


def bury(step: Step) -> None:
    """Give up what is on nodes that were declared dead, as long as they are down. A sign of life ends the word."""
    for death in _DEATHS():
        node = step.nodes.get(death.node_id)
        if node is None:
            continue
        if node.state == NodeState.DOWN:
            _give_up(step, node, death)
        else:
            death.delete()
            text = f"Node {node.name} was declared dead and is heard of again: what was replaced is stopped there"
            step.tell_node(node, "node.alive", text, warning=True)


def _give_up(step: Step, node: Node, death: Death) -> None:
    """A global service's container is replaced nowhere else, and stays."""
    found = Container.objects.filter(node=node, removed_at=None, slot__node=None).exclude(state__in=ENDED)
    lost = list(found.select_related("slot__service", "app__team"))
    for container in lost:
        container.state = move(State(container.state), State.LOST, Actor.OPERATOR)
        container.ended_at = step.now
        step.dirty.add(container.app_id)
        step.tell_app(
            container.app,
            f"{container.name} is lost: node {node.name} was declared dead",
            warning=True,
            many=f"{container.slot.service.name}: {{count}} containers are lost: {node.name} was declared dead",
            where=node.id,
        )
    step.live.lose(lost)
    rows.save_alike(lost, ("state", "ended_at"))
    jobs.close(lost, None, step.now)
    if death.volumes:
        _give_up_volumes(step, node)


def _give_up_volumes(step: Step, node: Node) -> None:
    gone = list(Volume.objects.filter(node=node).select_related("app"))
    for volume in gone:
        step.dirty.add(volume.app_ref)
        text = f"Volume {volume.name} is given up with node {node.name}; the next container starts with an empty one"
        if volume.app:
            step.tell_app(volume.app, text, warning=True)
        volumes.end(step, volume, OperationState.SUCCEEDED)
    step.live.unbind(volume.key for volume in gone)
    Volume.objects.filter(pk__in=[volume.pk for volume in gone]).delete()


# -- a restored backup


def examine(step: Step, node: Node, hello: protocol.Hello) -> bool:
    """Whether the node's assignment waits for a person: its fence or what runs there is ahead of the database."""
    hold = step.holds.get(node.id)
    if hold is not None and hold.state == HoldState.CONFIRMED:
        return False
    ahead = _ahead(node, hello, trusted=hold is not None)
    unknown = _unknown(hello) if hold is not None or ahead else []
    if hold is not None and hold.state == HoldState.HELD:
        hold.unknown = unknown[:MOST_NAMED]
        hold.save(update_fields=["unknown"])
        return True
    if not ahead and not unknown:
        if hold is not None:
            step.holds.pop(node.id).delete()
        return False
    _hold(step, node, ahead, unknown)
    return True


def _ahead(node: Node, hello: protocol.Hello, *, trusted: bool) -> list[Slot]:
    """Slots whose generation the node knows to be above the database's; they go on from the node's number. Of others
    than its own it is believed only right after a restore, and only what it shows."""
    known = dict(hello.generations)
    shown: dict[str, int] = {}
    if trusted:
        shown = {one.identity.slot: one.identity.generation for one in hello.containers if one.state in _LIVE}
        known = {slot: max(known.get(slot, 0), shown.get(slot, 0)) for slot in (*known, *shown)}
    if not known:
        return []
    found = []
    asked = _ASKED_OR_SHOWN(node.id, list(shown)[: rows.BATCH]) if shown else _ASKED(node.id)
    for slot in asked:
        if slot.generation < known.get(slot.id, 0) < MOST_GENERATIONS:
            slot.generation = known[slot.id]
            Slot.objects.filter(pk=slot.pk).update(generation=slot.generation)
            found.append(slot)
    return found


def _unknown(hello: protocol.Hello) -> list[str]:
    shown = {one.identity.container: one.identity.name for one in hello.containers if one.state in _LIVE}
    known: set[str] = set()
    for some in rows.chunks(shown):
        known.update(Container.objects.filter(pk__in=some).values_list("id", flat=True))
    return sorted(name for id_, name in shown.items() if id_ not in known)


def _hold(step: Step, node: Node, ahead: list[Slot], unknown: list[str]) -> None:
    names = [f"{slot.service.app.name}/{slot}" for slot in ahead]
    values = {
        "state": HoldState.HELD,
        "at": step.now,
        "slots": [slot.id for slot in ahead],
        "ahead": names[:MOST_NAMED],
        "unknown": unknown[:MOST_NAMED],
    }
    hold, _made = Hold.objects.update_or_create(node=node, defaults=values)
    step.holds[node.id] = hold
    text = (
        f"Node {node.name} knows more than the database, which seems to be a restored backup "
        f"({len(ahead)} slots ahead, {len(unknown)} unknown containers): nothing is started or stopped there "
        "until an administrator confirms"
    )
    step.tell_node(node, "node.held", text, warning=True)
    for app in {slot.service.app_id: slot.service.app for slot in ahead}.values():
        step.tell_app(
            app, f"Nothing of {app.name} on {node.name} is changed until it is confirmed", warning=True
        )


def waits(step: Step, node: Node) -> bool:
    hold = step.holds.get(node.id)
    return hold is not None and hold.state == HoldState.HELD


def release(step: Step, node: Node) -> None:
    """The node has cleared away what the database does not know: its slots may be filled again."""
    hold = step.holds.pop(node.id, None)
    if hold is not None:
        apps = Slot.objects.filter(pk__in=hold.slots).values_list("service__app_id", flat=True)
        step.dirty.update(apps)
        hold.delete()


def without_held(plan: Plan, view: AppView, held: Collection[str]) -> Plan:
    """The plan without what it would do to slots that are held."""
    if not held:
        return plan
    places = {(slot.service, slot.index) for slot in view.slots if slot.id in held}
    containers = {each.id for slot in view.slots if slot.id in held for each in slot.containers}
    return replace(
        plan,
        place=tuple(one for one in plan.place if (one.service, one.index) not in places),
        stop=tuple(one for one in plan.stop if one.container not in containers),
        remove=tuple(one for one in plan.remove if one not in containers),
        retire=tuple(one for one in plan.retire if one not in held),
    )
