"""What containers use: taken down every ten seconds, shown by slot, service, app, node and team."""

from console.workloads.metrics.current import Current, current
from console.workloads.metrics.history import (
    AGES,
    MOST_SERIES,
    STEPS,
    USUAL_SERIES,
    History,
    Window,
    of_app,
    of_node,
    of_service,
    of_slot,
    of_team,
    window,
)
from console.workloads.metrics.recording import record_new

__all__ = [
    "AGES",
    "MOST_SERIES",
    "STEPS",
    "USUAL_SERIES",
    "Current",
    "History",
    "Window",
    "current",
    "of_app",
    "of_node",
    "of_service",
    "of_slot",
    "of_team",
    "record_new",
    "window",
]
