"""What must hold after every event, whatever went wrong before."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from django.db import connection

from nodeagent.facts import Key
from nodeagent.runtime.base import ContainerFacts
from scheduler.lifecycle import MOVES, State
from sim.containers import Box
from sim.shapes import ALONE, PINNED

if TYPE_CHECKING:
    from sim.host import Host
    from sim.world import World

MOST_LIVE = 2
"""Live rows of one slot that are not on their way out: what serves, and what is to take its place."""
_CONTAINERS = """
    SELECT c.id, c.slot_id, c.generation, c.state, c.node_id, c.cpu, c.memory, c.pids, c.ports, slot."index",
        slot.service_id, service.name, service.replicas, service.stopped, app.stopped, app.deleting
    FROM workloads_container c JOIN workloads_slot slot ON slot.id = c.slot_id
    JOIN workloads_service service ON service.id = slot.service_id JOIN workloads_app app ON app.id = c.app_id
    ORDER BY c.slot_id, c.generation
"""
_SLOTS = "SELECT id, generation FROM workloads_slot"
_ONE_SHOTS = """
    SELECT slot.id, c.generation, c.digest, service.restart_at,
        c.state = 'exited' AND c.exit_code = 0 AND c.stop_reason = ''
        AND (service.restart_at IS NULL OR coalesce(c.started_at, c.ended_at) >= service.restart_at)
    FROM workloads_slot slot JOIN workloads_service service ON service.id = slot.service_id
    LEFT JOIN workloads_container c ON c.slot_id = slot.id AND c.generation = slot.generation
    WHERE service.name IN ('job', 'once') AND NOT slot.retired
"""


class Violation(Exception):
    """An invariant does not hold."""


def _plain(sql: str) -> list[tuple[Any, ...]]:
    """Rows without Django, which would take most of a look's time."""
    return list(connection.connection.execute(sql))


def _reachable() -> dict[State, frozenset[State]]:
    """The states that the table's moves lead to, in any number of them."""
    found: dict[State, set[State]] = {state: {state} for state in State}
    for _round in State:
        for start, target in MOVES:
            for reached in found.values():
                if start in reached:
                    reached.add(target)
    return {state: frozenset(reached) for state, reached in found.items()}


REACHABLE = _reachable()


class Checks:
    def __init__(self, world: World) -> None:
        self._world = world
        self.changes: list[str] = []
        """Statements that changed rows, but for the lease's."""
        self._states: dict[str, State] = {}
        self._generations: dict[str, int] = {}
        self._started: dict[str, dict[str, int]] = defaultdict(dict)
        self._stopped: dict[str, set[Key]] = defaultdict(set)
        self._commands: dict[tuple[str, str], str] = {}
        """Release commands that ran, by slot and digest, which is another with each release."""
        self._done: dict[str, tuple[int, str, str]] = {}
        """One-shots that are finished, by slot: the generation, its digest, and when a restart was asked for."""

    # -- engines

    def starts(self, host: Host, key: Key) -> None:
        """An agent starts a container."""
        slot, generation = key
        newest = self._started[host.name].get(slot, 0)
        if generation < newest:
            raise Violation(f"{host.name} starts {slot}-g{generation} after g{newest}")
        if key in self._stopped[host.name]:
            raise Violation(f"{host.name} starts {slot}-g{generation}, which it was told to stop")
        self._started[host.name][slot] = generation

    def told_to_stop(self, host: Host, key: Key) -> None:
        self._stopped[host.name].add(key)

    def runs(self, box: Box) -> None:
        """A container runs: of a bound or exclusive slot no other one may, anywhere."""
        identity = self._world.identity(box.facts.labels)
        if identity is not None and identity.service.endswith(".release"):
            before = self._commands.setdefault((identity.slot, identity.digest), box.facts.name)
            if before != box.facts.name:
                raise Violation(f"{identity.name} runs again for its release, as {box.facts.name}")
        if identity is None or identity.service not in PINNED:
            return
        live = [
            f"{other.name}: g{found.generation}"
            for other in self._world.every_host
            for item in other.engine.boxes.values()
            if item.live
            and (found := self._world.identity(item.facts.labels))
            and found.slot == identity.slot
        ]
        if len(live) > 1:
            raise Violation(f"{identity.name} runs {len(live)} times at once ({', '.join(live)})")

    def touched(self, host: Host, facts: ContainerFacts) -> None:
        if facts.labels["berth.cluster"] != self._world.cluster:
            raise Violation(f"{host.name}: {facts.name} is another cluster's and is touched")

    # -- rows

    def look(self) -> None:
        """After a transaction of anybody's; only when it changed something."""
        writes, self._world.points.writes = self._world.points.writes, []
        changes = [sql for sql in writes if "controller_lease" not in sql]
        if not changes:
            return
        self.changes += changes
        rows = _plain(_CONTAINERS)
        self._look_at_slots()
        self._look_at_one_shots()
        used: dict[str, Counter[str]] = defaultdict(Counter)
        ports: Counter[tuple[str, int, str]] = Counter()
        live: Counter[tuple[str, str]] = Counter()
        newest: dict[str, int] = {}
        states: dict[str, State] = {}
        capped: Counter[tuple[str, str]] = Counter()
        for id_, slot, generation, word, node, cpu, memory, pids, held, index, owner, *service in rows:
            state = states[id_] = State(word)
            newest[slot] = max(newest.get(slot, 0), generation)
            self._look_at_state(id_, slot, generation, state, index, service)
            if state.live:
                live[slot, service[0]] += state is not State.STOPPING or service[0] in ALONE
                used[node].update(cpu=cpu, memory=memory, pids=pids)
                ports.update((node, host, kind) for host, _inside, kind in json.loads(held))
                capped.update([(node, owner)] if service[0] == "capped" else [])
        for id_, slot, generation, state, *_rest in rows:
            if state == State.LOST and self._states.get(id_) != State.LOST and newest[slot] == generation:
                raise Violation(f"{slot}-g{generation} is lost without a replacement")
        self._states = states
        if capped and max(capped.values()) > 1:
            raise Violation(f"a service with at most 1 container on a node has more: {capped}")
        self._look_at_sums(used, ports, live)

    def _look_at_slots(self) -> None:
        generations = dict(_plain(_SLOTS))
        for slot, generation in generations.items():
            if generation < self._generations.get(slot, 0):
                raise Violation(f"the generation of {slot} fell to {generation}")
        self._generations = generations

    def _look_at_one_shots(self) -> None:
        """What is known to be finished is not done again, unless its release is another or a user asks for it."""
        before, self._done = self._done, {}
        for slot, generation, digest, restart, finished in _plain(_ONE_SHOTS):
            done = before.get(slot)
            if done is not None and generation is None:
                self._done[slot] = done
            elif done is not None and generation > done[0] and done[1:] == (digest, restart):
                raise Violation(f"{slot}-g{generation} does again what g{done[0]} has done")
            elif finished:
                self._done[slot] = generation, digest, restart

    def _look_at_state(
        self, id_: str, slot: str, generation: int, state: State, index: int, service: list[object]
    ) -> None:
        before = self._states.get(id_)
        if before is not None:
            if state not in REACHABLE[before]:
                raise Violation(f"{slot}-g{generation} moved from {before} to {state}")
            return
        name, replicas, *off = service
        if any(off) or (name != "everywhere" and index > int(str(replicas))):
            raise Violation(f"{slot}-g{generation} is made though it is not wanted")

    def _look_at_sums(
        self,
        used: dict[str, Counter[str]],
        ports: Counter[tuple[str, int, str]],
        live: Counter[tuple[str, str]],
    ) -> None:
        for (slot, kind), count in live.items():
            if count > (1 if kind in ALONE else MOST_LIVE):
                raise Violation(f"{slot} has {count} live containers")
        for (node, port, kind), count in ports.items():
            if count > 1:
                raise Violation(
                    f"port {port}/{kind} of {self._world.name_of(node)} is given out {count} times"
                )
        for node, sums in used.items():
            host = self._world.hosts.get(node)
            if host is None:
                continue
            for what in ("cpu", "memory", "pids"):
                if sums[what] > getattr(host.capacity, what):
                    raise Violation(f"{host.name} has {sums[what]} {what} given out, more than there is")
