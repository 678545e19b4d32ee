"""One container's facts into its row: the state by the table, the rest as columns of its own."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from console.controller import load
from console.controller.context import Step
from console.controller.ledger import Ledger
from console.workloads.compose import Restart
from console.workloads.enums import Health
from console.workloads.models import Container
from console.workloads.summaries import STEADY
from nodeagent import protocol
from scheduler.backoff import backoff
from scheduler.lifecycle import Actor, Facts, State, may_move, move, observe

RESTART_WINDOW = timedelta(minutes=10)
_START_JITTER = timedelta(seconds=2)
"""Ages are rounded on the way; a start that moved less than this is the same start."""
_MOST_OOMS = 1_000_000


def update(ledger: Ledger, container: Container, seen: protocol.Observed) -> None:
    """Take in what the engine shows of a container."""
    now = ledger.step.now
    seen = msgspec.structs.replace(
        seen, error=storable(seen.error), last_lines=tuple(storable(line) for line in seen.last_lines)
    )
    before = (container.state, container.health, container.restarts, container.error, container.exit_code)
    ooms = container.oom_events
    current = State(container.state)
    facts = Facts(seen.state, seen.exit_code, seen.oom, seen.restarts, seen.error)
    container.state = observe(current, facts)
    container.engine_id = seen.engine_id
    container.exit_code, container.oom, container.error = seen.exit_code, seen.oom, seen.error
    container.observed_at, container.oom_events = now, max(0, min(seen.oom_events, _MOST_OOMS))
    _take_restarts(container, seen.restarts, now)
    _take_health(container, Health.RESTARTING if seen.state == "restarting" else seen.health, now)
    if seen.running_for is not None:
        started = now - timedelta(seconds=seen.running_for)
        if container.started_at is None or abs(started - container.started_at) > _START_JITTER:
            container.started_at = started
    if seen.last_lines:
        container.last_lines = list(seen.last_lines)
    if container.state != current and State(container.state).ended:
        _end(ledger, container, timedelta(seconds=seen.ended_ago or 0))
    elif current.ended:
        _hold_or_free(ledger, container)
    ledger.changed(container)
    after = (container.state, container.health, container.restarts, container.error, container.exit_code)
    if after != before:
        _tell(ledger, container)
        _remember(ledger, container, State(before[0]), Health(before[1]), before[2])
    if container.oom_events > ooms and not State(container.state).ended:
        _tell_oom(ledger, container)


def log_lost(ledger: Ledger, container: Container, reason: str) -> None:
    """It is removed, and its log could not be kept."""
    container.log_lost = storable(reason)[:400]
    ledger.changed(container)
    _tell(ledger, container)
    ledger.step.tell_container(
        container,
        f"The log of {container.name} was not kept: {container.log_lost}",
        warning=True,
        many=f"{container.slot.service.name}: the logs of {{count}} containers were not kept on {{nodes}}",
    )


def preparing(ledger: Ledger, container: Container, text: str) -> None:
    """A pull goes on."""
    if may_move(State(container.state), State.PREPARING, Actor.REPORT):
        container.state = move(State(container.state), State.PREPARING, Actor.REPORT)
    container.progress, container.observed_at = text, ledger.step.now
    ledger.changed(container)
    ledger.step.announce(container.app.team_id, "app", container.app_id)


def failed(ledger: Ledger, container: Container, result: protocol.Result) -> None:
    """The agent could not start it. Its remains, if any, are removed like those of any ended container."""
    if container.state == State.FAILED:
        # The engine's bare words came first; the agent's say what to do.
        container.error, container.fatal = result.message, hopeless(result)
        _hold_or_free(ledger, container)
        ledger.changed(container)
        _tell(ledger, container)
        return
    if State(container.state) in {State.RUNNING, State.STOPPING}:
        # An engine that did not answer in time had started it all the same: what is seen counts, not the repetition.
        return
    if not may_move(State(container.state), State.FAILED, Actor.REPORT):
        return
    container.state = move(State(container.state), State.FAILED, Actor.REPORT)
    container.error, container.fatal, container.observed_at = (
        result.message,
        hopeless(result),
        ledger.step.now,
    )
    _end(ledger, container, timedelta(0))
    ledger.changed(container)
    _tell(ledger, container)
    ledger.step.tell_container(
        container,
        f"{container.name} could not start: {result.message}",
        warning=True,
        many=f"{container.slot.service.name}: {{count}} containers could not start on {{nodes}}",
    )


def hopeless(result: protocol.Result) -> bool:
    """Whether the next generation would fail as well. With a taken port another one, or another node, is chosen;
    what a node knows as past (after a restored backup, say) is past with this generation alone."""
    return result.fatal and result.code not in {"port-taken", "disk-full", "stale"}


def stopped_for_good(ledger: Ledger, container: Container) -> None:
    """The agent has fenced it off and nothing of it runs: ended, also when it had never been created."""
    if container.state == State.STOPPING:
        container.state = move(State.STOPPING, State.EXITED, Actor.REPORT)
        container.observed_at = ledger.step.now
        _end(ledger, container, timedelta(0))
        ledger.changed(container)
        _tell(ledger, container)


def vanished(ledger: Ledger, container: Container) -> None:
    """The engine has no trace of it. One that was not created yet is still to come, unless a stop fences it off."""
    state, now = State(container.state), ledger.step.now
    if state in {State.ASSIGNED, State.PREPARING} or (state is State.STOPPING and not container.engine_id):
        return
    if not state.ended:
        wanted = state is State.STOPPING
        container.state = move(state, State.EXITED if wanted else State.FAILED, Actor.REPORT)
        if not wanted:
            container.error = "The container is gone from the engine; somebody or something removed it."
            ledger.step.tell_container(
                container,
                f"{container.name} is gone from the engine",
                warning=True,
                many=f"{container.slot.service.name}: {{count}} containers are gone from the engine on {{nodes}}",
            )
        _end(ledger, container, timedelta(0))
    ledger.step.live.gone(container)
    container.removed_at = container.observed_at = now
    ledger.changed(container)
    _tell(ledger, container)


def storable(text: str) -> str:
    """An agent's text as every database takes it: PostgreSQL stores no zero byte."""
    return text.replace("\0", "\ufffd")


def count_failure(step: Step, container: Container) -> None:
    """One more failure in a row of the slot; its back-off grows. The caller saves the slot."""
    slot, restart = container.slot, _restart(step, container)
    window = timedelta(seconds=restart.window) if restart.window else STEADY
    steady = container.started_at is not None and step.now - container.started_at > window
    slot.failures = 1 if steady else slot.failures + 1
    slot.not_before = step.now + timedelta(seconds=backoff(slot.failures, restart.delay))
    if restart.delay and 0 < restart.max_attempts < slot.failures:
        step.tell_container(
            container,
            f"{container.name} was the last try: with max_attempts {restart.max_attempts} its slot stays empty until "
            "the next deploy or restart",
            warning=True,
            many=f"{slot.service.name}: {{count}} slots on {{nodes}} stay empty until the next deploy or restart",
        )


def _restart(step: Step, container: Container) -> Restart:
    """What its release says of it."""
    try:
        return step.releases.spec(container.release_id, container.slot.service.name).restart
    except KeyError:
        return Restart()


def _end(ledger: Ledger, container: Container, ago: timedelta) -> None:
    """It ended: what it held is free. A failure of a slot's newest generation counts against the slot."""
    container.ended_at = ledger.step.now - ago
    ledger.step.freed = True
    _hold_or_free(ledger, container)
    failed = container.state == State.FAILED and not load.found_port_taken(container)
    if failed and ledger.newest(container):
        count_failure(ledger.step, container)
        ledger.failed(container.slot)
    elif container.state == State.EXITED and not container.stop_reason and ledger.newest(container):
        _wait_for_delay(ledger, container)


def _wait_for_delay(ledger: Ledger, container: Container) -> None:
    """It ended well by itself, and may be wanted again: not before what its release asks for."""
    if delay := _restart(ledger.step, container).delay:
        container.slot.not_before = ledger.step.now + timedelta(seconds=delay)
        ledger.failed(container.slot)


def _hold_or_free(ledger: Ledger, container: Container) -> None:
    live, now = ledger.step.live, ledger.step.now
    until = (container.ended_at or now) + load.PORT_MEMORY
    if container.state == State.FAILED and load.found_port_taken(container) and until > now:
        live.hold_ports(load.only_ports(container), until, container.app_id)
    elif container.state == State.LOST and container.removed_at is None:
        live.lose([container])
    else:
        live.free(container.id)


def _take_restarts(container: Container, restarts: int, now: datetime) -> None:
    recent = [at for at in container.recent_restarts if datetime.fromisoformat(at) > now - RESTART_WINDOW]
    recent += [now.isoformat()] * max(0, restarts - container.restarts)
    container.recent_restarts, container.restarts = recent[-50:], restarts


def _take_health(container: Container, health: str, now: datetime) -> None:
    container.unhealthy_at = (container.unhealthy_at or now) if health == Health.UNHEALTHY else None
    container.healthy_at = (container.healthy_at or now) if health == Health.HEALTHY else None
    container.health = health


def _tell(ledger: Ledger, container: Container) -> None:
    ledger.step.dirty.add(container.app_id)
    ledger.step.announce(container.app.team_id, "app", container.app_id)


def _tell_oom(ledger: Ledger, container: Container) -> None:
    """A child was killed: the engine does not count that as the container's end, and it runs on."""
    _tell(ledger, container)
    ledger.step.tell_container(
        container,
        f"A process in {container.name} was killed for lack of memory; the container runs on",
        warning=True,
        many=f"{container.slot.service.name}: processes in {{count}} containers were killed for lack of memory"
        " on {nodes}",
    )


def _remember(ledger: Ledger, container: Container, state: State, health: Health, restarts: int) -> None:
    """A line of history for what people look for; not for each small move."""
    now, service, step = State(container.state), container.slot.service.name, ledger.step
    if now is State.RUNNING and state is not State.RUNNING:
        text = f"{container.name} runs on {step.nodes[container.node_id].name}"
        step.tell_container(container, text, many=f"{service}: {{count}} containers run on {{nodes}}")
    elif now.ended and not state.ended:
        code = "" if container.exit_code is None else f" with code {container.exit_code}"
        cause = " (out of memory)" if container.oom else f": {container.error}" if container.error else ""
        text = f"{container.name} {now}{code}{cause}"
        many = f"{service}: {{count}} containers {now} on {{nodes}}"
        step.tell_container(container, text, warning=now is State.FAILED, many=many)
    elif container.restarts > restarts:
        code = "" if container.exit_code is None else f" after code {container.exit_code}"
        text = f"{container.name} was restarted by the engine{code}"
        many = f"{service}: {{count}} containers were restarted by their engines on {{nodes}}"
        step.tell_container(container, text, warning=True, many=many)
    elif container.health != health and Health.UNHEALTHY in (health, container.health):
        bad = container.health == Health.UNHEALTHY
        word = Health(container.health).label
        text, many = f"{container.name} is {word}", f"{service}: {{count}} containers are {word} on {{nodes}}"
        step.tell_container(container, text, warning=bad, many=many)
