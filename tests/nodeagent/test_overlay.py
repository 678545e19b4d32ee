"""What an agent does about the swarm, and what it refuses to."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from nacl.public import PrivateKey, SealedBox

from nodeagent.errors import AgentError, Refused
from nodeagent.overlay import OverlayPart
from nodeagent.protocol import Network, Overlay, Swarm, Welcome
from nodeagent.runtime.base import EngineUnavailable
from nodeagent.seal import CannotOpen, NodeKey
from nodeagent.session import Session
from tests.nodeagent.builders import CLUSTER

MANAGER = Overlay(address="10.0.0.1", state="active", node="w1", manager=True, cluster=CLUSTER, swarm="s1")


@dataclass
class FakeEngine:
    seen: Overlay = MANAGER
    calls: list[tuple[Any, ...]] = field(default_factory=list)
    away: bool = False

    def facts(self, address: str) -> Overlay:
        if self.away:
            raise EngineUnavailable("no socket")
        return self.seen

    def init(self, address: str, pool: str, subnet: int, cluster: str) -> None:
        self.calls.append(("init", address, pool, subnet, cluster))

    def token(self) -> str:
        return "SWMTKN-1"

    def join(self, token: str, managers: list[str], address: str) -> None:
        self.calls.append(("join", token, managers, address))

    def set_manager(self, node: str, *, manager: bool) -> None:
        self.calls.append(("role", node, manager))

    def forget(self, node: str) -> None:
        self.calls.append(("forget", node))

    def ensure_network(self, name: str, cluster: str, app: str, *, internal: bool = False) -> None:
        self.calls.append(("make", name, cluster, app, internal))

    def remove_network(self, name: str, cluster: str) -> None:
        self.calls.append(("remove", name, cluster))


@dataclass
class Part:
    engine: FakeEngine
    key: NodeKey
    overlay: OverlayPart
    told: list[Overlay | None]


def make(folder: Path, *, address: str = "10.0.0.1", swarm: bool = True) -> Part:
    session = Session(folder)
    session.begin(Welcome(node="n1", cluster=CLUSTER, session=1))
    engine, key = FakeEngine(), NodeKey(folder)
    told: list[Overlay | None] = []
    overlay = OverlayPart(
        address, engine if swarm else None, key, session, lambda: told.append(overlay.facts())
    )
    return Part(engine, key, overlay, told)


@pytest.fixture
def part(tmp_path: Path) -> Part:
    return make(tmp_path)


def test_a_swarm_is_made_on_the_address_of_the_configuration(part: Part) -> None:
    assert part.overlay.run(Swarm(id="j", act="init", pool="10.90.0.0/16")).ok
    assert part.engine.calls == [("init", "10.0.0.1", "10.90.0.0/16", 24, CLUSTER)]
    assert part.told == [part.engine.seen]


def test_a_token_is_sealed_to_its_guest_who_opens_it_and_joins(part: Part, tmp_path: Path) -> None:
    (tmp_path / "guest").mkdir()
    guest = make(tmp_path / "guest", address="10.0.0.2")
    invited = part.overlay.run(Swarm(id="j", act="invite", public_key=guest.key.public_key, guest="n2"))
    assert b"SWMTKN" not in invited.sealed
    guest.overlay.run(Swarm(id="k", act="join", token=invited.sealed, managers=("10.0.0.1",)))
    assert guest.engine.calls == [("join", "SWMTKN-1", ["10.0.0.1"], "10.0.0.2")]
    stranger = bytes(SealedBox(PrivateKey.generate().public_key).encrypt(b"x"))
    with pytest.raises(CannotOpen):
        guest.overlay.run(Swarm(id="l", act="join", token=stranger, managers=("10.0.0.1",)))


def test_managers_change_roles_forget_members_and_make_networks(part: Part) -> None:
    for act in ("promote", "demote", "forget"):
        part.overlay.run(Swarm(id=act, act=act, node="w2"))
    part.overlay.run(Network(id="n", name="berth-a1_back", app="a1", internal=True))
    part.overlay.run(Network(id="g", name="berth-a1_back", app="a1", gone=True))
    assert part.engine.calls == [
        ("role", "w2", True),
        ("role", "w2", False),
        ("forget", "w2"),
        ("make", "berth-a1_back", CLUSTER, "a1", True),
        ("remove", "berth-a1_back", CLUSTER),
    ]


HOSTILE: dict[str, Swarm | Network] = {
    "a pool that is none": Swarm(id="j", act="init", pool="everything"),
    "a public pool": Swarm(id="j", act="init", pool="8.0.0.0/8"),
    "a subnet larger than its pool": Swarm(id="j", act="init", pool="10.90.0.0/16", subnet=8),
    "a manager that is no address": Swarm(id="j", act="join", managers=("evil.example.org",)),
    "a member that is a path": Swarm(id="j", act="forget", node="../swarm"),
    "a guest without a key": Swarm(id="j", act="invite", public_key=b"short"),
    "the network of another app": Network(id="j", name="berth-a2_back", app="a1"),
    "the engine's own network": Network(id="j", name="bridge", app="a1"),
    "a network of no app": Network(id="j", name="berth-_x", app=""),
}


@pytest.mark.parametrize("job", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_is_not_plain_is_refused(part: Part, job: Swarm | Network) -> None:
    with pytest.raises((Refused, CannotOpen)):
        part.overlay.run(job)
    assert part.engine.calls == []


@pytest.mark.parametrize("act", ["invite", "promote", "demote", "forget"])
def test_a_swarm_that_is_not_ours_is_not_touched(part: Part, act: Any) -> None:
    part.engine.seen = Overlay(address="10.0.0.1", state="active", node="w1", manager=True, cluster="other")
    with pytest.raises(Refused):
        part.overlay.run(Swarm(id="j", act=act, node="w2", public_key=b"k" * 32))
    assert part.engine.calls == []


@pytest.mark.parametrize("off", [{"address": ""}, {"swarm": False}])
def test_a_node_that_is_kept_off_says_nothing_and_takes_nothing(tmp_path: Path, off: Any) -> None:
    part = make(tmp_path, **off)
    part.overlay.look()
    assert (part.overlay.facts(), part.told) == (None, [])
    for job in (Swarm(id="j", act="init", pool="10.90.0.0/16"), Network(id="n", name="berth-a1_x", app="a1")):
        with pytest.raises(Refused):
            part.overlay.run(job)


def test_only_news_are_told_and_an_engine_that_is_away_is_none(part: Part) -> None:
    for _ in range(2):
        part.overlay.look()
    part.engine.away = True
    part.overlay.look()
    assert part.told == [part.engine.seen]
    with pytest.raises(AgentError):
        part.overlay.run(Swarm(id="j", act="promote", node="w2"))
