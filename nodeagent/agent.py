"""All parts of one agent, put together."""

from __future__ import annotations

import logging
import threading

from nodeagent.assignment import Assignment
from nodeagent.config import Config
from nodeagent.credentials import Credentials
from nodeagent.desk import Desk
from nodeagent.discovery import Discovery
from nodeagent.dispatch import Dispatcher
from nodeagent.exec import ExecStreams
from nodeagent.fence import Fence
from nodeagent.fetched import Fetched
from nodeagent.lastlog import LastLogs
from nodeagent.link import Link
from nodeagent.observer import Observer
from nodeagent.outgoing import Outgoing
from nodeagent.overlay import OverlayPart
from nodeagent.pulls import Images
from nodeagent.queuewatch import QueueWatch
from nodeagent.runtime.base import Runtime, SwarmRuntime
from nodeagent.samples import Sampler
from nodeagent.seal import NodeKey
from nodeagent.selfstop import SelfStop
from nodeagent.session import Session
from nodeagent.step import Stepper
from nodeagent.streams import Streams
from nodeagent.tasks import CONSUMER_HANGS_AFTER, make_app, make_worker, waiting
from nodeagent.tidy import Tidier
from nodeagent.vault import Vault
from nodeagent.volumes import VolumeMeter
from nodeagent.watchdog import Pulse, Watchdog

log = logging.getLogger(__name__)

FENCE_FILE = "fence.json"
FETCHED_FILE = "fetched.json"
EXEC_END = 2.5
"""Seconds for programs of open terminals to end: afterwards nobody is left who could end them."""


class Agent:
    """Reports over the link, works off the broker's queue. Containers do not depend on its life."""

    def __init__(self, config: Config, runtime: Runtime, swarm: SwarmRuntime | None = None) -> None:
        self._config = config
        self.outgoing = Outgoing()
        self.session = Session(config.state_dir)
        key = NodeKey(config.state_dir)
        self.credentials = Credentials(config.state_dir, config.token, config.broker)
        fence = Fence(config.state_dir / FENCE_FILE)
        fetched = Fetched(config.state_dir / FETCHED_FILE)
        vault = Vault(config.secrets_dir, key)
        self.observer = Observer(
            runtime,
            lambda: self.session.cluster,
            self.outgoing.wake,
            self._engine_changed,
        )
        stepper = Stepper(runtime, fence, self.session, vault, self.observer)
        self.overlay = OverlayPart(config.overlay, swarm, key, self.session, self._overlay_changed)
        last_logs = LastLogs(runtime, self.session, self.outgoing.wake, self.outgoing.put, self.observer)
        assignment = Assignment(runtime, stepper, fence, self.session, last_logs.keep, vault)
        self.tidier = Tidier(runtime, fetched)
        self.dispatcher = Dispatcher(
            self.session,
            stepper,
            assignment,
            Images(runtime, key, fetched),
            self.outgoing,
            last_logs.keep,
            self.observer.saw,
            self.overlay,
            self.tidier.run,
        )
        self.discovery = Discovery(self.observer, stepper)
        self.streams = Streams(runtime, self.observer, self.outgoing.wake)
        self.execs = ExecStreams(runtime, self.observer, self.outgoing.wake)
        self.sampler = Sampler(runtime, self.observer, self.outgoing.put_samples)
        self.meter = VolumeMeter(runtime, lambda: self.session.cluster, self.outgoing.put_volumes)
        self.desk = Desk(
            config,
            key.public_key,
            self.session,
            fence,
            self.observer,
            self.outgoing,
            self.streams,
            self.sampler,
            last_logs,
            self.execs,
            self.credentials,
            self.overlay,
            fetched,
        )
        self.link = Link(config.link_url, config.ca, self.credentials, config.node, self.desk)
        self.self_stop = SelfStop(
            self.desk.since_contact, self.observer.running, stepper.halt, self.observer.note
        )
        self.consumer_pulse = Pulse("the broker's consumer", CONSUMER_HANGS_AFTER)
        self.jobs = make_app(
            config.node,
            self.credentials.broker,
            self.dispatcher.accept,
            self.credentials,
            config.ca,
            self.consumer_pulse,
        )
        self.queue_watch = QueueWatch(lambda: waiting(self.jobs), lambda: self.dispatcher.taken)
        self.watchdog = Watchdog(
            self.link.pulse, self.observer.pulse, self.consumer_pulse, self.queue_watch.pulse
        )
        self.consumer = threading.Thread(target=self._consume, name="consumer", daemon=True)

    def start(self) -> None:
        self.observer.start()
        self.sampler.start()
        self.meter.start()
        self.tidier.start()
        self.discovery.start()
        self.overlay.start()
        self.link.start()
        self.consumer.start()
        self.self_stop.start()
        self.queue_watch.start()
        self.watchdog.start()

    def stop(self) -> None:
        """Ask every thread to end; none is waited for longer than a moment."""
        self.watchdog.stop()
        self.queue_watch.stop()
        self.self_stop.stop()
        self.link.stop()
        self.streams.close_all()
        self.execs.close_all()
        self.sampler.stop()
        self.meter.stop()
        self.tidier.stop()
        self.discovery.stop()
        self.overlay.stop()
        self.observer.stop()
        self.link.thread.join(1.5)
        self.execs.wait(EXEC_END)

    def dead_thread(self) -> str:
        """Name of a thread that ended though the agent runs; empty while all live."""
        threads = [
            self.link.thread,
            self.consumer,
            self.sampler.thread,
            self.meter.thread,
            self.tidier.thread,
            self.discovery.thread,
            *self.observer.threads,
            self.overlay.thread,
        ]
        threads += [self.self_stop.thread, self.queue_watch.thread, self.watchdog.thread]
        return next((thread.name for thread in threads if not thread.is_alive()), "")

    def _overlay_changed(self) -> None:
        self.desk.say_hello()

    def _engine_changed(self, well: bool) -> None:
        self.desk.engine_changed(well)

    def _consume(self) -> None:
        make_worker(self.jobs, self._config.node).start()
        log.error("the broker's consumer ended")
