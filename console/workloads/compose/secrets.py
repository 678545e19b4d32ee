"""Secrets: what the file's top-level names stand for, and how a service gets them. Values are not read here."""

from __future__ import annotations

import re
from collections.abc import Mapping

from .context import Context
from .cursor import Cursor, value
from .model import SecretFile, SecretSource
from .mounts import target
from .problems import clip
from .scalars import Scalar
from .values import boolean, filled_text, integer, octal_mode, text

FOLDER = "/run/secrets/"
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
_KINDS = ("file", "environment")
_UNSUPPORTED = {
    "labels": "",
    "template_driver": "",
    "driver": "Berth keeps secrets itself",
    "driver_opts": "Berth keeps secrets itself",
}


def read_top_secrets(secrets: Cursor | None, context: Context) -> dict[str, SecretSource]:
    """Where each comes from. What is a secret's source is withheld from everything else in the file."""
    found: dict[str, SecretSource] = {}
    for entry in secrets.entries() if secrets else []:
        if not _NAME.fullmatch(str(entry.key)):
            entry.fail_key("invalid", f"{clip(entry.key)} is not a secret name")
        found[str(entry.key)] = _source(entry)
        _check_apart(entry, found[str(entry.key)], context)
    context.withhold(
        [one.key for one in found.values() if one.kind == "environment"],
        [one.key for one in found.values() if one.kind == "file"],
    )
    return found


def _source(entry: Cursor) -> SecretSource:
    own = str(entry.key)
    if entry.node.value is None:
        return SecretSource(name=own)
    fields = entry.fields({*_KINDS, "external", "name"}, unsupported=_UNSUPPORTED)
    external, name = fields.get("external"), value(fields, "name", _secret_name, own)
    if external is not None and external.is_map:
        # The form of Compose files of version 2 and 3.
        name = value(external.fields({"name"}), "name", _secret_name, own)
        stored = True
    else:
        stored = value(fields, "external", boolean, False)
    given = [kind for kind in _KINDS if kind in fields]
    if len(given) > 1 or (stored and given):
        entry.fail_key("invalid", "a secret has one source: external, file, or environment")
    if not given:
        return SecretSource(name=name)
    kind = given[0]
    key = fields[kind].parse(filled_text, "")
    return SecretSource(name=name, kind="file" if kind == "file" else "environment", key=key)


def _check_apart(entry: Cursor, source: SecretSource, context: Context) -> None:
    """A variable that is a secret's source is written nowhere else: there it would be kept in clear."""
    if source.kind == "environment" and source.key:
        used = rf"(?<!\$)\$\{{?{re.escape(source.key)}(?![A-Za-z0-9_])"
        if re.search(used, context.text):
            entry.fail_key(
                "refused",
                f"variable {clip(source.key)} is the source of a secret, so the file cannot use it elsewhere: "
                "there its value would be kept in clear",
            )


def read_secrets(secrets: Cursor | None, context: Context, user: str) -> tuple[SecretFile, ...]:
    """The files of a service. Without an owner they are its `user`'s, as far as that is a number."""
    owner, _, group = user.partition(":")
    ids = (_number(owner), _number(group))
    files = [_secret(item, context, ids) for item in (secrets.items() if secrets else [])]
    unowned = [item for item in (secrets.items() if secrets else []) if "uid" not in _names(item)]
    if secrets and unowned and owner and not owner.isdecimal():
        secrets.warn(
            "note",
            f"user {clip(owner)} is a name that only the image knows, so its secrets belong to root: give each a uid, "
            "or a mode such as 0444, if the program does not read them as root",
        )
    return tuple(file for file in files if file is not None)


def read_secret_environment(at: Cursor | None, context: Context, taken: Mapping[str, str]) -> dict[str, str]:
    """`x-berth.secret_environment`: variables whose values are secrets, by the variable's name."""
    found: dict[str, str] = {}
    for entry in at.entries() if at else []:
        name, source = str(entry.key), entry.parse(filled_text, "")
        if not _VARIABLE.fullmatch(name):
            entry.fail_key("invalid", f"{clip(name)} is not a name of a variable")
        elif name in taken:
            entry.fail_key("invalid", f"{name} has a value in environment already")
        elif source not in context.secrets:
            entry.fail("missing", f"secret {clip(source)} is not among the file's top-level secrets")
        else:
            found[name] = source
            entry.warn(
                "note",
                f"{name} is a secret in the environment: docker inspect, /proc and crash reports on its node show "
                "it; a file (secrets:) is safer",
            )
    return dict(sorted(found.items()))


def _names(item: Cursor) -> set[str]:
    return {str(entry.key) for entry in item.entries()} if item.is_map else set()


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and int(text) < 2**31 else 0


def _secret(item: Cursor, context: Context, ids: tuple[int, int]) -> SecretFile | None:
    fields = {"source": item}
    if item.is_map:
        fields = item.fields({"source", "target", "uid", "gid", "mode"})
    source = value(fields, "source", text, "")
    if source not in context.secrets:
        item.fail("missing", f"secret {clip(source)} is not among the file's top-level secrets")
        return None
    mode = value(fields, "mode", octal_mode, 0o400)
    if mode & 0o222:
        fields["mode"].warn("note", "a secret is mounted read-only; that it may be written has no effect")
    return SecretFile(
        source=source,
        target=fields.get("target", fields["source"]).parse(_path, ""),
        uid=value(fields, "uid", integer(0, 2**31 - 1), ids[0]),
        gid=value(fields, "gid", integer(0, 2**31 - 1), ids[1]),
        mode=mode & 0o777,
    )


def _path(given: Scalar) -> str:
    """A name is a file in `/run/secrets`, as in Compose; an absolute path is itself."""
    path = text(given)
    if path.startswith("/"):
        return target(path)
    if not path or ".." in path.split("/"):
        raise ValueError(f"{clip(path)} is not a file below {FOLDER}")
    return target(FOLDER + path)


def _secret_name(given: Scalar) -> str:
    name = text(given)
    if not _NAME.fullmatch(name):
        raise ValueError(f"{clip(name)} is not a secret name")
    return name
