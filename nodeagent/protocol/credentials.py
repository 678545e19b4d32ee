"""How a node gets new credentials. The agent makes them, and says their digests only: no secret goes over the link.

Agent and console each hold the present and the next ones until a link was opened with the next ones. Only then do the
present ones end, so that a crash at any point leaves the agent one that is valid.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

Digest = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]
"""SHA-256 of a secret, as hex."""


class NewCredential(msgspec.Struct, frozen=True, kw_only=True, tag="new-credential"):
    """The link token and the broker password that the agent wants to use next. The same ones again change nothing."""

    token_digest: Digest
    broker_digest: Digest


class CredentialStored(msgspec.Struct, frozen=True, kw_only=True, tag="credential-stored"):
    """These next ones are valid now; `error` says why they are not."""

    token_digest: Digest
    error: str = ""


class Rotate(msgspec.Struct, frozen=True, kw_only=True, tag="rotate"):
    """An operator wants the agent to make new credentials now."""


class JoinRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Body of `POST /api/v1/join`, as JSON. The join token goes into the Authorization header."""

    version: int
    agent: str
    token_digest: Digest
    broker_digest: Digest
    name: str = ""
    """What the node is to be called, where the token leaves that open."""
    address: str = ""
    """Where the host's published ports are to be reached; for the history."""


class Joined(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a join: what the agent's configuration needs besides its own secrets."""

    node: str
    name: str
    console: str
    """Address of the link."""
    broker: str
    """Address of the broker, without a login."""
    broker_user: str
    ca: str = ""
    """PEM of the authority to trust on both links; empty: the system's."""


class Discovery(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to `GET /api/v1/join`, which a host checks against the pin of its command."""

    ca: str
    """PEM; empty: the system's authorities."""


CLOSE_PLAIN = 4403
"""The console takes links over TLS alone."""
CLOSE_REMOVED = 4410
"""The node was removed from the console."""
CLOSE_REVOKED = 4411
"""These credentials were revoked, or replaced by newer ones."""
CLOSE_VERSION = 4426
"""The console does not speak this agent's protocol version."""
