"""A session's full assignment: keep what is this node's, clear away the rest of this cluster's."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from nodeagent.errors import AgentError
from nodeagent.facts import Known, identity_of
from nodeagent.fence import Fence
from nodeagent.protocol import Sync
from nodeagent.runtime.base import Runtime
from nodeagent.session import Session
from nodeagent.step import Stepper

PARALLEL = 4


class Assignment:
    """Two halves, so that the gate opens before slow stops are over."""

    def __init__(self, runtime: Runtime, stepper: Stepper, fence: Fence, session: Session) -> None:
        self._runtime = runtime
        self._stepper = stepper
        self._fence = fence
        self._session = session

    def accept(self, job: Sync) -> tuple[Known, ...]:
        """Fence off and return what must go, then open the gate. Raises `Stale` for another session's."""
        self._session.check_number(job.session)
        listing = self._runtime.list_managed(self._session.cluster)
        own = [Known(identity, facts) for facts in listing.own if (identity := identity_of(facts.labels))]
        self._session.check_number(job.session)
        self._fence.rebuild([known.key for known in own])
        keep = frozenset(job.keep) | self._session.started()
        strangers = tuple(known for known in own if known.key not in keep)
        self._fence.close(*(known.key for known in strangers))
        self._session.open_gate(job.session)
        return strangers

    def clear(self, strangers: tuple[Known, ...]) -> None:
        """Stop and remove them. Raises the first error after all were tried."""
        with ThreadPoolExecutor(PARALLEL, thread_name_prefix="clear") as pool:
            errors = [error for error in pool.map(self._clear_one, strangers) if error]
        if errors:
            raise errors[0]

    def _clear_one(self, known: Known) -> AgentError | None:
        slot, generation = known.key
        try:
            self._stepper.clear(slot, generation, known.facts.stop_grace)
        except AgentError as error:
            return error
        return None
