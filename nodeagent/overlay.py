"""This node's part in the swarm: what it says of it, and the jobs about it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from ipaddress import ip_address, ip_network

from nacl.exceptions import CryptoError
from nacl.public import PublicKey, SealedBox

from nodeagent import names
from nodeagent.errors import AgentError, Refused
from nodeagent.protocol import Network, Overlay, Result, Swarm
from nodeagent.runtime.base import SwarmRuntime
from nodeagent.seal import NodeKey
from nodeagent.session import Session

log = logging.getLogger(__name__)

LOOK_EVERY = 5.0


class OverlayPart:
    """Without an `address`, or a `swarm`, it says nothing and takes no job. `told` is called when there is something
    new to say."""

    def __init__(
        self,
        address: str,
        swarm: SwarmRuntime | None,
        key: NodeKey,
        session: Session,
        told: Callable[[], None],
    ) -> None:
        self._address = address
        self._engine = swarm if address else None
        self._key = key
        self._session = session
        self._told = told
        self._lock = threading.Lock()
        self._known: Overlay | None = None
        self._stop = threading.Event()
        self.thread = threading.Thread(target=self._follow, name="overlay", daemon=True)

    def start(self) -> None:
        self.thread.start()

    def stop(self) -> None:
        self._stop.set()

    def facts(self) -> Overlay | None:
        """As last seen."""
        return self._known

    def look(self) -> None:
        """See what is so now. An engine that cannot be asked changes nothing: that is told elsewhere."""
        if self._engine is None:
            return
        try:
            seen = self._engine.facts(self._address)
        except AgentError as error:
            log.info("the swarm cannot be looked at: %s", error.message)
            return
        if seen != self._known:
            self._known = seen
            self._told()

    def _follow(self) -> None:
        while True:
            try:
                self.look()
            except Exception:
                log.exception("the swarm could not be looked at")
            if self._stop.wait(LOOK_EVERY):
                return

    def run(self, job: Swarm | Network) -> Result:
        """Raises `AgentError`s. One at a time: each stands on what the last one made."""
        with self._lock:
            if isinstance(job, Network):
                self._network(job)
                return Result(job=job.id, ok=True)
            sealed = self._change(job)
            self.look()
        return Result(job=job.id, ok=True, sealed=sealed)

    @property
    def _swarm(self) -> SwarmRuntime:
        if self._engine is None:
            raise Refused("This node's configuration keeps it off the overlay.")
        return self._engine

    def _network(self, job: Network) -> None:
        names.check_network_of(job.app, job.name)
        if job.gone:
            self._swarm.remove_network(job.name, self._session.cluster)
        else:
            self._swarm.ensure_network(job.name, self._session.cluster, job.app, internal=job.internal)

    def _change(self, job: Swarm) -> bytes:
        match job.act:
            case "init":
                _check_pool(job)
                self._swarm.init(self._address, job.pool, job.subnet, self._session.cluster)
            case "invite":
                self._check_ours()
                return _sealed(job.public_key, self._swarm.token())
            case "join":
                managers = [_checked_address(one) for one in job.managers]
                self._swarm.join(self._key.open_sealed(job.token).decode(), managers, self._address)
            case "promote" | "demote":
                self._check_ours()
                self._swarm.set_manager(_checked_member(job.node), manager=job.act == "promote")
            case "forget":
                self._check_ours()
                self._swarm.forget(_checked_member(job.node))
        return b""

    def _check_ours(self) -> None:
        """Raises `Refused` in a swarm that somebody made for something else."""
        seen = self._swarm.facts(self._address)
        if seen.cluster != self._session.cluster:
            raise Refused(
                "This engine is no manager of a swarm that this cluster made, so it is not touched."
            )


def _sealed(public_key: bytes, token: str) -> bytes:
    try:
        return bytes(SealedBox(PublicKey(public_key)).encrypt(token.encode()))
    except (CryptoError, ValueError, TypeError) as error:
        raise Refused("The node that is to join has no usable key.") from error


def _check_pool(job: Swarm) -> None:
    try:
        pool = ip_network(job.pool)
    except ValueError as error:
        raise Refused(f"{job.pool[:60]!r} is no range of addresses.") from error
    if not pool.is_private or not pool.prefixlen <= job.subnet <= 29:
        raise Refused(f"{pool} cannot be cut into private subnets of {job.subnet} bits.")


def _checked_address(value: str) -> str:
    try:
        return str(ip_address(value))
    except ValueError as error:
        raise Refused(f"{value[:60]!r} is no address of a manager.") from error


def _checked_member(value: str) -> str:
    if not value.isalnum() or len(value) > 64:
        raise Refused(f"{value[:60]!r} is no member of a swarm.")
    return value
