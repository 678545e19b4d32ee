"""`x-berth` of a service: what Compose has no words for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .context import Context
from .cursor import OWN, Cursor, value
from .keys import X_BERTH, X_BERTH_UNSUPPORTED
from .model import MIB, Affinity, Spread
from .placement import node_key
from .problems import clip
from .process import read_command
from .values import at_least, boolean, filled_text, integer, number, size

_weight = number(1, 100)


@dataclass(slots=True)
class Own:
    """`fields` are all of its keys, for who reads generic resources."""

    fields: dict[str, Cursor]
    priority: int
    exclusive: bool
    release_command: tuple[str, ...] | None
    disk: int
    size: str
    spread: tuple[Spread, ...]
    affinity: tuple[Affinity, ...]


def read_own(fields: dict[str, Cursor], context: Context) -> Own:
    found = fields[OWN].fields(X_BERTH, unsupported=X_BERTH_UNSUPPORTED) if OWN in fields else {}
    return Own(
        fields=found,
        priority=value(found, "priority", integer(-1000, 1000), 0),
        exclusive=value(found, "exclusive", boolean, False),
        release_command=_release_command(found.get("release_command"), context),
        size=_size(found.get("size"), context),
        disk=value(found, "disk", at_least(size, MIB, "1m"), 0),
        spread=tuple(_spread(found.get("spread"))),
        affinity=(
            *_affinity(found.get("affinity"), context, anti=False),
            *_affinity(found.get("anti_affinity"), context, anti=True),
        ),
    )


def _release_command(at: Cursor | None, context: Context) -> tuple[str, ...] | None:
    words = read_command(at)
    if at is None:
        return None
    if not words or not words[0]:
        at.fail_key("invalid", "a release command needs a program to run")
        return None
    context.commands.append(at)
    return words


def _size(at: Cursor | None, context: Context) -> str:
    name, sizes = at.parse(filled_text, "") if at else "", context.policy.sizes
    if at and name and name not in sizes:
        at.fail("invalid", f"{clip(name)} is not an instance size; there are {', '.join(sizes)}")
        return ""
    return name


def _spread(at: Cursor | None) -> Iterator[Spread]:
    for item in at.items() if at else []:
        fields = item.fields({"over", "weight"})
        if "over" not in fields:
            item.fail("missing", "a spread needs over: a node's key such as node.labels.rack")
        elif over := fields["over"].parse(node_key, ""):
            yield Spread(key=over, weight=value(fields, "weight", _weight, 1.0))


def _affinity(at: Cursor | None, context: Context, *, anti: bool) -> Iterator[Affinity]:
    for item in at.items() if at else []:
        fields = item.fields({"service", "over", "required", "weight"})
        if "service" not in fields:
            item.fail("missing", "needs a service of this file, or *")
            continue
        found = Affinity(
            service=fields["service"].parse(filled_text, "*"),
            over=value(fields, "over", node_key, "node.id"),
            anti=anti,
            required=value(fields, "required", boolean, False),
            weight=value(fields, "weight", _weight, 1.0),
        )
        if found.required and "weight" in fields:
            fields["weight"].warn("note", "has no effect: what is required is not weighed")
        context.named.append((fields["service"], found.service))
        yield found
