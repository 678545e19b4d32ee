"""`networks`: those of the app, and how a service joins them."""

from __future__ import annotations

from collections.abc import Iterator

from .context import Context
from .cursor import Cursor, value
from .model import DEFAULT_NETWORK, Attachment
from .problems import clip
from .values import boolean, filled_text, matching, text

MOST_NAME = 63
NAME = r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}"
_NAME = matching(NAME, "a network name: letters, digits, . _ - and at most 63 of them")
_ALIAS = matching(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}", "a network alias such as db or cache.internal")
_CHOSEN = "Berth gives addresses itself, so that no two networks overlap"
_UNSUPPORTED = {
    "ipam": _CHOSEN,
    "enable_ipv4": "",
    "enable_ipv6": "",
    "name": "Berth names networks itself, by app",
    "labels": "",
}
_REFUSED = {
    "external": "it reaches a network that is not the app's",
    "driver_opts": "they can reach interfaces of the host",
}
_JOIN_UNSUPPORTED = {
    "ipv4_address": _CHOSEN,
    "ipv6_address": _CHOSEN,
    "link_local_ips": _CHOSEN,
    "mac_address": "",
    "interface_name": "",
    "gw_priority": "",
    "priority": "",
}
_JOIN_REFUSED = {"driver_opts": _REFUSED["driver_opts"]}


def read_top_networks(networks: Cursor | None, context: Context) -> dict[str, bool]:
    """The app's own networks, and whether each is internal. The default one is there without being named."""
    found = {DEFAULT_NETWORK: False}
    for entry in networks.entries() if networks else []:
        name = str(entry.key)
        try:
            _NAME(name)
        except ValueError as error:
            entry.fail_key("invalid", str(error))
        found[name] = _internal(entry) if entry.node.value is not None else False
    if networks and len(found) > context.policy.max_networks:
        networks.fail("limit", f"more than {context.policy.max_networks} networks")
    return found


def _internal(entry: Cursor) -> bool:
    fields = entry.fields({"internal", "driver", "attachable"}, unsupported=_UNSUPPORTED, refused=_REFUSED)
    if "driver" in fields:
        driver = fields["driver"].parse(text, "")
        if driver in ("bridge", "overlay"):
            fields["driver"].warn("note", "driver has no effect: the operator chooses it for the cluster")
        else:
            fields["driver"].fail(
                "refused", f"driver {clip(driver)} is not allowed: it can reach networks of the host"
            )
    if value(fields, "attachable", boolean, False):
        fields["attachable"].warn("note", "attachable has no effect: a network is its app's alone")
    return value(fields, "internal", boolean, False)


def read_networks(networks: Cursor | None, context: Context) -> tuple[Attachment, ...]:
    """What the service joins, those with a way out first, then by name. The default network alone, as it is
    unless the file says otherwise, is nothing: so it stays where a file is older than `networks`."""
    found: dict[str, Attachment] = {}
    for at, one in _each(networks, context):
        if one.network in found:
            at.fail("invalid", f"{clip(one.network)} is there twice")
        found[one.network] = one
    if not found:
        found[DEFAULT_NETWORK] = Attachment(
            network=DEFAULT_NETWORK, internal=context.networks.get(DEFAULT_NETWORK, False)
        )
    if list(found.values()) == [Attachment(network=DEFAULT_NETWORK)]:
        return ()
    return tuple(sorted(found.values(), key=lambda one: (one.internal, one.network)))


def _each(networks: Cursor | None, context: Context) -> Iterator[tuple[Cursor, Attachment]]:
    if networks is None:
        return
    if not networks.is_map:
        for item in networks.items():
            if (name := item.parse(filled_text, "")) and _known(item, name, context):
                yield item, Attachment(network=name, internal=context.networks[name])
        return
    for entry in networks.entries():
        name = str(entry.key)
        aliases = _aliases(entry) if entry.node.value is not None else ()
        if _known(entry, name, context):
            yield entry, Attachment(network=name, aliases=aliases, internal=context.networks[name])


def _known(at: Cursor, name: str, context: Context) -> bool:
    if name not in context.networks:
        at.fail("missing", f"network {clip(name)} is not among the file's top-level networks")
    return name in context.networks


def _aliases(entry: Cursor) -> tuple[str, ...]:
    """In the order of the alphabet, each once."""
    fields = entry.fields({"aliases"}, unsupported=_JOIN_UNSUPPORTED, refused=_JOIN_REFUSED)
    items = fields["aliases"].items() if "aliases" in fields else []
    return tuple(sorted({alias for item in items if (alias := item.parse(_ALIAS, ""))}))
