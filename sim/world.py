"""One run: a console with two controllers, hosts, users and a nemesis, from one seed."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Mapping
from datetime import datetime
from random import Random

from django.conf import settings
from django.db import connection
from django.db.models import DateTimeField, Func
from django.utils import timezone

from console.cluster import broker
from console.cluster.queries import cluster
from console.common import events
from console.common.ids import use_source
from console.common.prepared import Prepared
from console.controller import lease, loop
from console.workloads.models import Slot
from nodeagent import tidy as tidier
from nodeagent.facts import identity_of
from nodeagent.protocol import Capacity, Identity, ImageFact
from sim.checks import Checks, Violation
from sim.clock import BEGIN, Clock
from sim.consoles import Consoles
from sim.door import Door
from sim.faults import Rates, YieldPoints
from sim.host import Host
from sim.liveness import unsettled
from sim.nemesis import Nemesis
from sim.redis import Redis
from sim.shapes import PULLED
from sim.users import Users

CHAOS = 17.0
GAP = 1.3
"""Mean seconds between two things that somebody does, or that go wrong."""
PATIENCE = 120.0
"""Virtual seconds from the last fault until all is as wanted. The longest waits that can be left: 60 s until a job
that was received, or rung often, is sent again, and after it a rollout's own steps. A slot's back-off counts extra."""
DRAIN = 9.0
"""For the last receipts, wake-ups, and full sets that were asked for. After it nothing is under way."""
LATEST = 15.0
"""Seconds from the last fault until the last doubled job has come and the last pull has ended."""
QUIET = 7.0
CRAMPED = 5
"""In one seed of so many the controller's steps take in few reports, as if the cluster were large: apps are put off."""
FEW = 3
MIB = 1 << 20
_BATCH = loop.BATCH
_SLOTS = Slot.objects.filter(retired=False)
_BACKOFF_ENDS: Prepared[datetime | None] = Prepared(
    lambda: _SLOTS.exclude(not_before=None).order_by("-not_before").values_list("not_before", flat=True)[:1]
)
_PENDING: Prepared[str] = Prepared(lambda: _SLOTS.exclude(pending="").values_list("pk", flat=True))


class VirtualNow(Func):
    """The database's clock."""

    function = "virtual_now"
    output_field = DateTimeField()


def _in_registry(name: str, letter: str) -> ImageFact:
    return ImageFact(id=f"sha256:{letter * 64}", digests=(f"{name}@sha256:{letter * 64}",))


class World:
    def __init__(self, seed: int, keep: int | None = 60) -> None:
        self.random = Random(seed)
        use_source(Random(seed + 1))
        self.clock = Clock()
        self.trace: deque[str] = deque(maxlen=keep)
        self.points = YieldPoints()
        self.rates = Rates()
        self.cluster = cluster().id
        self.registry = {name: _in_registry(name, letter) for name, letter in zip(PULLED, "ab", strict=True)}
        self.registry_away = False
        self.hosts: dict[str, Host] = {}
        self.every_host: list[Host] = []
        self.checks = Checks(self)
        self.redis = Redis(self)
        self.door = Door(self)
        self.consoles = Consoles(self)
        self._identities: dict[str, Identity | None] = {}
        self._names: dict[str, str] = {}
        self._patch()
        vars(loop)["BATCH"] = FEW if seed % CRAMPED == 0 else _BATCH
        self.users = Users(self)
        self._healed_at = 0.0
        self._tight = self.random.random() < 0.2

    def _patch(self) -> None:
        """The seams: time, Redis and browsers."""
        timezone.now = self.clock.datetime
        vars(lease)["Now"] = VirtualNow
        # Hours are no part of the model: old images go within seconds, and are wanted again.
        settings.IMAGES_EVERY, vars(tidier)["LEAST_UNUSED"] = 3, 2.0
        settings.IMAGES_UNUSED_HOURS, settings.IMAGES_RELEASES = 2 / 3600, 1
        events.poke = self._poke
        events.group_send = self._group_send
        broker.try_now = self._no_user
        handler = _Complaints()
        logger = logging.getLogger("console.controller")
        logger.handlers[:] = [handler]
        logger.setLevel(logging.WARNING)
        logger.propagate = False
        connection.execute_wrappers[:] = [self.points.statement]

    def _poke(self) -> None:
        """What asked for it is committed by now; a process that dies here has lost the poke and nothing else."""
        lost = self.rates.report_lost and self.random.random() < self.rates.report_lost
        if not (self.redis.away or lost):
            self.redis.add()

    def _no_user(self, node_id: str, digests: object) -> None:
        """Nodes' users at the broker are not part of the model."""

    def _group_send(self, group: str, message: Mapping[str, object]) -> None:
        if message["type"] == "revoked":
            self.door.revoke(group.removeprefix("node."))

    def note(self, text: str) -> None:
        self.trace.append(f"{self.clock.now:9.3f} {text}")

    # -- what others ask of it

    def identity(self, labels: Mapping[str, str]) -> Identity | None:
        return identity_of(labels)

    def name_of(self, node: str) -> str:
        return self._names.get(node, node)

    def registry_fails(self) -> bool:
        return self.registry_away or (
            self.rates.pull_fails > 0 and self.random.random() < self.rates.pull_fails
        )

    def add_host(self, node: str, name: str, labels: dict[str, str]) -> None:
        cpu = 500 if self._tight else 4000
        capacity = Capacity(cpu=cpu, memory=(8 << 10) * MIB, port_first=30000, port_last=30007)
        host = Host(self, node, name, capacity, labels)
        self.hosts[node] = host
        self.every_host.append(host)
        self._names[node] = name
        host.start_agent()

    def remove_host(self, node: str) -> None:
        self.hosts.pop(node).destroy()

    def mend_network(self, host: Host) -> None:
        host.cut = host.broker_cut = False
        self.door.heal(host.node)

    # -- the run

    def run(self) -> None:
        """Raises `Violation`."""
        for _node in range(self.random.randrange(2, 5)):
            self.users.attempt(self.users.join)
        self.consoles.start()
        self.clock.run(4.0)
        self.users.attempt(self.users.deploy)
        self.clock.run(6.0)
        self._chaos()
        self._heal()
        self._settle()

    def _chaos(self) -> None:
        nemesis = Nemesis(self)
        self.rates = Rates.draw(self.random)
        self.note(f"faults: {', '.join(kind.__name__ for kind in nemesis.kinds)}; {self.rates}")
        end = self.clock.now + CHAOS
        at = self.clock.now
        while (at := at + self.random.expovariate(1 / GAP)) < end:
            act = self.users.act if self.random.random() < 0.5 else nemesis.strike
            self.clock.at(at - self.clock.now, act)
        self.clock.run(end)

    def _heal(self) -> None:
        self.note("the faults stop")
        self._healed_at = self.clock.now
        self.rates = Rates()
        self.points.disarm()
        self.redis.away = self.registry_away = False
        for process in self.consoles.processes:
            process.stall.seconds = 0.0
        for host in self.hosts.values():
            host.engine.strangers_ports.clear()
            self.mend_network(host)
            host.mend_engine()
            host.cure()
            host.start_agent()
        self.clock.run(self.clock.now + 4.0)
        self.users.attempt(self.users.settle)

    def _settle(self) -> None:
        limit = self.clock.now + PATIENCE
        while reason := unsettled(self):
            if self.clock.now > max(limit, self._backoff_ends() + PATIENCE):
                raise Violation(f"after {PATIENCE:.0f} s without faults {reason}")
            self.clock.run(self.clock.now + 1.0)
        self.note("all is as wanted")
        self._be_quiet()

    def _backoff_ends(self) -> float:
        ends = _BACKOFF_ENDS.first()
        return (ends - BEGIN).total_seconds() if ends else 0.0

    def _be_quiet(self) -> None:
        """Steps change nothing but the lease and the time of the last contact."""
        if _PENDING():
            # What finds no node is tried again and again, and says why anew.
            return
        self.consoles.calm_down()
        self.clock.run(max(self.clock.now + DRAIN, self._healed_at + LATEST))
        self.checks.changes.clear()
        self.clock.run(self.clock.now + QUIET)
        if odd := [sql for sql in self.checks.changes if "contact_at" not in sql]:
            raise Violation(f"all is as wanted, and still rows change: {odd[0][:200]}")
        if reason := unsettled(self):
            raise Violation(f"it was as wanted, and then {reason}")


class _Complaints(logging.Handler):
    """The loop goes on after an exception of one app or one report, and logs it. Here it is a defect."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1] is not None:
            raise Violation(f"{record.getMessage()}: {record.exc_info[1]!r}") from record.exc_info[1]
