"""`volumes` and `tmpfs` of a service, short and long."""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from .context import Context
from .cursor import Cursor, value
from .model import Mount
from .problems import clip
from .scalars import Scalar
from .values import boolean, filled_text, octal_mode, size, text

T = TypeVar("T")

_HOST_PATH = re.compile(r"[./~\\].*|[A-Za-z]:[\\/].*", re.DOTALL)
_ENGINE_DEFAULTS = {"", "rw", "noexec", "nosuid", "nodev"}
_VOLUME_LATER = {"nocopy": "", "subpath": "", "labels": ""}


def target(value: Scalar) -> str:
    """A path inside a container: absolute, normalized, not the root."""
    path = text(value)
    if not path.startswith("/") or len(path) > 4096:
        raise ValueError(f"{clip(path)} must be an absolute path in the container")
    path = posixpath.normpath("/" + path.lstrip("/"))
    if path == "/":
        raise ValueError("the root of a container cannot be mounted over")
    return path


def _of(convert: Callable[[Scalar], T], part: str, _: Scalar) -> T:
    """Reads a part of a value, for an error at the whole of it."""
    return convert(part)


def read_volumes(volumes: Cursor | None, context: Context) -> tuple[Mount, ...]:
    mounts = [
        mount
        for item in (volumes.items() if volumes else [])
        if (mount := _long(item, context) if item.is_map else _short(item, context)) is not None
    ]
    return tuple(mounts)


def read_tmpfs(tmpfs: Cursor | None) -> tuple[Mount, ...]:
    items = tmpfs.one_or_more() if tmpfs else []
    return tuple(mount for item in items if (mount := _tmpfs(item)) is not None)


def check_targets(fields: dict[str, Cursor], targets: list[str]) -> None:
    """No two mounts of a service at the same place."""
    doubled = sorted(path for path, times in Counter(targets).items() if times > 1)
    for path in doubled:
        at = next(fields[key] for key in ("volumes", "tmpfs", "configs", "secrets") if key in fields)
        at.fail("invalid", f"{clip(path)} is mounted more than once")


def _refuse_host_path(at: Cursor, path: str) -> None:
    what = "the engine's socket" if path.rstrip("/").endswith("docker.sock") else f"host path {clip(path)}"
    at.fail("refused", f"{what} is not allowed: it gives a container rights on its host; use a named volume")


def _short(item: Cursor, context: Context) -> Mount | None:
    written = item.parse(filled_text, "")
    if not written:
        return None
    source, colon, rest = written.partition(":")
    if _HOST_PATH.fullmatch(written) and (colon or not written.startswith("/")):
        _refuse_host_path(item, written if written[1:2] == ":" else source)
        return None
    if not colon:
        item.fail("unsupported", "a volume without a name is not supported yet: name it, or use tmpfs")
        return None
    path, _, options = rest.partition(":")
    if options not in ("", "ro", "rw"):
        item.fail("unsupported", f"volume option {clip(options)} is not supported yet: use ro or rw")
    return _named(item, source, item.parse(partial(_of, target, path), ""), options == "ro", context)


def _named(at: Cursor, source: str, path: str, read_only: bool, context: Context) -> Mount | None:
    if source not in context.volumes:
        at.fail("missing", f"volume {clip(source)} is not among the file's top-level volumes")
        return None
    return Mount(kind="volume", source=source, target=path, read_only=read_only) if path else None


def _long(item: Cursor, context: Context) -> Mount | None:
    fields = item.fields(
        {"type", "source", "target", "read_only", "volume", "tmpfs", "bind"},
        unsupported={"consistency": "", "image": "", "cluster": ""},
    )
    kind = value(fields, "type", text, "")
    source = value(fields, "source", text, "")
    if kind in ("bind", "npipe") or "bind" in fields or _HOST_PATH.fullmatch(source):
        _refuse_host_path(item, source)
        return None
    if kind not in ("volume", "tmpfs"):
        code = "unsupported" if kind in ("image", "cluster") else "invalid"
        item.fail(code, f"type must be volume or tmpfs, not {clip(kind)}")
        return None
    if "target" not in fields:
        item.fail("missing", "a volume needs a target")
        return None
    path = fields["target"].parse(target, "")
    read_only = value(fields, "read_only", boolean, False)
    if kind == "tmpfs":
        return _long_tmpfs(fields, path, read_only)
    if "volume" in fields:
        fields["volume"].fields(set(), unsupported=_VOLUME_LATER)
    if not source:
        item.fail(
            "unsupported", "a volume without a name is not supported yet: give it a source, or use tmpfs"
        )
        return None
    return _named(item, source, path, read_only, context)


def _long_tmpfs(fields: dict[str, Cursor], path: str, read_only: bool) -> Mount | None:
    if "source" in fields:
        fields["source"].fail("invalid", "a tmpfs has no source")
    options = fields["tmpfs"].fields({"size", "mode"}) if "tmpfs" in fields else {}
    largest = value(options, "size", size, 0)
    mode = value(options, "mode", octal_mode, 0)
    return Mount(kind="tmpfs", target=path, read_only=read_only, size=largest, mode=mode) if path else None


def _tmpfs(item: Cursor) -> Mount | None:
    written, _, options = item.parse(filled_text, "").partition(":")
    if not written:
        return None
    path = item.parse(partial(_of, target, written), "")
    largest, mode = 0, 0
    for option in options.split(","):
        name, _, given = option.partition("=")
        if name == "size":
            largest = item.parse(partial(_of, size, given), 0)
        elif name == "mode":
            mode = item.parse(partial(_of, octal_mode, given), 0)
        elif option not in _ENGINE_DEFAULTS:
            item.fail("unsupported", f"tmpfs option {clip(option)} is not supported yet: use size and mode")
    return Mount(kind="tmpfs", target=path, size=largest, mode=mode) if path else None
