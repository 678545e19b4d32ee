"""Errors of the agent. Each becomes a `Result`: a code for programs, a message that says what to do."""

from __future__ import annotations


class AgentError(Exception):
    """Something a job could not do. `fatal` means that trying the same again cannot help."""

    code = "agent"
    fatal = False

    def __init__(self, message: str, *, code: str = "", fatal: bool | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.fatal = type(self).fatal if fatal is None else fatal


class Refused(AgentError):
    """A container that this node must not run, whoever asks for it."""

    code = "refused"
    fatal = True


class Stale(AgentError):
    """A job of the past: a newer generation was seen, or this one was already stopped."""

    code = "stale"
    fatal = True


class Waiting(AgentError):
    """The assignment of this session has not come yet, so nothing is started or stopped."""

    code = "waiting"


class Unsettled(AgentError):
    """The engine did not reach the wanted state within the steps one job may take."""

    code = "unsettled"


class Busy(AgentError):
    """More jobs are under way than the agent takes on at once."""

    code = "busy"


class BadConfig(Exception):
    """The agent cannot start with this configuration."""
