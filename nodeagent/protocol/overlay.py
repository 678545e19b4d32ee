"""The engines' swarm, which Berth uses for networks across hosts and for nothing else.

No join token is ever plain but on two hosts: a manager's agent seals it to the key of the node that is to join, and
the console passes on what it cannot read.
"""

from __future__ import annotations

from typing import Literal

import msgspec

SwarmState = Literal["inactive", "pending", "active", "error", "locked"]


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One engine of the swarm, as a manager sees it."""

    node: str
    """The swarm's id of it."""
    manager: bool = False
    ready: bool = False
    """It answers; of a manager: it is also part of the majority."""
    settled: bool = False
    """It has been there for a minute: whoever joined has told the console by then."""


class Overlay(msgspec.Struct, frozen=True, kw_only=True):
    """What a node that may join an overlay says of it, in its hello."""

    address: str
    """Where other nodes reach it: the agent's configuration says so."""
    state: SwarmState
    node: str = ""
    manager: bool = False
    cluster: str = ""
    """Id of the Berth cluster that the swarm was made for. This and the rest is known to managers alone."""
    swarm: str = ""
    members: tuple[Member, ...] = ()
    error: str = ""
    """Why it is not active, in the engine's words."""


class Swarm(msgspec.Struct, frozen=True, kw_only=True, tag="swarm"):
    """One change of the swarm. All but `init` and `join` are for managers. Done already is success."""

    id: str
    act: Literal["init", "invite", "join", "promote", "demote", "forget"]
    pool: str = ""
    """Of `init`: addresses for networks, `10.90.0.0/16` …"""
    subnet: int = 24
    """… cut into subnets of this many bits."""
    public_key: bytes = b""
    """Of `invite`: whom to seal the token to."""
    guest: str = ""
    """Of `invite`: the console's id of that node. It comes back with the job."""
    token: bytes = b""
    """Of `join`: sealed to this node."""
    managers: tuple[str, ...] = ()
    """Of `join`: addresses of managers."""
    node: str = ""
    """Of the others: the swarm's id of the one that they are about."""


class Network(msgspec.Struct, frozen=True, kw_only=True, tag="network"):
    """Have a network across hosts, or (`gone`) have it no more. For managers."""

    id: str
    name: str
    app: str
    internal: bool = False
    gone: bool = False
