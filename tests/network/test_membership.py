"""Who is in the swarm and who manages it: stories, and a small model of a swarm that obeys what is planned."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from console.network.membership import Order, Part, plan, reasons, view, wanted_managers
from nodeagent.protocol import Member, Overlay

POOL: Any = {"pool": "10.90.0.0/16", "subnet": 24}


def part(number: int, state: str = "inactive", **changes: Any) -> Part:
    """Node `number`, whose swarm id is `wN`; `manager=True` with `members` speaks for a swarm of ours."""
    overlay: dict[str, Any] = {
        "address": f"10.0.0.{number}",
        "state": state,
        "node": f"w{number}" if state == "active" else "",
    }
    for key in ("manager", "members", "cluster", "swarm"):
        if key in changes:
            overlay[key] = changes.pop(key)
    if overlay.get("manager"):
        overlay = {"cluster": "c1", "swarm": "s1", **overlay}
    values: dict[str, Any] = {
        "id": f"n{number}",
        "name": f"node-{number}",
        "well": True,
        "public_key": b"key",
        "overlay": Overlay(**overlay),
    }
    return Part(**{**values, **changes})


def members(*managers: int, workers: tuple[int, ...] = (), down: tuple[int, ...] = ()) -> tuple[Member, ...]:
    return tuple(
        Member(node=f"w{number}", manager=number in managers, ready=number not in down, settled=True)
        for number in (*managers, *workers)
    )


def orders(*parts: Part) -> list[tuple[str, str, str]]:
    """(node, act, about) of each."""
    found = plan(parts, view(parts, "c1"), **POOL)
    return [(one.node, one.job.act, one.about) for one in found]


def test_the_first_swarm_is_made_on_one_node_that_can() -> None:
    assert orders() == []
    assert orders(part(1, live_restore=True), part(2, well=False), part(3), part(4)) == [("n3", "init", "n3")]
    assert orders(replace(part(1), overlay=None)) == []


def test_nobody_makes_a_second_one_while_the_manager_is_away() -> None:
    away = part(1, "active", manager=True, members=members(1), well=False)
    assert orders(away, part(2), part(3)) == []


def test_who_is_not_in_is_invited_by_a_manager() -> None:
    manager = part(1, "active", manager=True, members=members(1))
    assert orders(manager, part(2), part(3, live_restore=True), part(4, well=False), part(5)) == [
        ("n1", "invite", "n2"),
        ("n1", "invite", "n5"),
    ]


def test_a_foreign_swarm_is_left_alone() -> None:
    foreign = part(1, "active", manager=True, members=members(1, workers=(9,)), cluster="other", swarm="s9")
    assert orders(foreign, part(2)) == [("n2", "init", "n2")]
    ours = part(2, "active", manager=True, members=members(2))
    parts = (foreign, ours)
    assert reasons(parts, view(parts, "c1")) == {
        "n1": "is in a swarm that this cluster did not make",
        "n2": "",
    }


def test_three_nodes_have_three_managers_and_two_have_one() -> None:
    two = members(1, workers=(2,))
    assert orders(part(1, "active", manager=True, members=two), part(2, "active")) == []
    three = members(1, workers=(2, 3))
    manager = part(1, "active", manager=True, members=three)
    assert orders(manager, part(2, "active"), part(3, "active")) == [("n1", "promote", "w2")]
    down = members(1, workers=(2, 3), down=(2,))
    manager = part(1, "active", manager=True, members=down)
    assert orders(manager, part(2, "active"), part(3, "active")) == [("n1", "promote", "w3")]


def test_a_lost_manager_gets_a_stand_in_before_it_is_let_go() -> None:
    def of(found: tuple[Member, ...], **lost: Any) -> list[tuple[str, str, str]]:
        manager = part(1, "active", manager=True, members=found)
        rest = (part(3, "active", **lost), part(2, "active"), part(4, "active"))
        return orders(manager, *rest)

    away = members(1, 2, 3, workers=(4,), down=(3,))
    assert of(away) == []
    assert of(away, lost=True, well=False) == [("n1", "promote", "w4")]
    stood_in = members(1, 2, 3, 4, down=(3,))
    assert of(stood_in, lost=True, well=False) == [("n1", "demote", "w3")]


def test_a_member_that_is_no_node_any_more_is_removed_once_it_manages_nothing() -> None:
    manager = part(1, "active", manager=True, members=members(1, 9))
    assert orders(manager) == [("n1", "demote", "w9")]
    manager = part(1, "active", manager=True, members=members(1, workers=(9,)))
    assert orders(manager) == [("n1", "forget", "w9")]
    fresh = (Member(node="w1", manager=True, ready=True), Member(node="w9", ready=True))
    assert orders(part(1, "active", manager=True, members=fresh)) == []


def test_each_reason_is_a_sentence_after_the_nodes_name() -> None:
    manager = part(1, "active", manager=True, members=members(1, workers=(2, 3), down=(3,)))
    parts = (
        manager,
        part(2, "active"),
        part(3, "active"),
        part(4),
        part(5, live_restore=True),
        replace(part(6), overlay=None),
        part(7, "error"),
    )
    assert reasons(parts, view(parts, "c1")) == {
        "n1": "",
        "n2": "",
        "n3": "is not reached by the overlay's managers",
        "n4": "is not on the overlay yet",
        "n5": "is not on the overlay: its engine has live-restore, which swarm mode refuses",
        "n6": "is kept off the overlay: its agent has no address for it",
        "n7": "has a swarm that is error",
    }
    silent = (replace(manager, well=False), part(2, "active"))
    assert reasons(silent, view(silent, "c1"))["n2"] == "has no manager of the overlay that answers"


def test_managers_without_a_majority_are_waited_for_and_no_second_swarm_is_made() -> None:
    # What an engine without a leader says: neither members nor, at times, whose swarm it is.
    for known in ({"cluster": "c1", "swarm": "s1"}, {"cluster": "", "swarm": ""}):
        parts = (part(1, "active", manager=True, members=(), **known), part(2, "active"), part(3))
        assert orders(*parts) == []
        found = reasons(parts, view(parts, "c1"))
        assert found["n1"] == found["n2"] == "has no manager of the overlay that answers"


class Engines:
    """Engines that do what they are told, in whatever order, and lose nothing."""

    def __init__(self, count: int) -> None:
        self.state = dict.fromkeys(range(1, count + 1), "inactive")
        self.managers: set[int] = set()

    def parts(self) -> list[Part]:
        found = tuple(
            Member(node=f"w{number}", manager=number in self.managers, ready=True, settled=True)
            for number, state in self.state.items()
            if state == "active"
        )
        return [
            part(number, state, **({"manager": True, "members": found} if number in self.managers else {}))
            for number, state in self.state.items()
        ]

    def obey(self, order: Order) -> None:
        number = int(order.about[1:])
        match order.job.act:
            case "init":
                assert not self.managers
                self.state[number] = "active"
                self.managers.add(number)
            case "invite":
                self.state[number] = "active"
            case "promote":
                self.managers.add(number)
            case "demote":
                self.managers.discard(number)
                assert self.managers
            case _:
                del self.state[number]


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 9), st.randoms(use_true_random=False))
def test_any_order_of_obeying_ends_with_all_in_and_an_odd_number_of_managers(count: int, random: Any) -> None:
    engines = Engines(count)
    for _ in range(4 * count + 4):
        parts = engines.parts()
        found = plan(parts, view(parts, "c1"), **POOL)
        if not found:
            break
        engines.obey(random.choice(found))
    assert set(engines.state.values()) == {"active"}
    assert len(engines.managers) == wanted_managers(count)
    parts = engines.parts()
    assert set(reasons(parts, view(parts, "c1")).values()) == {""}
