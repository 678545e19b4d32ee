"""The app's format: the supported part of the Compose Specification, checked and typed. Free of Django."""

from .canonical import canonical
from .digest import spec_digest
from .model import (
    COMMAND_SUFFIX,
    DEFAULT_NETWORK,
    Affinity,
    Attachment,
    ConfigFile,
    Constraint,
    Dependency,
    GenericResource,
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
    Spread,
    Ulimit,
    Update,
)
from .problems import ComposeError, Problem
from .project import load

__all__ = [
    "COMMAND_SUFFIX",
    "DEFAULT_NETWORK",
    "Affinity",
    "Attachment",
    "ComposeError",
    "ConfigFile",
    "Constraint",
    "Dependency",
    "GenericResource",
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
    "Spread",
    "Ulimit",
    "Update",
    "canonical",
    "load",
    "spec_digest",
]
