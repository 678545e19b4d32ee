"""Patterns of the names that reach the engine. Nothing outside them is ever put into a call."""

from __future__ import annotations

import re

from nodeagent.errors import Refused

SLOT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
VOLUME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,199}")
NETWORK = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
ALIAS = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}")
HOSTNAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,61}[A-Za-z0-9])?")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
CLUSTER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
IMAGE_ID = re.compile(r"sha256:[0-9a-f]{64}")
IMAGE = re.compile(
    r"(?:[a-z0-9.-]+(?::\d{1,5})?/)?[a-z0-9]+(?:[._/-]+[a-z0-9]+)*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?"
)
MAX_GENERATION = (1 << 31) - 1
"""The fence keeps what it sees and every hello carries it, so it must fit the wire and the console's database."""
STOP_SIGNAL = re.compile(r"(?:SIG)?[A-Z][A-Z0-9]*(?:[+-]\d{1,2})?|\d{1,2}")

_RESERVED_NETWORKS = frozenset({"host", "none", "bridge", "default", "container"})


def check_name(pattern: re.Pattern[str], value: str, what: str) -> str:
    """`value`, or `Refused` when it is not such a name."""
    if not pattern.fullmatch(value):
        raise Refused(f"{what} {value[:80]!r} is not a valid name, so this node does not use it.")
    return value


def check_network(value: str) -> str:
    check_name(NETWORK, value, "The network")
    if value in _RESERVED_NETWORKS:
        raise Refused(f"The network {value!r} is the engine's own; an app gets a network of its own.")
    return value


def check_network_of(app: str, value: str) -> str:
    """`berth-APP`, alone or with more behind a dash (bridges) or an underscore (overlays)."""
    own = f"berth-{app}"
    if not app or not (value == own or value.startswith((f"{own}-", f"{own}_"))):
        raise Refused(
            f"The network {value[:80]!r} is none of this app's own, so its containers do not join it."
        )
    return check_network(value)


def check_image(value: str) -> str:
    """A reference or a config digest; never something that could be read as an option or a path."""
    known = IMAGE_ID if value.startswith("sha256:") else IMAGE
    if len(value) > 512 or not known.fullmatch(value):
        raise Refused(
            f"{value[:120]!r} is not an image name. It looks like registry.example.org/team/app:1.2."
        )
    return value
