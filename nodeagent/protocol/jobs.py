"""Jobs, down through Celery as JSON: one batch for each node and step."""

from __future__ import annotations

from typing import Any

import msgspec

from nodeagent.protocol.names import SECRETS_SINCE, VERSION
from nodeagent.protocol.overlay import Network, Swarm
from nodeagent.protocol.spec import Identity, Spec


class Pull(msgspec.Struct, frozen=True, kw_only=True, tag="pull"):
    """Make an image present, or (`resolve`) tell which digest a name stands for, without pulling it."""

    id: str
    image: str
    resolve: bool = False
    auth: bytes = b""
    """Registry login as JSON {username, password}, sealed to the node's public key."""
    timeout: float = 600.0


class Ensure(msgspec.Struct, frozen=True, kw_only=True, tag="ensure"):
    """Have this container running. Refused when a newer generation of its slot was seen.

    Pulls the image first when it is missing and `auth` or the registry allows it.
    """

    id: str
    identity: Identity
    spec: Spec
    auth: bytes = b""
    sealed: bytes = b""
    """Values of the spec's secrets by version, as MessagePack, sealed to the node's public key."""


class Stop(msgspec.Struct, frozen=True, kw_only=True, tag="stop"):
    """Stop exactly this container. A container that never existed is remembered as fenced off."""

    id: str
    slot: str
    generation: int
    grace: float = 10.0


class Remove(msgspec.Struct, frozen=True, kw_only=True, tag="remove"):
    """Remove exactly this ended container, and with `volumes` also these engine volumes of its app."""

    id: str
    slot: str
    generation: int
    volumes: tuple[str, ...] = ()
    network: str = ""
    """App network to remove once nothing uses it."""


class Sync(msgspec.Struct, frozen=True, kw_only=True, tag="sync"):
    """The full assignment of a session: what this node shall keep. The rest of this cluster's is stopped."""

    id: str
    session: int
    keep: tuple[tuple[str, int], ...]
    """(slot, generation) of each container that is this node's."""
    forget: tuple[str, ...] = ()
    """Slots that are no more, of those in the hello's `generations`. No job names them again: the fence may let them
    go where the engine has nothing of them. (Not known to older agents, which go on remembering.)"""


class Tidy(msgspec.Struct, frozen=True, kw_only=True, tag="tidy"):
    """Remove these images, as far as the node may spare them: fetched by its agent, under no other name, and used by no
    container of anybody's, ended or not, for so long. What may not go stays; that is success as well."""

    id: str
    images: tuple[str, ...]
    """Their `ImageFact.id`s."""
    unused: float
    """Seconds since the last use. The agent has a least of its own."""


Job = Pull | Ensure | Stop | Remove | Sync | Swarm | Network | Tidy
"""`Swarm` and `Network` are sent only to nodes whose hello has an overlay, `Tidy` only to those that tell which images
they pulled, so that older agents never meet them."""


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """All jobs that one step decided for one node."""

    version: int = VERSION - 1
    """The oldest version whose agents read it: nothing in it is newer (`needs`)."""
    node: str
    jobs: tuple[Job, ...]


def needs(job: Job) -> int:
    """The oldest version whose agents carry this job out as it is meant; 0: any that the console speaks."""
    return SECRETS_SINCE if isinstance(job, Ensure) and job.spec.secrets else 0


def batch_to_builtins(batch: Batch) -> Any:
    """JSON-ready form of a batch, for Celery (bytes become base64 text)."""
    return msgspec.to_builtins(batch)


def batch_from_builtins(data: Any) -> Batch:
    """Checks and builds a batch from what Celery delivered. Raises `msgspec.ValidationError`."""
    return msgspec.convert(data, Batch)
