"""The one loop: take in reports → judge nodes → reconcile → place → write jobs → send."""

from __future__ import annotations

import logging
import threading
import time
from datetime import UTC, datetime, timedelta

import redis
from django.db import DatabaseError, close_old_connections, transaction
from django.utils import timezone

from console.cluster.models import Hold
from console.common.prepared import Prepared, PreparedUpdate
from console.controller import intake, nodes, overlay, send, tidy, verdicts
from console.controller.agenda import Agenda
from console.controller.broker import BrokerUsers
from console.controller.context import Step
from console.controller.lease import Leadership, LeaseLost
from console.controller.live import Live
from console.controller.models import Cursor
from console.controller.pulse import Pulse
from console.controller.requests import Releases
from console.controller.roster import Roster
from console.controller.sealer import Told
from console.controller.wire import Entry, Wire
from console.controller.wishes import Wishes
from console.controller.work import put_off, work

logger = logging.getLogger(__name__)

BATCH = 2000
"""Reports taken in by one step: bounds its transaction."""
MOST_PUT_OFF, LONGEST_PUT_OFF = 5, timedelta(seconds=2)
"""While more reports wait than one step takes in, the apps are looked at only after so many steps, or this time: each
look costs in proportion to the app, and what the next reports say would call for another one."""
IDLE = 1.0
"""Seconds after which a step is made though nothing called for it."""
ON_ITS_WAY = 0.5
"""Seconds that a report may take: whether a container has been up for long enough is decided when it would be known by
now that it has not."""
REST = 6.0
LONGEST_REST = 0.5
"""After a step it rests for so many times what the step took, at most so many seconds: what is reported meanwhile is
one step's work then, and a busy cluster's controller leaves the processor to others."""
_CURSOR = Prepared(lambda: Cursor.objects.filter(id=1))
_REMEMBER = PreparedUpdate(
    lambda _epoch, _position: Cursor.objects.filter(id=1),
    lambda epoch, position: {"epoch": epoch, "position": position},
)
_HOLDS = Prepared(Hold.objects.all)


class Controller:
    """`step(now)` is deterministic given the database, the wire's answers and the time."""

    def __init__(self, wire: Wire, lease: Leadership) -> None:
        self.wire = wire
        self.lease = lease
        self.watch = nodes.Watch()
        self.rounds = tidy.Rounds()
        self.live = Live(Releases())
        self.agenda = Agenda()
        self.wishes = Wishes()
        self.roster = Roster()
        self.told = Told()
        self.position = "0-0"
        self.idle = IDLE
        """Seconds that the next step may be waited for."""
        self._saved: tuple[str, str] | None = None
        """Epoch and position as the database has them; None when that is not known."""
        self._ask_all = True
        self._put_off = 0
        """Steps in a row that looked at no app."""
        self._looked_at = datetime.min.replace(tzinfo=UTC)
        """When one last did."""
        self._freed = False
        """A node has had more room since the apps were last looked at."""

    def step(self, now: datetime) -> bool:
        """One step, in one transaction, then the bells. Whether more may be waiting already."""
        # Heartbeats before the epoch: a wipe that takes some of them shows in the epoch.
        beats = self.wire.contacts()
        epoch = self.wire.epoch()
        wiped = self._start(epoch, now)
        entries = self.wire.read(self.position, BATCH)
        try:
            with transaction.atomic():
                self.lease.renew()
                step = Step(
                    now, self.live, self.agenda, self.wishes, nodes=self.roster.read(), freed=self._freed
                )
                step.holds = {hold.node_id: hold for hold in _HOLDS()}
                intake.take_in(step, entries)
                nodes.judge(step, beats, self.watch)
                verdicts.bury(step)
                overlay.keep(step)
                tidy.keep(step, self.rounds)
                later = len(entries) == BATCH and self._may_put_off(now)
                (put_off if later else work)(step)
                if wiped:
                    send.ring_all(step)
                due = send.collect(step)
                step.close()
                self._remember(epoch, entries)
        except BaseException:
            # What was changed in memory is not in the database.
            self._discard()
            raise
        self._saved = epoch, self.position
        if later:
            self._put_off, self._freed = self._put_off + 1, step.freed
        else:
            self._put_off, self._freed, self._looked_at = 0, False, now
        waited_for = min(nodes.next_verdict(step), self.agenda.next_due(now) + ON_ITS_WAY)
        self.idle = min(IDLE, max(0.05, waited_for))
        send.ring(self.wire, due, self.told)
        self._ask(step)
        return step.more or len(entries) == BATCH

    def rebuild(self) -> None:
        """Forget what is only in memory: after a new term, or a step that failed."""
        self._ask_all = True
        self._discard()

    def _discard(self) -> None:
        self._saved = None
        # Once the cluster is read anew, every app that waits for room is looked at.
        self._freed = False
        for kept in (self.live, self.agenda, self.wishes, self.roster):
            kept.discard()

    def _may_put_off(self, now: datetime) -> bool:
        return self._put_off < MOST_PUT_OFF and now - self._looked_at < LONGEST_PUT_OFF

    def _start(self, epoch: str, now: datetime) -> bool:
        """Find where to read on. Another epoch (True): the stream is another one, jobs under way and heartbeats
        may be gone with the old one, and every node is asked for its full set."""
        if self._saved is None:
            cursor = _CURSOR.first() or Cursor.objects.get_or_create(id=1)[0]
            self._saved = cursor.epoch, cursor.position
        if self._saved[0] == epoch:
            self.position = self._saved[1]
            return False
        logger.warning("Redis is new or was wiped (epoch %s): reading its reports from the start.", epoch)
        self.position, self._ask_all = "0-0", True
        self.watch.freeze(now)
        return True

    def _remember(self, epoch: str, entries: list[Entry]) -> None:
        if entries:
            self.position = entries[-1].position
        if (epoch, self.position) != self._saved:
            _REMEMBER(epoch, self.position)

    def _ask(self, step: Step) -> None:
        wanted = {node.id for node in step.nodes.values() if node.session} if self._ask_all else step.ask
        self._ask_all = False
        for node in sorted(wanted):
            self.wire.ask(node)


def _keep_users(users: BrokerUsers) -> None:
    """A Redis whose users cannot be managed must not stop the loop."""
    try:
        users.keep(time.monotonic())
    except redis.ResponseError:
        logger.exception("Redis refuses to keep the nodes' broker users; agents cannot get their jobs")


def run(
    controller: Controller, users: BrokerUsers, stop: threading.Event, pulse: Pulse | None = None
) -> None:
    """Lead when possible, stand by otherwise, until `stop`. Outlives faults of database and Redis."""
    leading = False
    pulse = pulse or Pulse("")
    while not stop.is_set():
        try:
            if not leading:
                leading = controller.lease.acquire()
                if not leading:
                    pulse.tell()
                    stop.wait(1.0)
                    continue
                logger.info("Leading")
                controller.rebuild()
            _keep_users(users)
            began = time.monotonic()
            more = controller.step(timezone.now())
            took = time.monotonic() - began
            pulse.took(took)
            if not more:
                rest = min(LONGEST_REST, REST * took)
                stop.wait(rest)
                controller.wire.wait(controller.position, max(0.0, controller.idle - rest))
        except LeaseLost as lost:
            logger.warning("%s; standing by", lost)
            leading = False
        except (DatabaseError, redis.RedisError, OSError) as error:
            logger.warning("Step failed (%s: %s); trying again", type(error).__name__, error)
            pulse.failed()
            controller.rebuild()
            stop.wait(1.0)
            close_old_connections()
        except Exception:
            logger.exception("Step failed")
            pulse.failed()
            controller.rebuild()
            stop.wait(1.0)
    if leading:
        controller.lease.release()
