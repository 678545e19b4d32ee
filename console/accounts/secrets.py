"""Random secrets that are shown once and kept as digests, and what is sealed to a node."""

from __future__ import annotations

import hashlib
import secrets

from nacl.public import PublicKey, SealedBox


def new_secret(prefix: str) -> str:
    """A random secret of 256 bits; the prefix tells what it is for when it leaks."""
    return f"{prefix}_{secrets.token_urlsafe(32)}"


def digest(secret: str) -> str:
    """SHA-256 as hex. Enough for secrets of 256 random bits; passwords go through Django's hashers."""
    return hashlib.sha256(secret.encode()).hexdigest()


def seal_to_node(public_key: bytes, value: bytes) -> bytes:
    """Readable by that node's agent alone (X25519 sealed box)."""
    return bytes(SealedBox(PublicKey(public_key)).encrypt(value))
