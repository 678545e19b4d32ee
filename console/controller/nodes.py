"""Contact → node states. Silence is judged only while the console itself can see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings

from console.cluster.enums import JobKind, NodeState
from console.cluster.models import Job, Node
from console.common.prepared import Prepared
from console.controller import rows, verdicts
from console.controller.context import Step
from console.controller.history import Line
from console.controller.wire import Beat
from console.workloads.models import App, Container, Release
from nodeagent import protocol
from scheduler.units import of_bytes

AWAY = timedelta(seconds=5)
"""A controller that did not step for this long trusts no silence for a while."""
ENGINE_PATIENCE = timedelta(seconds=3)
"""How long an engine may be unreachable by its own agent before the node counts as down: one that is only restarted is
back before that."""
_DIGEST_PATIENCE = timedelta(seconds=3)
"""A digest may differ for this long while its delta is on the way."""
_CONTACT_RESOLUTION = timedelta(seconds=10)
_DISK_RESOLUTION = 100
_ENOUGH_AGAIN = 1.25
"""So many times the limit must be free before a disk that was low is not: else it would be now this, now that."""
_TEAMS: Prepared[str] = Prepared(lambda: App.objects.order_by().values_list("team_id", flat=True).distinct())
_ASKING: Prepared[str] = Prepared(
    lambda nodes: Release.objects.filter(
        pk__in=Job.objects.filter(node__in=nodes, kind=JobKind.PULL, done_at=None).values("release_id")
    ).values_list("app_id", flat=True)
)
"""Apps for which these nodes ask a registry."""
_APPS_ON: Prepared[str] = Prepared(
    lambda nodes: (
        Container.objects.filter(node__in=nodes, removed_at=None)
        .order_by()
        .values_list("app_id", flat=True)
        .distinct()
    )
)
_RANK = {NodeState.JOINING: 0, NodeState.READY: 0, NodeState.SUSPECT: 1, NodeState.DOWN: 2}


@dataclass(slots=True)
class Watch:
    """What the judge remembers between steps. It can be lost: it only makes the judge patient."""

    last: datetime | None = None
    blind_until: datetime | None = None
    strange: dict[str, datetime] = field(default_factory=dict)
    """Since when a node's digest differs from what is stored."""
    storm: bool = False
    """Too many nodes are silent at once; it is told when it begins."""

    def freeze(self, now: datetime) -> None:
        until = now + timedelta(seconds=settings.NODE_DOWN_AFTER)
        self.blind_until = max(self.blind_until or until, until)

    def blind(self, now: datetime) -> bool:
        return self.blind_until is not None and now < self.blind_until


def judge(step: Step, beats: Mapping[str, Beat] | None, watch: Watch) -> None:
    """Move each node's state by its contact. While silence proves nothing, no state gets worse."""
    away = watch.last is None or step.now - watch.last > AWAY
    watch.last = step.now
    if beats is None or away:
        watch.freeze(step.now)
    silent = [
        node
        for node in step.nodes.values()
        if node.session and _age(node, beats) >= settings.NODE_SUSPECT_AFTER
    ]
    # Heartbeats are out of phase: those that fall silent together turn suspect one after the other.
    going = [node for node in silent if node.state in (NodeState.READY, NodeState.SUSPECT)]
    storm = len(going) > max(1, len(step.nodes) // 3)
    if storm and beats is not None and not watch.storm:
        # Once: silence that outlasts the freeze is no hiccup of the console's.
        watch.freeze(step.now)
        _tell_storm(step, going)
    watch.storm = storm
    step.frozen = beats is None
    if beats is not None:
        told = Judgement(step, watch)
        for node in step.nodes.values():
            if node.session:
                told.judge(node, beats.get(node.id))
            elif node.id in beats:
                # Its first hello got lost on the way, with a wiped Redis say.
                step.ask.add(node.id)
        told.write()


def _age(node: Node, beats: Mapping[str, Beat] | None) -> float:
    beat = (beats or {}).get(node.id)
    return beat.age if beat else float("inf")


class Judgement:
    """One step's look at all nodes; what it changes is written together."""

    def __init__(self, step: Step, watch: Watch) -> None:
        self.step, self.watch = step, watch
        self._moved: list[Node] = []
        self._seen: list[Node] = []
        self._disks: list[Node] = []

    def judge(self, node: Node, beat: Beat | None) -> None:
        state, reason = _state(self.step, node, beat)
        if self.watch.blind(self.step.now) and _RANK[state] > _RANK[NodeState(node.state)]:
            return
        if beat is not None:
            _compare(self.step, node, beat, self.watch)
            self._keep_contact(node, beat)
            self._keep_disk(node, beat.disk)
        if (state, reason) != (node.state, node.state_reason):
            self._move(node, state, reason)

    def _keep_contact(self, node: Node, beat: Beat) -> None:
        # In whole seconds, so that few statements write it for all nodes.
        seen = self.step.now - timedelta(seconds=int(beat.age))
        if node.contact_at is None or seen - node.contact_at > _CONTACT_RESOLUTION:
            node.contact_at = seen
            self._seen.append(node)

    def _keep_disk(self, node: Node, disk: protocol.Disk | None) -> None:
        if disk is None:
            return
        low, near = _is_low(node, disk), abs(disk.free - node.disk_free) < disk.total // _DISK_RESOLUTION
        if near and (low, disk.total) == (node.disk_low, node.disk_total):
            return
        if low != node.disk_low:
            free = f"{of_bytes(disk.free)} of {of_bytes(disk.total)} are free on its disk"
            text = f"{free}: nothing new is placed there" if low else f"{free} again"
            self.step.tell_node(node, "node.disk", f"Node {node.name}: {text}", warning=low)
            self.step.freed |= not low
        node.disk_total, node.disk_free, node.disk_low = disk.total, disk.free, low
        self._disks.append(node)

    def _move(self, node: Node, state: NodeState, reason: str) -> None:
        before, node.state, node.state_reason = node.state, state, reason
        rows.save_one(node, ["state", "state_reason", "engine_failed_at"])
        if before == state:
            return
        because = f": {reason}" if reason else ""
        bad = state in (NodeState.SUSPECT, NodeState.DOWN)
        self.step.tell_node(node, "node.state", f"Node {node.name} is {state}{because}", warning=bad)
        self._moved.append(node)

    def write(self) -> None:
        rows.save_alike(self._seen, ("contact_at", "engine_failed_at"))
        rows.save_alike(self._disks, ("disk_total", "disk_free", "disk_low"))
        if not self._moved:
            return
        step = self.step
        for team in _TEAMS():
            for node in self._moved:
                step.announce(team, "node", node.id)
        step.freed |= any(node.state == NodeState.READY for node in self._moved)
        down = [node.id for node in self._moved if node.state == NodeState.DOWN]
        for some in rows.chunks(down):
            step.dirty.update(_ASKING(some))
        for some in rows.chunks([node.id for node in self._moved]):
            step.dirty.update(_APPS_ON(some))


def _is_low(node: Node, disk: protocol.Disk) -> bool:
    limit = min(disk.total * settings.DISK_LOW_PERCENT / 100, settings.DISK_LOW_MIB * 2**20)
    return disk.free < limit * (_ENOUGH_AGAIN if node.disk_low else 1.0)


def _state(step: Step, node: Node, beat: Beat | None) -> tuple[NodeState, str]:
    age = beat.age if beat else float("inf")
    if age >= settings.NODE_DOWN_AFTER:
        return NodeState.DOWN, "its agent has not been heard of"
    if age >= settings.NODE_SUSPECT_AFTER:
        return NodeState.SUSPECT, "its agent is silent"
    if beat and not beat.engine_ok:
        node.engine_failed_at = node.engine_failed_at or step.now
        patient = step.now - node.engine_failed_at < ENGINE_PATIENCE
        return (
            NodeState.SUSPECT if patient else NodeState.DOWN,
            f"its engine does not answer: {beat.engine_error}"[:300],
        )
    node.engine_failed_at = None
    if verdicts.waits(step, node):
        return NodeState.SUSPECT, "it knows more than the database: its assignment waits for a confirmation"
    if node.synced_session != node.session or (beat and beat.session != node.session):
        waiting = NodeState.JOINING if node.state == NodeState.JOINING else NodeState(node.state)
        return (NodeState.SUSPECT if waiting is NodeState.READY else waiting), "it waits for its assignment"
    return NodeState.READY, ""


def next_verdict(step: Step) -> float:
    """Seconds until an engine that does not answer has been waited for long enough; infinite when none is."""
    failing = [
        node.engine_failed_at
        for node in step.nodes.values()
        if node.engine_failed_at and node.state == NodeState.SUSPECT
    ]
    return min(((at + ENGINE_PATIENCE - step.now).total_seconds() for at in failing), default=float("inf"))


def _compare(step: Step, node: Node, beat: Beat, watch: Watch) -> None:
    """Ask for the full set when the node's digest stays different, or the hello of its session is not here."""
    if beat.session != node.session or beat.digest == node.digest:
        watch.strange.pop(node.id, None)
        if beat.session > node.session:
            step.ask.add(node.id)
        return
    since = watch.strange.setdefault(node.id, step.now)
    if step.now - since >= _DIGEST_PATIENCE:
        step.ask.add(node.id)
        watch.strange[node.id] = step.now


def _tell_storm(step: Step, silent: list[Node]) -> None:
    names = ", ".join(sorted(node.name for node in silent))
    text = (
        f"{len(silent)} nodes fell silent at once ({names}): "
        f"nothing is replaced for {settings.NODE_DOWN_AFTER:g} s"
    )
    step.history.add(Line("cluster.storm", text, step.history.actor, warning=True))
