"""The machines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class NodeState(StrEnum):
    READY = "ready"
    SUSPECT = "suspect"
    DRAINING = "draining"
    """Well, but an operator wants it empty."""
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Node:
    id: str
    name: str
    state: NodeState
    cpu: int
    memory: int
    pids: int = 32768
    disk: int = 0
    """Bytes that containers may reserve; 0: unknown, and then no request is refused for it."""
    resources: Mapping[str, int] = field(default_factory=dict)
    """Whole units of each generic resource: `{"gpu": 8}`. A unit can be shared in thousandths."""
    cordoned: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    """Also `platform.os`, `platform.arch`."""
    zone: str = ""
    off_overlay: str = ""
    """Why no container can join a network across hosts here, as a verb and more. Empty: it can, or none is wanted."""
    low_on_disk: bool = False
    """So little is free on its disk, whoever took it, that it is to take nothing new."""
    off_secrets: str = ""
    """Why no container with secrets can start here, as a verb and more. Empty: it can."""
    port_first: int = 30000
    """Host ports from here …"""
    port_last: int = 32767
    """… to here are given to requests that leave the choice open."""
    images: frozenset[str] = frozenset()
    """Identities (config digests and repo digests) of the images present."""
