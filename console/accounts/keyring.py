"""The master keys: a file of lines `id key`, the key as 32 bytes in URL-safe base 64.

The first line's key seals what is new; the others still open what was sealed before. The file is read again whenever
it has changed, so that every process goes on through a rotation. Without a file there is one key, derived from
`SECRET_KEY`; it opens what it sealed when there is a file, too.
"""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
import stat
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from console.common.errors import BerthError

KEY_BYTES = 32
DERIVED = "derived"
"""Id of the key that stands in where there is no file."""


class BadKeyFile(BerthError):
    """The file of master keys cannot be used; the text says why."""

    status, code = 503, "master_key_unusable"


@dataclass(frozen=True, slots=True)
class Keyring:
    """Master keys by id; `newest` is the one to seal with."""

    newest: str
    keys: Mapping[str, bytes]


_lock = threading.Lock()
_read: dict[str, tuple[tuple[int, int, int], Keyring]] = {}


def keyring() -> Keyring:
    """The keys as they are now. Raises `BadKeyFile`."""
    if not settings.MASTER_KEY_FILE:
        return Keyring(DERIVED, {DERIVED: _derived()})
    path = Path(settings.MASTER_KEY_FILE)
    try:
        found = path.stat()
        mark = (found.st_ino, found.st_mtime_ns, found.st_size)
        with _lock:
            known = _read.get(str(path))
            if known is None or known[0] != mark:
                known = _read[str(path)] = (mark, _parse(path.read_text(), path))
            return known[1]
    except OSError as error:
        raise BadKeyFile(f"The master key file {path} cannot be read: {error.strerror}.") from error


def new_line() -> str:
    """A fresh key with an id, as a line of the file."""
    key = base64.urlsafe_b64encode(secrets.token_bytes(KEY_BYTES)).decode()
    return f"k{secrets.token_hex(4)} {key}\n"


def make_file(path: Path) -> None:
    """A file with one key, for its owner alone, if there is none."""
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(new_line())


def add_key(path: Path) -> str:
    """Put a fresh key first in the file, whole or not at all; its id."""
    line = new_line()
    _replace(path, line + path.read_text())
    return line.split()[0]


def drop_keys(path: Path, unused: set[str]) -> None:
    """Take these keys out of the file."""
    lines = path.read_text().splitlines(keepends=True)
    _replace(path, "".join(line for line in lines if line.split()[:1] and line.split()[0] not in unused))


def _replace(path: Path, text: str) -> None:
    """The file keeps its mode and owner."""
    before = path.stat()
    temporary = path.with_name(f".{path.name}.new")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        if os.geteuid() == 0:
            os.fchown(handle, before.st_uid, before.st_gid)
        os.fchmod(handle, stat.S_IMODE(before.st_mode))
        file.write(text)
        file.flush()
        os.fsync(handle)
    temporary.replace(path)


def _parse(text: str, path: Path) -> Keyring:
    keys: dict[str, bytes] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        id_, _space, encoded = line.strip().partition(" ")
        try:
            key = base64.urlsafe_b64decode(encoded.strip())
        except ValueError:
            key = b""
        if len(key) != KEY_BYTES or not id_.isalnum() or id_ in (*keys, DERIVED):
            raise BadKeyFile(
                f"Line {number} of the master key file {path} is not an id and a key, each once."
            )
        keys[id_] = key
    if not keys:
        raise BadKeyFile(f"The master key file {path} has no key in it.")
    return Keyring(next(iter(keys)), {**keys, DERIVED: _derived()})


def _derived() -> bytes:
    return hashlib.sha256(b"berth master key:" + settings.SECRET_KEY.encode()).digest()
