"""Why each slot went where it did, or waits, as rows."""

from __future__ import annotations

import pytest

from console.accounts.access import Access
from console.cluster.models import Node
from console.common.models import Event
from console.controller import explanations
from console.workloads import services
from console.workloads.models import App, Explanation, Slot
from console.workloads.retention import sweep_old_rows
from tests.controller.conftest import MakeAgents
from tests.controller.fakes import World
from tests.controller.test_loop import DEMO, deploy, live

LARGE = "services:\n  web:\n    image: berth/demo\n    mem_limit: 6g\n    deploy: {replicas: %d}\n"


def slots(app: App) -> list[Slot]:
    return list(Slot.objects.filter(service__app=app, retired=False).select_related("explanation"))


def explanation(slot: Slot) -> Explanation:
    assert slot.explanation is not None
    return slot.explanation


def test_a_small_batch_has_a_row_for_each_slot_with_its_own_scores(
    access: Access, world: World, agents: MakeAgents
) -> None:
    agents(3)
    app, _operation = deploy(access, DEMO % 3)
    world.run(3)
    where = {container.slot_id: container.node_id for container in live(app)}
    assert len({slot.explanation_id for slot in slots(app)}) == 3
    for slot in slots(app):
        row = explanation(slot)
        best = row.verdicts[0]
        assert (row.service, row.nodes, row.fitting, len(row.verdicts)) == ("web", 3, 3, 3)
        assert (best["node"], best["scores"], best["refusal"]) == (where[slot.id], slot.scores, None)
        assert row.summary.startswith(f"{best['name']}: ")
        assert slot.scores


def test_what_waits_says_what_is_lacking_where_and_what_would_help(
    access: Access, world: World, agents: MakeAgents
) -> None:
    agents(3)
    Node.objects.filter(name="node-3").update(cordoned=True)
    deploy(access, LARGE % 2, name="full")
    world.run(3)
    app, _operation = deploy(access, LARGE % 1)
    world.run(3)
    [slot] = slots(app)
    row = explanation(slot)
    assert slot.pending == row.summary
    assert (row.nodes, row.fitting, slot.scores) == (3, 0, {})
    assert [(one["filter"], one["count"], one["names"]) for one in row.refused] == [
        ("memory", 2, ["node-1", "node-2"]),
        ("ready", 1, ["node-3"]),
    ]
    assert row.remedies


def test_a_slot_that_waits_on_keeps_its_row(access: Access, world: World, agents: MakeAgents) -> None:
    agents(1)
    app, _operation = deploy(access, LARGE % 2)
    world.run(3)
    assert [bool(slot.pending) for slot in slots(app)] == [False, True]
    before = [slot.explanation_id for slot in slots(app)]
    world.run(30)
    assert [slot.explanation_id for slot in slots(app)] == before
    assert Explanation.objects.count() == 2


def test_a_large_batch_shares_a_row_for_those_that_found_a_node_and_one_for_the_rest(
    access: Access, world: World, agents: MakeAgents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explanations, "EXACT", 10)
    agents(2)
    compose = "services:\n  web:\n    image: berth/demo\n    mem_limit: 2500m\n    deploy: {replicas: 10}\n"
    app, _operation = deploy(access, compose)
    world.run(3)
    placed = {slot.explanation_id for slot in slots(app) if not slot.pending}
    waiting = {slot.explanation_id for slot in slots(app) if slot.pending}
    assert (len(placed), len(waiting), placed & waiting) == (1, 1, set())
    assert Explanation.objects.get(pk=waiting.pop()).fitting == 0
    assert Explanation.objects.get(pk=placed.pop()).fitting == 2
    assert len(live(app)) == 6


def test_a_large_batch_shares_a_row_on_a_single_node_too(
    access: Access, world: World, agents: MakeAgents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explanations, "EXACT", 10)
    agents(1)
    app, _operation = deploy(access, DEMO % 4)
    world.run(3)
    assert len({slot.explanation_id for slot in slots(app)}) == 1


def test_what_would_help_is_renewed_though_the_sentence_stays(
    access: Access, world: World, agents: MakeAgents
) -> None:
    agents(1)
    full, _operation = deploy(access, LARGE % 1, name="full")
    world.run(3)
    Node.objects.update(draining=True)
    app, _operation = deploy(access, LARGE % 1)
    world.run(3)
    [before] = [explanation(slot) for slot in slots(app)]
    services.delete_app(access, full, delete_volumes=False)
    world.run(10)
    [after] = [explanation(slot) for slot in slots(app)]
    assert before.summary == after.summary == "0 of 1 node fits: 1 is draining"
    assert "End the drain of node-1" not in before.remedies
    assert after.remedies == ["End the drain of node-1"]


def test_many_placements_are_one_line_of_history_and_few_are_one_each(
    access: Access, world: World, agents: MakeAgents
) -> None:
    agents(3)
    many, _operation = deploy(access, DEMO % 12, name="many")
    few, _operation = deploy(access, DEMO % 2, name="few")
    world.run(3)
    placed = Event.objects.filter(message__contains="placed on")
    assert [one.message for one in placed.filter(app_id=many.id)] == ["web: 12 replicas placed on 3 nodes"]
    assert placed.filter(app_id=few.id).count() == 2


def test_no_row_is_left_that_no_slot_points_at(access: Access, world: World, agents: MakeAgents) -> None:
    agents(2)
    app, _operation = deploy(access, DEMO % 3)
    world.run(5)
    services.create_release(access, app, compose=(DEMO % 3) + "    environment: {A: b}\n")
    world.run(30)
    assert {one.release.number for one in live(app)} == {2}
    assert not Explanation.objects.filter(slots=None).exists()


def test_rows_of_slots_that_are_gone_are_swept(access: Access, world: World, agents: MakeAgents) -> None:
    agents(1)
    app, _operation = deploy(access, DEMO % 2)
    world.run(5)
    kept = Slot.objects.get(service__app=app, index=1)
    Slot.objects.filter(service__app=app, index=2).update(explanation=None)
    sweep_old_rows()
    assert [one.pk for one in Explanation.objects.all()] == [kept.explanation_id]
