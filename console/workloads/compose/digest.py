"""What makes two containers the same."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

import msgspec

from .model import Service

_NONE: Mapping[str, str] = MappingProxyType({})
_ELSEWHERE = frozenset(
    (
        *("name", "line", "image", "pull_policy", "defaults", "x"),
        *("mode", "replicas", "placement", "priority", "deploy_labels"),
        *("update", "rollback", "depends_on", "release_command", "size"),
    )
)
"""Says where, how many, when and in which order, or how the file was written, but not what runs.

What is reserved counts: it is booked when a container is placed, so that another amount is another container.
So does `exclusive`: the engine must not restart such a container by itself."""


def spec_digest(service: Service, *, image: str, secrets: Mapping[str, str] = _NONE) -> str:
    """Hex SHA-256 of all that defines a container of the service, with `image` as the image's identity, and
    `secrets` as the version of each secret that it takes, by top-level name.

    An equal digest means that a running container can stay. The form is canonical JSON without defaults, so
    that a field which a later version adds changes no digest.
    """
    spec = {name: value for name, value in _essence(service).items() if name not in _ELSEWHERE}
    whole: dict[str, Any] = {"image": image, "spec": spec}
    if taken := {name: secrets.get(name, "") for name in service.secret_names}:
        whole["secrets"] = taken
    return hashlib.sha256(msgspec.json.encode(whole, order="sorted")).hexdigest()


def _essence(value: Any) -> Any:
    """Plain values, without the fields that equal their default."""
    if isinstance(value, msgspec.Struct):
        fields = _defaults(type(value))
        given = {name: getattr(value, name) for name in fields}
        return {name: _essence(one) for name, one in given.items() if one != fields[name]}
    return [_essence(one) for one in value] if isinstance(value, tuple) else value


@cache
def _defaults(kind: type[msgspec.Struct]) -> Mapping[str, Any]:
    """By field; nobody changes what is in them."""
    return {field.name: _default(field) for field in msgspec.structs.fields(kind)}


def _default(field: msgspec.structs.FieldInfo) -> Any:
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return field.default
