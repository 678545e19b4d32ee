"""Placements → the scheduler's decisions → containers, with the reasons of each."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from console.common.ids import new_id
from console.common.writes import insert
from console.controller import evict, explanations, jobs, rows
from console.controller.appview import Rows
from console.controller.context import Step
from console.controller.explanations import Chosen
from console.workloads.models import Container, Slot, Volume
from scheduler import model
from scheduler.lifecycle import Actor, State, move

_SLOT = ("generation", "failures", "not_before", "pending", "explanation", "scores", "retired", "node")


def place(
    step: Step, app: Rows, wanted: Sequence[model.Placement], held: Collection[str] = ()
) -> list[model.Placement]:
    """Decide and assign, higher priority first; those that found no node. `held`: slots that wait for other
    reasons and are to say so."""
    step.live.drop_claims(app.app.id)
    _wait_no_more(app, {(one.service, one.index) for one in wanted}, held)
    if not wanted:
        return []
    chosen = _decide(step, app, sorted(wanted, key=lambda one: -one.request.priority))
    reasons = explanations.explain(step.live.cluster, app.app, chosen, step.now)
    refused = [one for one in chosen if one.decision.node is None]
    # Where the old one can make way, nobody else has to.
    evict.make_room(step, app, [one for one in refused if not one.placement.leaves])
    placed = [one for one in chosen if one.decision.node is not None]
    _lose(step, app, placed)
    _bind_volumes(app, placed)
    started = [_container(step, app, one) for one in placed]
    reasons.save()
    rows.save({one.slot.id: one.slot for one in chosen}.values(), _SLOT)
    reasons.clear()
    insert(started)
    jobs.for_containers(step, started)
    return [one.placement for one in refused]


def _wait_no_more(app: Rows, wanted: set[tuple[str, int]], held: Collection[str]) -> None:
    """Slots that waited for a node and are not to be filled now: what they had is there again, say."""
    over = [
        slot
        for slot in app.slots.values()
        if slot.pending and (slot.service.name, slot.index) not in wanted and slot.id not in held
    ]
    reasons = explanations.Reasons(old={slot.explanation_id for slot in over if slot.explanation_id})
    for slot in over:
        slot.pending, slot.explanation = "", None
    rows.save_alike(over, ("pending", "explanation_id"))
    reasons.clear()


def _decide(step: Step, app: Rows, wanted: Sequence[model.Placement]) -> list[Chosen]:
    slots = {(slot.service.name, slot.index): slot for slot in app.slots.values()}
    pairs = [(slots[one.service, one.index], one) for one in wanted]
    decisions = step.live.place(
        [model.Want(one.request, slot.id, new_id(), one.node, one.prefer, one.avoid) for slot, one in pairs]
    )
    return [Chosen(slot, one, decision) for (slot, one), decision in zip(pairs, decisions, strict=True)]


def _lose(step: Step, app: Rows, placed: Sequence[Chosen]) -> None:
    """What is replaced because it is cut off with its node is given up in this very transaction."""
    there = {each.id: each for each in app.all_containers()}
    lost = [there[one.placement.replaces] for one in placed if one.placement.replaces]
    for container in lost:
        container.state = move(State(container.state), State.LOST, Actor.CONTROLLER)
        container.ended_at = step.now
        node = step.nodes[container.node_id]
        step.tell_app(
            app.app,
            f"{container.name} is lost with node {node.name}",
            warning=True,
            many=f"{container.slot.service.name}: {{count}} containers are lost with {{nodes}}",
            where=node.id,
        )
    step.live.lose(lost)
    rows.save_alike(lost, ("state", "ended_at"))
    jobs.close(lost, None, step.now)


def _container(step: Step, app: Rows, one: Chosen) -> Container:
    """The slot's next generation; not saved."""
    slot, request, decision = one.slot, one.decision.want.request, one.decision
    assert decision.node is not None  # noqa: S101  (it was placed)
    before = app.containers.get(slot.id)
    if before and before[0].digest != one.placement.digest:
        slot.failures, slot.not_before = 0, None
    slot.generation += 1
    known = app.known(one.placement.service)
    spec = step.releases.spec(known.release.id, one.placement.service)
    node = step.nodes[decision.node]
    container = Container(
        id=decision.want.container,
        app=app.app,
        slot=slot,
        release=known.release,
        node=node,
        generation=slot.generation,
        name=f"{app.app.name}/{slot.service.name}.{slot.index}",
        digest=one.placement.digest,
        image=request.image,
        cpu=request.cpu,
        memory=request.memory,
        pids=request.pids,
        priority=request.priority,
        cpu_limit=spec.resources.cpu,
        memory_limit=spec.resources.memory,
        ports=[[port.host, port.container, port.protocol] for port in decision.ports],
        volumes=list(request.volumes),
        grants=[[grant.kind, list(grant.units), grant.share] for grant in decision.grants],
        created_at=step.now,
    )
    step.tell_app(
        app.app,
        f"{container.name} placed on {_why(slot, node.name)}",
        many=f"{slot.service.name}: {{count}} replicas placed on {{nodes}}",
        where=node.id,
    )
    return container


def _why(slot: Slot, name: str) -> str:
    """The node's name with the reason, where the reason is this slot's own."""
    summary = slot.explanation.summary if slot.explanation else ""
    return summary if summary.startswith(f"{name}:") and slot.scores else name


def _bind_volumes(app: Rows, placed: Sequence[Chosen]) -> None:
    """A volume's first user's node becomes its own."""
    for one in placed:
        for key in one.decision.want.request.volumes:
            name, node = key.partition("/")[2], one.decision.node
            of_app = {"team_id": app.app.team_id, "app_ref": app.app.id, "app_name": app.app.name}
            volume, _made = Volume.objects.get_or_create(
                app=app.app, name=name, defaults={"node_id": node, **of_app}
            )
            if volume.node_id is None:
                volume.node_id = node
                volume.save(update_fields=["node"])
