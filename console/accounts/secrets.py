"""Random secrets that are shown once and kept as digests, and values that are kept sealed."""

from __future__ import annotations

import hashlib
import secrets
from functools import cache

from django.conf import settings
from nacl.exceptions import CryptoError
from nacl.public import PublicKey, SealedBox
from nacl.secret import SecretBox

from console.common.errors import BerthError


def new_secret(prefix: str) -> str:
    """A random secret of 256 bits; the prefix tells what it is for when it leaks."""
    return f"{prefix}_{secrets.token_urlsafe(32)}"


def digest(secret: str) -> str:
    """SHA-256 as hex. Enough for secrets of 256 random bits; passwords go through Django's hashers."""
    return hashlib.sha256(secret.encode()).hexdigest()


@cache
def _box() -> SecretBox:
    return SecretBox(hashlib.sha256(b"berth at rest:" + settings.SECRET_KEY.encode()).digest())


def seal_at_rest(value: str) -> bytes:
    return bytes(_box().encrypt(value.encode()))


def open_at_rest(sealed: bytes) -> str:
    """The sealed value; raises BerthError when the console's secret key is not the one it was sealed with."""
    try:
        return _box().decrypt(bytes(sealed)).decode()
    except CryptoError as error:
        raise BerthError(
            "A stored secret cannot be opened: BERTH_SECRET_KEY has changed. Restore it, or store the secret again.",
            code="secret_key_changed",
        ) from error


def seal_to_node(public_key: bytes, value: bytes) -> bytes:
    """Readable by that node's agent alone (X25519 sealed box)."""
    return bytes(SealedBox(PublicKey(public_key)).encrypt(value))
