"""`ports` and `expose`, short and long."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, cast

from .cursor import Cursor, value
from .model import Policy, Port
from .problems import clip
from .scalars import as_text
from .values import integer, matching, text

_SHORT = re.compile(
    r"(?:(?P<ip>\[[0-9a-fA-F:.]*\]|[^:]*):)??(?:(?P<host>[0-9-]*):)?(?P<container>[0-9-]+)(?:/(?P<protocol>\w+))?"
)
_RANGE = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")
_EXPOSE = matching(r"[0-9]{1,5}(-[0-9]{1,5})?(/(tcp|udp|sctp))?", "a port such as 80 or 80-90/tcp")
_ANY_ADDRESS = {"", "0.0.0.0", "::", "[::]"}  # noqa: S104  # nosec B104 (it is compared, not bound)
_PUBLIC = 1024


def read_ports(ports: Cursor | None, policy: Policy) -> tuple[Port, ...]:
    """Published ports in the file's order; the same one written twice counts once."""
    found: dict[Port, None] = {}
    taken: dict[tuple[int, str], int] = {}
    for item in ports.items() if ports else []:
        for port in _long(item) if item.is_map else _short(item):
            if 0 < port.host < _PUBLIC and not policy.low_ports:
                item.fail(
                    "refused",
                    f"host port {port.host} is below {_PUBLIC}, which an administrator has not allowed",
                )
            if port.host and taken.setdefault((port.host, port.protocol), port.container) != port.container:
                item.fail("invalid", f"host port {port.host} is taken twice")
            found[port] = None
            if len(found) > policy.max_ports:
                item.fail("limit", f"more than {policy.max_ports} published ports")
                return ()
    return tuple(found)


def read_expose(expose: Cursor | None) -> tuple[str, ...]:
    if expose is None:
        return ()
    found = (item.parse(lambda value: _EXPOSE(as_text(value)), "") for item in expose.items())
    return tuple(dict.fromkeys(entry for entry in found if entry))


def _short(item: Cursor) -> Iterator[Port]:
    written = item.parse(as_text, "")
    match = _SHORT.fullmatch(written) if len(written) <= 100 else None
    if match is None:
        item.fail("invalid", f"{clip(written)} is not a port such as 80, 8080:80 or 8080:80/udp")
        return
    yield from _ports(
        item, match["ip"] or "", match["host"] or "", match["container"], match["protocol"] or "tcp"
    )


def _long(item: Cursor) -> Iterator[Port]:
    fields = item.fields(
        {"target", "published", "protocol", "host_ip", "mode"}, unsupported={"name": "", "app_protocol": ""}
    )
    if "target" not in fields:
        item.fail("missing", "a port needs a target")
        return
    container = fields["target"].parse(integer(1, 65535), 0)
    published = value(fields, "published", as_text, "")
    address = value(fields, "host_ip", text, "")
    protocol = value(fields, "protocol", text, "tcp")
    if "mode" in fields and fields["mode"].parse(text, "host") not in ("host", "ingress"):
        fields["mode"].fail("invalid", "must be host or ingress")
    if container:
        yield from _ports(item, address, published, str(container), protocol)


def _ports(item: Cursor, address: str, host: str, container: str, protocol: str) -> Iterator[Port]:
    """One port each of the two ranges, side by side."""
    if address not in _ANY_ADDRESS:
        item.fail("refused", f"a port cannot be bound to one address of a host ({clip(address)})")
        return
    if protocol not in ("tcp", "udp"):
        item.fail("unsupported", f"protocol {clip(protocol)} is not supported yet: use tcp or udp")
        return
    inside, outside = _range(container), _range(host) if host else (0, 0)
    if inside is None or outside is None or inside[0] < 1:
        item.fail("invalid", "ports go from 1 to 65535, ranges from low to high")
        return
    width = inside[1] - inside[0]
    if outside[0] and outside[1] - outside[0] != width:
        if width == 0:
            item.fail(
                "unsupported",
                "a range of host ports for one port is not supported yet: leave the host port out",
            )
        else:
            item.fail("invalid", "the two ranges are of different length")
        return
    kind = cast(Literal["tcp", "udp"], protocol)
    for step in range(width + 1):
        yield Port(container=inside[0] + step, host=outside[0] + step if outside[0] else 0, protocol=kind)


def _range(written: str) -> tuple[int, int] | None:
    match = _RANGE.fullmatch(written)
    if match is None:
        return None
    first = int(match[1])
    last = int(match[2]) if match[2] else first
    return (first, last) if first <= last <= 65535 else None
