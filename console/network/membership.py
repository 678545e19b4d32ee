"""Which engines are in the swarm, which are its managers, and what is to be done about it. Pure.

All of it is computed anew from what the nodes say, so that nothing can be out of step with them. The swarm is the one
that carries this cluster's id; where there are several, for a first one was thought lost, the largest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from nodeagent.protocol import Member, Overlay, Swarm


@dataclass(frozen=True, slots=True)
class Part:
    """One node with what it last said of the overlay."""

    id: str
    name: str
    well: bool
    """Ready, with its assignment: it takes jobs."""
    lost: bool = False
    """Down for so long that another one should manage in its place."""
    live_restore: bool = False
    public_key: bytes = b""
    overlay: Overlay | None = None

    @property
    def free(self) -> bool:
        """It could join."""
        seen = self.overlay
        return self.well and not self.live_restore and seen is not None and seen.state == "inactive"


@dataclass(frozen=True, slots=True)
class Order:
    """A job without an id, for this node. `about`: the one that it is for."""

    node: str
    about: str
    job: Swarm


@dataclass(frozen=True, slots=True)
class View:
    """The swarm as its managers see it."""

    speaker: Part | None
    """The manager that is asked; None while none of them is well and part of a majority."""
    managed: bool
    """There is, or was, a manager at all, or one that cannot say whose it is."""
    members: Mapping[str, Member]
    """By the swarm's id."""
    known: Mapping[str, Part]
    """Nodes of ours that are among them, by the swarm's id."""
    swarm: str = ""
    """Its own id."""

    @property
    def addresses(self) -> tuple[str, ...]:
        """Of managers, to be joined by."""
        found = (self.known.get(member.node) for member in self.members.values() if member.manager)
        return tuple(part.overlay.address for part in found if part and part.overlay)


def view(parts: Iterable[Part], cluster: str) -> View:
    parts = sorted(parts, key=lambda part: (part.name, part.id))
    swarms: dict[str, list[Part]] = {}
    for part in parts:
        if part.overlay and part.overlay.manager and part.overlay.cluster == cluster:
            swarms.setdefault(part.overlay.swarm, []).append(part)
    if not swarms:
        mute = any(part.overlay and part.overlay.manager and not part.overlay.swarm for part in parts)
        return View(None, managed=mute, members={}, known={})
    swarm = min(swarms, key=lambda id_: (-_size(swarms[id_]), id_))
    managers = swarms[swarm]
    speaker = next((part for part in managers if part.well and part.overlay and part.overlay.members), None)
    told = speaker or max(managers, key=lambda part: len(part.overlay.members) if part.overlay else 0)
    members = {one.node: one for one in (told.overlay.members if told.overlay else ())}
    known = {part.overlay.node: part for part in parts if part.overlay and part.overlay.node in members}
    return View(speaker, managed=True, members=members, known=known, swarm=swarm)


def _size(managers: list[Part]) -> int:
    return max(len(part.overlay.members) for part in managers if part.overlay)


def reasons(parts: Iterable[Part], found: View) -> dict[str, str]:
    """By node: why nothing can start on the overlay there; empty where it can. Each begins with `is` or `has`."""
    return {part.id: _reason(part, found) for part in parts}


def _reason(part: Part, found: View) -> str:
    seen = part.overlay
    if seen is None:
        return "is kept off the overlay: its agent has no address for it"
    if seen.state == "inactive" and part.live_restore:
        return "is not on the overlay: its engine has live-restore, which swarm mode refuses"
    if seen.state != "active":
        return (
            "is not on the overlay yet" if seen.state == "inactive" else f"has a swarm that is {seen.state}"
        )
    return _reason_of_member(found.members.get(seen.node), found)


def _reason_of_member(member: Member | None, found: View) -> str:
    if not found.managed:
        return "is in a swarm of which no manager is here"
    if found.speaker is None:
        return "has no manager of the overlay that answers"
    if member is None:
        return "is in a swarm that this cluster did not make"
    return "" if member.ready else "is not reached by the overlay's managers"


def wanted_managers(members: int) -> int:
    """An odd number, so that a majority outlives the loss of half of them."""
    if members < 3:
        return 1
    return 3 if members < 7 else 5


def plan(parts: Iterable[Part], found: View, *, pool: str, subnet: int) -> tuple[Order, ...]:
    """What to do next; the same again until the nodes say that it is done. One change of roles at a time."""
    free = sorted((part for part in parts if part.free), key=lambda part: (part.name, part.id))
    if not found.managed:
        return tuple(
            Order(part.id, part.id, Swarm(id="", act="init", pool=pool, subnet=subnet)) for part in free[:1]
        )
    if found.speaker is None:
        return ()
    speaker = found.speaker.id
    invitations = [
        Order(speaker, part.id, Swarm(id="", act="invite", public_key=part.public_key, guest=part.id))
        for part in free
        if part.public_key
    ]
    role = _role(found)
    gone = [one for one in found.members.values() if one.node not in found.known and one.settled]
    removals = [
        Order(speaker, one.node, Swarm(id="", act="forget", node=one.node)) for one in gone if not one.manager
    ]
    return (*invitations, *(() if role is None else (_order(speaker, role),)), *removals)


def _order(speaker: str, role: Swarm) -> Order:
    return Order(speaker, role.node, role)


def _role(found: View) -> Swarm | None:
    """The next promotion or demotion. A manager too many goes only while the others are a majority without it."""
    managers = [one for one in found.members.values() if one.manager]
    standing = [one for one in managers if one.node in found.known and not found.known[one.node].lost]
    want = wanted_managers(sum(not part.lost for part in found.known.values()))
    if len(standing) < want:
        able = [
            node for node, part in found.known.items() if part.well and _ready_worker(found.members[node])
        ]
        if able:
            return Swarm(id="", act="promote", node=min(able, key=lambda node: found.known[node].name))
    ready = [one for one in managers if one.ready]
    if len(managers) > want and len(ready) >= want:
        speaker = found.speaker.overlay.node if found.speaker and found.speaker.overlay else ""
        worst = max(managers, key=lambda one: _weakness(one, found, speaker))
        return Swarm(id="", act="demote", node=worst.node)
    return None


def _ready_worker(member: Member) -> bool:
    return member.ready and not member.manager


def _weakness(member: Member, found: View, speaker: str) -> tuple[bool, bool, bool, str]:
    part = found.known.get(member.node)
    return member.node != speaker, part is None or part.lost, not member.ready, part.name if part else ""
