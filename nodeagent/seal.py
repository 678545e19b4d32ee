"""The node's own X25519 key. What is sealed to its public half only this node can open."""

from __future__ import annotations

from pathlib import Path

from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, SealedBox

from nodeagent.errors import AgentError
from nodeagent.files import write_atomic

KEY_FILE = "x25519.key"


class CannotOpen(AgentError):
    """The sealed value was made for another key, or was changed on its way."""

    code = "seal"


class NodeKey:
    """Key pair kept in the state folder (32 raw bytes, mode 0600), made at first use."""

    def __init__(self, state_dir: Path) -> None:
        path = state_dir / KEY_FILE
        if not path.exists():
            write_atomic(path, bytes(PrivateKey.generate()), 0o600)
        self._key = PrivateKey(path.read_bytes())

    @property
    def public_key(self) -> bytes:
        return bytes(self._key.public_key)

    def open_sealed(self, data: bytes) -> bytes:
        """Plain bytes of a libsodium sealed box. Raises `CannotOpen`."""
        try:
            return SealedBox(self._key).decrypt(data)
        except (CryptoError, ValueError, TypeError) as error:
            raise CannotOpen(
                "A secret sent to this node cannot be opened with its key. The node's key may have changed: "
                "it is sent anew at the next hello, then the job is repeated."
            ) from error
