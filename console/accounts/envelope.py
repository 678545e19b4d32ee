"""Values that are kept sealed: each under a data key of its own, which a master key wraps.

An envelope is MessagePack: [version, id of the master key, wrapped data key, sealed value], both by AES-256-GCM with a
random nonce before the text. The binding (team, app, name, version: whatever the value belongs to) is authenticated
with both, so that an envelope which was moved to another row does not open there.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import NamedTuple

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

from console.accounts.keyring import KEY_BYTES, Keyring, keyring
from console.common.errors import BerthError

_VERSION = 1
_NONCE = 12


class CannotOpen(BerthError):
    """A kept value cannot be opened; the text says what is missing."""

    status, code = 503, "secret_key_changed"


class _Envelope(NamedTuple):
    version: int
    key: str
    wrapped: bytes
    sealed: bytes


def seal(value: bytes, *binding: str) -> bytes:
    """The value's envelope. `open_sealed` wants the same binding."""
    ring, data_key, bound = keyring(), secrets.token_bytes(KEY_BYTES), _bound(binding)
    wrapped = _encrypt(ring.keys[ring.newest], data_key, b"key" + bound)
    return _pack(_Envelope(_VERSION, ring.newest, wrapped, _encrypt(data_key, value, b"value" + bound)))


def open_sealed(envelope: bytes, *binding: str) -> bytes:
    """Raises `CannotOpen`: the master key is gone, or the envelope is another value's."""
    found = _unpack(envelope)
    return _decrypt(_data_key(found, keyring(), _bound(binding)), found.sealed, b"value" + _bound(binding))


def rewrap(envelope: bytes, *binding: str) -> bytes | None:
    """The envelope with its data key under the newest master key; None when it is there already.

    The sealed value itself stays as it is. Raises `CannotOpen`.
    """
    found, ring, bound = _unpack(envelope), keyring(), _bound(binding)
    if found.key == ring.newest:
        return None
    wrapped = _encrypt(ring.keys[ring.newest], _data_key(found, ring, bound), b"key" + bound)
    return _pack(found._replace(key=ring.newest, wrapped=wrapped))


def key_of(envelope: bytes) -> str:
    """Id of the master key that it needs; empty: it is from before there were any."""
    return _unpack(envelope).key if is_envelope(envelope) else ""


def is_envelope(data: bytes) -> bool:
    """Boxes of earlier releases begin with a random nonce; an envelope with an array of four and its version."""
    try:
        return bool(data) and data[:2] == bytes((0x94, _VERSION)) and bool(_unpack(data))
    except CannotOpen:
        return False


def open_box(box: bytes) -> bytes:
    """A value as releases before envelopes kept it, under `SECRET_KEY`. Raises `CannotOpen`."""
    key = hashlib.sha256(b"berth at rest:" + settings.SECRET_KEY.encode()).digest()
    try:
        return bytes(SecretBox(key).decrypt(box))
    except (CryptoError, ValueError) as error:
        raise CannotOpen(
            "A stored secret cannot be opened: BERTH_SECRET_KEY has changed. Restore it, or store the secret again."
        ) from error


def _data_key(found: _Envelope, ring: Keyring, bound: bytes) -> bytes:
    if found.key not in ring.keys:
        raise CannotOpen(
            f"A stored secret cannot be opened: the master key {found.key} is not in the master key file. "
            "Put it back, or store the secret again."
        )
    return _decrypt(ring.keys[found.key], found.wrapped, b"key" + bound)


def _bound(binding: tuple[str, ...]) -> bytes:
    """No two bindings are the same bytes."""
    return msgspec.msgpack.encode(binding)


def _encrypt(key: bytes, text: bytes, bound: bytes) -> bytes:
    nonce = secrets.token_bytes(_NONCE)
    return nonce + AESGCM(key).encrypt(nonce, text, bound)


def _decrypt(key: bytes, data: bytes, bound: bytes) -> bytes:
    try:
        return AESGCM(key).decrypt(data[:_NONCE], data[_NONCE:], bound)
    except (InvalidTag, ValueError) as error:
        raise CannotOpen(
            "A stored secret cannot be opened: it was changed, or sealed for another place. Store it again."
        ) from error


def _pack(envelope: _Envelope) -> bytes:
    return msgspec.msgpack.encode(envelope)


def _unpack(data: bytes) -> _Envelope:
    try:
        found = msgspec.msgpack.decode(data, type=_Envelope)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CannotOpen("A stored secret is not readable. Store it again.") from error
    if found.version != _VERSION:
        raise CannotOpen(f"A stored secret is of version {found.version}, which this console does not read.")
    return found
