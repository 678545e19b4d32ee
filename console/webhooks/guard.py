"""Which addresses webhooks may reach: public ones, and those that the operator names.

A name is resolved once; whoever connects takes the very addresses that were judged here.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from django.conf import settings

Address = IPv4Address | IPv6Address

_UNICAST = IPv6Network("2000::/3")
"""All that is assigned of IPv6 for the public. Mapped, translated, local and multicast addresses lie outside."""
_SPECIAL = tuple(map(ip_network, ("2001::/23", "2002::/16", "3fff::/20", "192.0.0.0/24", "192.88.99.0/24")))
"""What else is no host's: protocols' own addresses, tunnels to IPv4, examples. Not all Pythons know all of these."""


class Unresolved(Exception):
    """The name has no address."""


def networks() -> list[IPv4Network | IPv6Network]:
    """Those of the operator."""
    return [ip_network(each) for each in settings.WEBHOOK_NETWORKS]


def is_named(address: Address) -> bool:
    """Whether the operator allows it, public or not."""
    return any(address in network for network in networks())


def is_allowed(address: Address) -> bool:
    plain = unmapped(address)
    return is_named(plain) or _is_public(plain)


def unmapped(address: Address) -> Address:
    """`::ffff:10.0.0.1` is 10.0.0.1 to whoever connects."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def literal(host: str) -> Address | None:
    """The address that a host is written as, if it is one."""
    try:
        return ip_address(host.strip("[]"))
    except ValueError:
        return None


def resolve(host: str, port: int) -> Sequence[Address]:
    """All addresses of the name, in the order in which to try them. Raises `Unresolved`."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Unresolved(str(error)) from error
    return list(dict.fromkeys(ip_address(place[0]) for *_rest, place in found))


def _is_public(address: Address) -> bool:
    if not address.is_global or any(address in network for network in _SPECIAL):
        return False
    if isinstance(address, IPv6Address):
        return address in _UNICAST
    return not address.is_multicast and not address.is_reserved
