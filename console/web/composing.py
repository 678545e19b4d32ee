"""Compose texts that pages write themselves, and the difference between two."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

SERVICE = "web"
DEMO_IMAGE = "berth/demo"


def from_image(
    *, image: str, port: int | None = None, replicas: int = 1, environment: Mapping[str, str] | None = None
) -> str:
    """A Compose text of one service. A `$` in a value stays a dollar sign."""
    service: dict[str, Any] = {"image": image.replace("$", "$$")}
    if port:
        service["ports"] = [str(port)]
    if environment:
        service["environment"] = {name: value.replace("$", "$$") for name, value in environment.items()}
    service["deploy"] = {"replicas": replicas}
    return yaml.safe_dump({"services": {SERVICE: service}}, sort_keys=False, allow_unicode=True)


@dataclass(frozen=True, slots=True)
class DiffLine:
    """`kind` is add, del, hunk or same."""

    kind: str
    text: str


_KINDS = {"+": "add", "-": "del", "@": "hunk"}


def differences(old: str, new: str) -> list[DiffLine]:
    """What changed from one text to the other, with three lines around; empty when nothing did."""
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=3)
    return [DiffLine(_KINDS.get(line[:1], "same"), line) for line in list(lines)[2:]]
