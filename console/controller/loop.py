"""The one loop: take in reports → judge nodes → reconcile → place → write jobs → send."""

from __future__ import annotations

import logging
import threading
from datetime import datetime, timedelta

import redis
from django.db import DatabaseError, OperationalError, close_old_connections, transaction
from django.utils import timezone

from console.cluster.models import Node
from console.common.models import Dirty
from console.controller import apply, intake, load, nodes, resolve, send
from console.controller.broker import BrokerUsers
from console.controller.context import Step
from console.controller.lease import Leadership, LeaseLost
from console.controller.models import Cursor, Wake
from console.controller.wire import Entry, Wire
from console.workloads.enums import ReleaseState, RolloutState
from console.workloads.models import App, Container, Release, Rollout, Slot
from scheduler.placement import Cluster
from scheduler.reconcile import reconcile

logger = logging.getLogger(__name__)

BATCH = 500
"""Reports taken in by one step: bounds its transaction."""
IDLE = 1.0
"""Seconds after which a step is made though nothing called for it."""
APP_AGAIN = timedelta(seconds=10)
"""After this an app that could not be worked on is tried again."""


class Controller:
    """`step(now)` is deterministic given the database, the wire's answers and the time."""

    def __init__(self, wire: Wire, lease: Leadership) -> None:
        self.wire = wire
        self.lease = lease
        self.watch = nodes.Watch()
        self.position = "0-0"
        self._ask_all = True

    def step(self, now: datetime) -> bool:
        """One step, in one transaction, then the bells. Whether more reports may be waiting."""
        # Heartbeats before the epoch: a wipe that takes some of them shows in the epoch.
        beats = self.wire.contacts()
        epoch = self.wire.epoch()
        wiped = self._start(epoch, now)
        entries = self.wire.read(self.position, BATCH)
        with transaction.atomic():
            self.lease.renew()
            step = Step(now, nodes={node.id: node for node in Node.objects.select_for_update()})
            intake.take_in(step, entries)
            nodes.judge(step, beats, self.watch)
            self._reconcile(step)
            if wiped:
                send.ring_all(step)
            due = send.collect(step)
            self._remember(epoch, entries)
        send.ring(self.wire, due)
        self._ask(step)
        return len(entries) == BATCH

    def rebuild(self) -> None:
        """Forget what is only in memory: after a new term, or a step that failed."""
        self._ask_all = True

    def _start(self, epoch: str, now: datetime) -> bool:
        """Find where to read on. Another epoch (True): the stream is another one, jobs under way and heartbeats
        may be gone with the old one, and every node is asked for its full set."""
        cursor, _made = Cursor.objects.get_or_create(id=1)
        if cursor.epoch == epoch:
            self.position = cursor.position
            return False
        logger.warning("Redis is new or was wiped (epoch %s): reading its reports from the start.", epoch)
        self.position, self._ask_all = "0-0", True
        self.watch.freeze(now)
        return True

    def _remember(self, epoch: str, entries: list[Entry]) -> None:
        if entries:
            self.position = entries[-1].position
        Cursor.objects.filter(id=1).exclude(epoch=epoch, position=self.position).update(
            epoch=epoch, position=self.position
        )

    def _reconcile(self, step: Step) -> None:
        step.dirty |= _consume_dirty() | _due(step)
        if step.freed:
            step.dirty |= _pending_apps()
        if not step.dirty:
            return
        cluster = load.cluster(step)
        apps = App.objects.filter(pk__in=step.dirty).select_related("team").order_by("created_at", "id")
        for app in apps:
            try:
                with transaction.atomic():
                    _carry_on(step, app, cluster)
            except OperationalError:
                raise
            except Exception:
                # One app that cannot be worked on must not stop the others.
                logger.exception("App %s (%s) cannot be carried on; it is tried again", app.name, app.id)
                Wake.objects.update_or_create(app_id=app.id, defaults={"at": step.now + APP_AGAIN})

    def _ask(self, step: Step) -> None:
        wanted = {node.id for node in step.nodes.values() if node.session} if self._ask_all else step.ask
        self._ask_all = False
        for node in sorted(wanted):
            self.wire.ask(node)


def _carry_on(step: Step, app: App, cluster: Cluster) -> None:
    if not app.deleting:
        resolve.resolve(step, app)
    release = load.wanted_release(app)
    plan = reconcile(load.app_view(step, app, release), step.time)
    apply.apply(step, app, release, plan, cluster)
    if app.deleting and not Container.objects.filter(app=app, removed_at=None).exists():
        apply.finish_deletion(step, app)


def _consume_dirty() -> set[str]:
    rows = list(Dirty.objects.values_list("id", "app_id"))
    Dirty.objects.filter(pk__in=[row for row, _app in rows]).delete()
    return {app for _row, app in rows}


def _due(step: Step) -> set[str]:
    due = set(Wake.objects.filter(at__lte=step.now).values_list("app_id", flat=True))
    Wake.objects.filter(app_id__in=due).delete()
    late = Rollout.objects.filter(
        state=RolloutState.RUNNING, release__state=ReleaseState.RESOLVING, deadline__lte=step.now
    )
    return due | set(late.values_list("app_id", flat=True))


def _pending_apps() -> set[str]:
    """Apps with a slot that found no node, or a release whose images are not known yet."""
    unplaced = (
        Slot.objects.filter(retired=False).exclude(pending="").values_list("service__app_id", flat=True)
    )
    unresolved = Release.objects.filter(state=ReleaseState.RESOLVING).values_list("app_id", flat=True)
    return {*unplaced, *unresolved}


def _keep_users(users: BrokerUsers) -> None:
    """A Redis whose users cannot be managed must not stop the loop."""
    try:
        users.keep(list(Node.objects.all()), timezone.now().timestamp())
    except redis.ResponseError:
        logger.exception("Redis refuses to keep the nodes' broker users; agents cannot get their jobs")


def run(controller: Controller, users: BrokerUsers, stop: threading.Event) -> None:
    """Lead when possible, stand by otherwise, until `stop`. Outlives faults of database and Redis."""
    leading = False
    while not stop.is_set():
        try:
            if not leading:
                leading = controller.lease.acquire()
                if not leading:
                    stop.wait(1.0)
                    continue
                logger.info("Leading")
                controller.rebuild()
            _keep_users(users)
            if not controller.step(timezone.now()):
                controller.wire.wait(controller.position, IDLE)
        except LeaseLost as lost:
            logger.warning("%s; standing by", lost)
            leading = False
        except (DatabaseError, redis.RedisError, OSError) as error:
            logger.warning("Step failed (%s: %s); trying again", type(error).__name__, error)
            controller.rebuild()
            stop.wait(1.0)
            close_old_connections()
        except Exception:
            logger.exception("Step failed")
            controller.rebuild()
            stop.wait(1.0)
    if leading:
        controller.lease.release()
