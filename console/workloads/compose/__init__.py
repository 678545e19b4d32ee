"""The app's format: the supported part of the Compose Specification, checked and typed. Free of Django."""

from .canonical import canonical
from .digest import spec_digest
from .model import (
    ConfigFile,
    Constraint,
    Healthcheck,
    Logging,
    Mount,
    Placement,
    Policy,
    Port,
    Project,
    Resources,
    Restart,
    Service,
    Ulimit,
)
from .problems import ComposeError, Problem
from .project import load

__all__ = [
    "ComposeError",
    "ConfigFile",
    "Constraint",
    "Healthcheck",
    "Logging",
    "Mount",
    "Placement",
    "Policy",
    "Port",
    "Problem",
    "Project",
    "Resources",
    "Restart",
    "Service",
    "Ulimit",
    "canonical",
    "load",
    "spec_digest",
]
