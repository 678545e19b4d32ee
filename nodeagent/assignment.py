"""A session's full assignment: keep what is this node's, clear away the rest of this cluster's."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from nodeagent.errors import AgentError
from nodeagent.facts import Known, identity_of
from nodeagent.fence import Fence
from nodeagent.lastlog import KeepLog
from nodeagent.protocol import Sync, engine_name
from nodeagent.runtime.base import Runtime
from nodeagent.session import Session
from nodeagent.step import Stepper
from nodeagent.vault import Vault

PARALLEL = 4
LOGS_WITHIN = 10.0
"""Seconds for all their logs together: the node is ready only when they are cleared away."""


class Assignment:
    """Two halves, so that the gate opens before slow stops are over."""

    def __init__(
        self,
        runtime: Runtime,
        stepper: Stepper,
        fence: Fence,
        session: Session,
        keep_log: KeepLog,
        vault: Vault,
    ) -> None:
        self._runtime = runtime
        self._stepper = stepper
        self._fence = fence
        self._session = session
        self._keep_log = keep_log
        self._vault = vault

    def accept(self, job: Sync) -> tuple[Known, ...]:
        """Fence off and return what must go, then open the gate. Raises `Stale` for another session's."""
        self._session.check_number(job.session)
        listing = self._runtime.list_managed(self._session.cluster)
        own = [Known(identity, facts) for facts in listing.own if (identity := identity_of(facts.labels))]
        self._session.check_number(job.session)
        self._fence.rebuild([known.key for known in own])
        keep = frozenset(job.keep) | self._session.started()
        self._vault.sweep({engine_name(*key) for key in keep.union(known.key for known in own)})
        strangers = tuple(known for known in own if known.key not in keep)
        there = {slot for slot, _generation in keep.union(known.key for known in own)}
        self._fence.forget(slot for slot in job.forget if slot not in there)
        self._fence.close(*(known.key for known in strangers))
        self._session.open_gate(job.session)
        return strangers

    def clear(self, strangers: tuple[Known, ...]) -> None:
        """Stop all, then remove them. Raises the first error after all were tried."""
        until = time.monotonic() + LOGS_WITHIN

        def stop(known: Known) -> None:
            self._stepper.halt(*known.key, known.facts.stop_grace)

        def remove(known: Known) -> None:
            self._keep_log(*known.key, max(0.0, until - time.monotonic()))
            self._stepper.clear(*known.key, known.facts.stop_grace)

        with ThreadPoolExecutor(PARALLEL, thread_name_prefix="clear") as pool:
            stops = list(pool.map(_tried(stop), strangers))
            stopped = [known for known, error in zip(strangers, stops, strict=True) if error is None]
            errors = [error for error in (*stops, *pool.map(_tried(remove), stopped)) if error]
        if errors:
            raise errors[0]


def _tried(work: Callable[[Known], None]) -> Callable[[Known], AgentError | None]:
    def call(known: Known) -> AgentError | None:
        try:
            work(known)
        except AgentError as error:
            return error
        return None

    return call
