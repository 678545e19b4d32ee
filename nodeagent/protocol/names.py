"""Names that both sides must agree on: the version, the queue, the labels, what a broker user may do."""

from __future__ import annotations

VERSION = 3
"""Protocol version. A console accepts this one and the one before, and tells an agent of the one before nothing that
only this one knows."""
ROTATES_SINCE = 2
"""Agents of this version on make new credentials when they are told to."""
SECRETS_SINCE = 3
"""Agents of this version on know secrets. One before would start a container without them."""

RELEASE = "0.1.0"
"""Of this code: an agent says its own in its hello."""

TASK = "berth.jobs"
"""Celery task that takes one `Batch` (as builtins) as its only argument."""

QUEUE = "jobs"
"""Queue name below a node's own key prefix."""

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
"""Largest WebSocket message either side accepts."""

BROKER_ACL_COMMANDS = (
    "-@all",
    *("+hello", "+auth", "+ping", "+multi", "+exec"),
    *("+brpop", "+llen", "+lpush", "+rpush", "+sadd", "+smembers"),
)
"""All that a node's broker user may do, below its own key prefix: no Lua, no pub/sub, no acknowledgements.
The console grants exactly this (with `resetkeys`, `resetchannels`); the agent's worker needs exactly this."""

CONTAINER_PREFIX = "berth-"

LABEL_CLUSTER = "berth.cluster"
LABEL_TEAM = "berth.team"
LABEL_APP = "berth.app"
LABEL_SERVICE = "berth.service"
LABEL_SLOT = "berth.slot"
LABEL_GENERATION = "berth.generation"
LABEL_CONTAINER = "berth.container"
LABEL_DIGEST = "berth.digest"
LABEL_NAME = "berth.name"
LABEL_NAMES = "berth.names"
"""Not of the identity: the names that a container is to have on its networks."""
LABEL_SECRETS = "berth.secrets"
"""For each of its secrets the variable that holds it, or nothing where it is a file: as JSON."""
LABEL_EXCLUSIVE = "berth.exclusive"
"""`1` on what its agent stops by itself once it is out of contact."""


def key_prefix(node_id: str) -> str:
    """Redis key prefix that one node's broker user can reach."""
    return f"node:{node_id}:"


def engine_name(slot_id: str, generation: int) -> str:
    """Name of a container in the engine: unique by slot and generation."""
    return f"{CONTAINER_PREFIX}{slot_id}-g{generation}"


def speaks(version: int) -> bool:
    """Whether a console of this version works with an agent of that one."""
    return VERSION - 1 <= version <= VERSION
