"""What makes two containers the same."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from .model import Service

_ELSEWHERE = frozenset({"name", "line", "image", "pull_policy", "replicas", "placement", "defaults", "x"})
"""Says where and how many, or how the file was written, but not what runs."""


def spec_digest(service: Service, *, image: str) -> str:
    """Hex SHA-256 of all that defines a container of the service, with `image` as the image's identity.

    An equal digest means that a running container can stay. The form is canonical JSON without defaults, so
    that a field which a later version adds changes no digest.
    """
    spec: dict[str, Any] = {
        key: value for key, value in msgspec.to_builtins(service).items() if key not in _ELSEWHERE
    }
    return hashlib.sha256(msgspec.json.encode({"image": image, "spec": spec}, order="sorted")).hexdigest()
