"""ETags. One has up to two parts: `"<version>-<content>"`. The content is the answer's; the version is of what is
wanted alone, so that a write with If-Match is not refused because a container restarted meanwhile."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Any

import msgspec

_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e]*)"')


def digest(value: Any) -> str:
    """A short word that differs where the value does."""
    content = value if isinstance(value, bytes) else msgspec.json.encode(value)
    return sha256(content).hexdigest()[:20]


def etag(content: bytes, version: str = "") -> str:
    return f'"{version}-{digest(content)}"' if version else f'"{digest(content)}"'


def is_known(header: str, tag: str) -> bool:
    """Whether a reader with this If-None-Match has the answer already."""
    return header.strip() == "*" or tag.strip('"') in {value for _weak, value in _TAG.findall(header)}


def strong_tags(header: str) -> list[str]:
    """Those of an If-Match, without their quotes; a weak one matches nothing."""
    return [value for weak, value in _TAG.findall(header) if not weak]


def version_in(tag: str) -> str:
    """Empty where the tag has no version."""
    version, dash, _content = tag.partition("-")
    return version if dash else ""
