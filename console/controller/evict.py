"""Room for what is more important: containers of lower priority are stopped, as few as possible."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from console.common.models import Dirty
from console.common.writes import insert
from console.controller import jobs, rows
from console.controller.appview import Rows
from console.controller.context import Step
from console.controller.explanations import Chosen
from console.controller.live import CLAIM
from console.workloads.models import Container
from scheduler.lifecycle import Actor, State, move
from scheduler.preempt import Preemption, preempt_each


def make_room(step: Step, app: Rows, refused: Sequence[Chosen]) -> None:
    """For each slot that found no node, stop whom it may take the place of, unless it is enough to wait for those
    that are leaving. Its `pending` says where it waits; until it is looked at again, the room is held for it."""
    hopeful = [one for one in refused if step.live.may_evict(one.decision.want.request)]
    if not hopeful:
        return
    answers = preempt_each(step.live.cluster, [one.decision.want for one in hopeful])
    victims: dict[str, Chosen] = {}
    for one, answer in zip(hopeful, answers, strict=True):
        if answer is not None:
            _await(step, app, one, answer)
            victims.update(dict.fromkeys(answer.victims, one))
    for claim in [id_ for id_ in victims if id_.startswith(CLAIM)]:
        step.live.free(claim)
        del victims[claim]
    _stop(step, app, victims)


def _await(step: Step, app: Rows, one: Chosen, answer: Preemption) -> None:
    one.slot.pending = f"waits for room on {step.nodes[answer.node].name}"
    step.live.claim(app.app.id, one.decision.want, answer.node)


def _stop(step: Step, app: Rows, victims: dict[str, Chosen]) -> None:
    """The victims' apps are looked at next: what had to leave goes elsewhere, or waits."""
    found = _containers(app, victims)
    by_slot: defaultdict[str, list[Container]] = defaultdict(list)
    for container in found:
        one = victims[container.id]
        by_slot[one.slot.id].append(container)
        container.state = move(State(container.state), State.STOPPING, Actor.CONTROLLER)
        container.stop_reason = f"makes room for {_name(app, one, container)}"
        step.live.leave(container.id)
        step.tell_app(
            container.app,
            f"{container.name} on {step.nodes[container.node_id].name} {container.stop_reason}",
            warning=True,
            many=f"{container.slot.service.name}: {{count}} containers on {{nodes}} make room for others",
            where=container.node_id,
        )
    for slot, gone in by_slot.items():
        node = step.nodes[gone[0].node_id].name
        text = f"{app.slots[slot]} takes the place of {_names(app, gone)} on {node}"
        many = f"{app.slots[slot].service.name}: {{count}} replicas take the place of others on {{nodes}}"
        step.tell_app(app.app, text, many=many, where=gone[0].node_id)
    rows.save_alike(found, ("state", "stop_reason"))
    jobs.close(found, None, step.now)
    jobs.for_containers(step, found)
    others = sorted({container.app_id for container in found} - {app.app.id})
    insert([Dirty(app_id=id_) for id_ in others])


def _containers(app: Rows, ids: Iterable[str]) -> list[Container]:
    """Of any app; of this one, the objects at hand. Those that are on their way out are left to go."""
    ours = {each.id: each for each in app.all_containers()}
    wanted = sorted(ids)
    others = Container.objects.filter(pk__in=[id_ for id_ in wanted if id_ not in ours])
    there = {**ours, **{each.id: each for each in others.select_related("slot__service", "app__team")}}
    live = [there[id_] for id_ in wanted if id_ in there and State(there[id_].state).live]
    return [each for each in live if each.state != State.STOPPING]


def _name(app: Rows, one: Chosen, victim: Container) -> str:
    """Another team is not told whose it is."""
    if victim.app.team_id != app.app.team_id:
        return "a container of higher priority"
    return f"{app.app.name}/{one.slot}"


def _names(app: Rows, gone: Sequence[Container]) -> str:
    ours = sorted(each.name for each in gone if each.app.team_id == app.app.team_id)
    others = len(gone) - len(ours)
    if others:
        ours.append(f"{others} container{'s' * (others != 1)} of other teams")
    return ", ".join(ours)
