"""One container's facts into its row: the state by the table, the rest as columns of its own."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from console.common import events
from console.controller.context import Step
from console.workloads.enums import Health
from console.workloads.models import Container
from nodeagent import protocol
from scheduler.backoff import backoff
from scheduler.lifecycle import Actor, Facts, State, may_move, move, observe

RESTART_WINDOW = timedelta(minutes=10)
_STEADY = timedelta(minutes=10)
"""A container that ran this long starts its slot's failures anew."""
_START_JITTER = timedelta(seconds=2)
"""Ages are rounded on the way; a start that moved less than this is the same start."""


def update(step: Step, container: Container, seen: protocol.Observed) -> None:
    """Take in what the engine shows of a container."""
    seen = msgspec.structs.replace(
        seen, error=storable(seen.error), last_lines=tuple(storable(line) for line in seen.last_lines)
    )
    before = (container.state, container.health, container.restarts, container.error, container.exit_code)
    current = State(container.state)
    facts = Facts(seen.state, seen.exit_code, seen.oom, seen.restarts, seen.error)
    container.state = observe(current, facts)
    container.engine_id = seen.engine_id
    container.exit_code, container.oom, container.error = seen.exit_code, seen.oom, seen.error
    container.observed_at = step.now
    _take_restarts(container, seen.restarts, step.now)
    _take_health(container, Health.RESTARTING if seen.state == "restarting" else seen.health, step.now)
    if seen.running_for is not None:
        started = step.now - timedelta(seconds=seen.running_for)
        if container.started_at is None or abs(started - container.started_at) > _START_JITTER:
            container.started_at = started
    if seen.last_lines:
        container.last_lines = list(seen.last_lines)
    if container.state != current and State(container.state).ended:
        _end(step, container, timedelta(seconds=seen.ended_ago or 0))
    container.save()
    after = (container.state, container.health, container.restarts, container.error, container.exit_code)
    if after != before:
        _tell(step, container)
        _remember(step, container, State(before[0]), Health(before[1]), before[2])


def preparing(step: Step, container: Container, text: str) -> None:
    """A pull goes on."""
    if may_move(State(container.state), State.PREPARING, Actor.REPORT):
        container.state = move(State(container.state), State.PREPARING, Actor.REPORT)
    container.progress, container.observed_at = text, step.now
    container.save(update_fields=["state", "progress", "observed_at"])
    events.announce(container.app.team_id, "app", container.app_id)


def failed(step: Step, container: Container, result: protocol.Result) -> None:
    """The agent could not start it. Its remains, if any, are removed like those of any ended container."""
    if container.state == State.FAILED:
        # The engine's bare words came first; the agent's say what to do.
        container.error, container.fatal = result.message, _hopeless(result)
        container.save(update_fields=["error", "fatal"])
        _tell(step, container)
        return
    if not may_move(State(container.state), State.FAILED, Actor.REPORT):
        return
    container.state = move(State(container.state), State.FAILED, Actor.REPORT)
    container.error, container.fatal, container.observed_at = result.message, _hopeless(result), step.now
    _end(step, container, timedelta(0))
    container.save()
    _tell(step, container)
    _event(step, container, f"{container.name} could not start: {result.message}", warning=True)


def _hopeless(result: protocol.Result) -> bool:
    """Whether the next generation would fail as well. With a taken port another one, or another node, is chosen;
    what a node knows as past (after a restored backup, say) is past with this generation alone."""
    return result.fatal and result.code not in {"port-taken", "stale"}


def stopped_for_good(step: Step, container: Container) -> None:
    """The agent has fenced it off and nothing of it runs: ended, also when it had never been created."""
    if container.state == State.STOPPING:
        container.state = move(State.STOPPING, State.EXITED, Actor.REPORT)
        container.ended_at = container.ended_at or step.now
        container.observed_at = step.now
        container.save(update_fields=["state", "ended_at", "observed_at"])
        _tell(step, container)
        step.freed = True


def vanished(step: Step, container: Container) -> None:
    """The engine has no trace of it. One that was not created yet is still to come, unless a stop fences it off."""
    state = State(container.state)
    if state in {State.ASSIGNED, State.PREPARING} or (state is State.STOPPING and not container.engine_id):
        return
    if not state.ended:
        wanted = state is State.STOPPING
        container.state = move(state, State.EXITED if wanted else State.FAILED, Actor.REPORT)
        if not wanted:
            container.error = "The container is gone from the engine; somebody or something removed it."
            _event(step, container, f"{container.name} is gone from the engine", warning=True)
        _end(step, container, timedelta(0))
    container.removed_at = container.observed_at = step.now
    container.save()
    _tell(step, container)


def storable(text: str) -> str:
    """An agent's text as every database takes it: PostgreSQL stores no zero byte."""
    return text.replace("\0", "\ufffd")


def count_failure(container: Container, now: datetime) -> None:
    """One more failure in a row of the slot; its back-off grows."""
    slot = container.slot
    steady = container.started_at is not None and now - container.started_at > _STEADY
    slot.failures = 1 if steady else slot.failures + 1
    slot.not_before = now + timedelta(seconds=backoff(slot.failures))
    slot.save(update_fields=["failures", "not_before"])


def found_port_taken(container: Container) -> bool:
    """It could not start because somebody whom Berth does not know holds one of its host ports."""
    return bool(container.ports) and container.started_at is None and "already" in container.error


def _end(step: Step, container: Container, ago: timedelta) -> None:
    container.ended_at = step.now - ago
    step.freed = True
    if container.state == State.FAILED and not found_port_taken(container):
        count_failure(container, step.now)


def _take_restarts(container: Container, restarts: int, now: datetime) -> None:
    recent = [at for at in container.recent_restarts if datetime.fromisoformat(at) > now - RESTART_WINDOW]
    recent += [now.isoformat()] * max(0, restarts - container.restarts)
    container.recent_restarts, container.restarts = recent[-50:], restarts


def _take_health(container: Container, health: str, now: datetime) -> None:
    if health == Health.UNHEALTHY:
        container.unhealthy_at = container.unhealthy_at or now
    else:
        container.unhealthy_at = None
    container.health = health


def _tell(step: Step, container: Container) -> None:
    step.dirty.add(container.app_id)
    events.announce(container.app.team_id, "app", container.app_id)


def _remember(step: Step, container: Container, state: State, health: Health, restarts: int) -> None:
    """A line of history for what people look for; not for each small move."""
    now = State(container.state)
    if now is State.RUNNING and state is not State.RUNNING:
        _event(step, container, f"{container.name} runs on {container.node.name}")
    elif now.ended and not state.ended:
        code = "" if container.exit_code is None else f" with code {container.exit_code}"
        cause = " (out of memory)" if container.oom else f": {container.error}" if container.error else ""
        _event(step, container, f"{container.name} {now}{code}{cause}", warning=now is State.FAILED)
    elif container.restarts > restarts:
        code = "" if container.exit_code is None else f" after code {container.exit_code}"
        _event(step, container, f"{container.name} was restarted by the engine{code}", warning=True)
    elif container.health != health and Health.UNHEALTHY in (health, container.health):
        bad = container.health == Health.UNHEALTHY
        _event(step, container, f"{container.name} is {Health(container.health).label}", warning=bad)


def _event(step: Step, container: Container, message: str, *, warning: bool = False) -> None:
    events.record(
        "container",
        message,
        actor=f"node {container.node.name}",
        team=container.app.team_id,
        app=container.app_id,
        at=step.now,
        warning=warning,
        data={"container": container.id},
    )
