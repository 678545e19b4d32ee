"""The agent as a Celery worker on its node's own queue, with no more rights at the broker than it needs.

Variant A: no acknowledgements in Redis, no remote control, no events, no results, no Lua; JSON alone. What a
crash loses the console rings again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
from celery import Celery
from celery.app.amqp import AMQP
from celery.worker import WorkController
from celery.worker.consumer import Consumer
from celery.worker.state import maybe_shutdown
from kombu import Connection, Queue
from redis.credentials import CredentialProvider

from nodeagent import protocol, tls
from nodeagent.protocol import Batch
from nodeagent.watchdog import Pulse

log = logging.getLogger(__name__)

MAX_JOBS = 1000
CONCURRENCY = 1
"""Batches are taken in one by one: a job sent before a `Sync` must not get behind it."""

BEAT_EVERY = 2.0
CONSUMER_HANGS_AFTER = 60.0
"""Longer than any one try to reach the broker."""

Accept = Callable[[Batch], None]


def make_app(
    node: str,
    broker: str,
    accept: Accept,
    login: CredentialProvider | None = None,
    ca: str = "",
    pulse: Pulse | None = None,
) -> Celery:
    """A Celery app with one task, which hands checked batches for `node` to `accept`.

    `login` is asked at each connection, where the address has none. `ca`: PEM to trust at a `rediss` address. `pulse`
    beats as long as the worker's loop turns or looks for the broker.
    """
    # Without fixups: in an environment made for the console, Celery would load Django.
    app = Celery("berth-agent", broker=broker, set_as_current=False, fixups=[], amqp=_amqp(login))
    app.conf.update(
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_acks_late=True,
        task_default_queue=protocol.QUEUE,
        task_queues=[Queue(protocol.QUEUE)],
        worker_consumer=_consumer(pulse),
        worker_prefetch_multiplier=1,
        worker_concurrency=CONCURRENCY,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_detect_quorum_queues=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_use_ssl=tls.for_broker(broker, ca),
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "global_keyprefix": protocol.key_prefix(node),
            "ack_emulation": False,
            "socket_timeout": 10,
            "socket_connect_timeout": 5,
            "socket_keepalive": True,
            "health_check_interval": 10,
        },
    )

    @app.task(name=protocol.TASK)
    def jobs(data: Any) -> None:
        batch = read_batch(node, data)
        if batch is not None:
            accept(batch)

    return app


def _amqp(login: CredentialProvider | None) -> type[AMQP]:
    """Celery passes no credential provider on to kombu."""

    connect = partial(Connection, credential_provider=login)
    return type("NodeAMQP", (AMQP,), {"Connection": staticmethod(connect)})


def read_batch(node: str, data: Any) -> Batch | None:
    """The batch, or None (and a line in the log) when it is malformed or not for this node."""
    try:
        batch = protocol.batch_from_builtins(data)
        # JSON knows texts and numbers that the link does not, and its answers carry what came in.
        msgspec.msgpack.encode(batch)
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError, RecursionError) as error:
        log.warning("a malformed batch was thrown away: %s", error)
        return None
    if batch.node != node:
        log.warning("a batch for node %.80r was thrown away: this is %s", batch.node, node)
        return None
    if not protocol.speaks(batch.version):
        log.error("a batch of protocol version %s was thrown away; update this agent", batch.version)
        return None
    if len(batch.jobs) > MAX_JOBS:
        log.warning("a batch of %s jobs was thrown away: %s is the most", len(batch.jobs), MAX_JOBS)
        return None
    return batch


def make_worker(app: Celery, node: str) -> WorkController:
    """A worker that runs in any thread: `start()` blocks and returns only when it cannot go on."""
    return WorkController(
        app=app,
        hostname=f"agent@{node}",
        pool_cls="threads",
        concurrency=CONCURRENCY,
        queues=[protocol.QUEUE],
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        loglevel="WARNING",
    )


def waiting(app: Celery) -> int:
    """Batches in the node's queue, asked over a connection of its own. Raises what the broker's trouble raises."""
    with app.connection_for_read() as connection:
        channel: Any = connection.channel()
        return int(channel.client.llen(protocol.QUEUE))


def _consumer(pulse: Pulse | None) -> type[QuickConsumer]:
    """Celery makes the consumer by itself, and passes nothing on to it."""
    return type("NodeConsumer", (QuickConsumer,), {"pulse": pulse or QuickConsumer.pulse})


class QuickConsumer(Consumer):
    """Celery's consumer, but never more than 3 s from a broker's return to the next try."""

    pulse = Pulse("the broker's consumer", CONSUMER_HANGS_AFTER)

    def register_with_event_loop(self, hub: Any) -> None:
        super().register_with_event_loop(hub)
        hub.call_repeatedly(BEAT_EVERY, self.pulse.beat)

    def ensure_connected(self, conn: Any) -> Any:
        def failed(error: Exception, interval: float) -> None:
            self.pulse.beat()
            log.warning("the broker cannot be reached (%s); next try in %.0f s", error, interval)

        return conn.ensure_connection(
            failed, None, interval_start=1, interval_step=1, interval_max=3, callback=maybe_shutdown
        )
