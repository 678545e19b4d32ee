"""Typed readers of the environment. A bad value stops the start with its name; `NAME_FILE` works for each."""

from __future__ import annotations

import os
from collections.abc import Sequence
from ipaddress import IPv4Network, ip_network
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off", ""}


def text(name: str, default: str | None = None) -> str:
    """The value of `name`, or the contents of the file that `name_FILE` points at."""
    path = os.environ.get(f"{name}_FILE")
    if path:
        try:
            return Path(path).read_text().strip()
        except OSError as error:
            raise ImproperlyConfigured(f"{name}_FILE={path}: {error.strerror}") from error
    value = os.environ.get(name, default)
    if value is None:
        raise ImproperlyConfigured(f"Set {name} or {name}_FILE.")
    return value


def flag(name: str, default: bool) -> bool:
    value = text(name, "1" if default else "0").lower()
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise ImproperlyConfigured(f"{name}={value!r} is neither true nor false.")


def number(name: str, default: float, *, least: float, most: float) -> float:
    value = text(name, str(default))
    try:
        result = float(value)
    except ValueError as error:
        raise ImproperlyConfigured(f"{name}={value!r} is not a number.") from error
    if not least <= result <= most:
        raise ImproperlyConfigured(f"{name}={value} must lie between {least:g} and {most:g}.")
    return result


def words(name: str, default: str = "") -> list[str]:
    """A comma-separated list."""
    return [word.strip() for word in text(name, default).split(",") if word.strip()]


def one_of(name: str, choices: Sequence[str]) -> str:
    """One of these words; the first one where nothing is said."""
    value = text(name, choices[0]).lower()
    if value not in choices:
        raise ImproperlyConfigured(f"{name}={value!r} is none of: {', '.join(choices)}.")
    return value


def subnets(name: str, default: str) -> tuple[str, int]:
    """A private range of IPv4 addresses, and how many bits each subnet of it has: `10.90.0.0/16 24`."""
    value = text(name, default)
    pool, _space, bits = value.partition(" ")
    try:
        network, size = IPv4Network(pool), int(bits or 24)
    except ValueError as error:
        raise ImproperlyConfigured(f"{name}={value!r} must look like “10.90.0.0/16 24”: {error}.") from error
    if not network.is_private or not network.prefixlen <= size <= 29:
        raise ImproperlyConfigured(f"{name}={value!r}: {network} has no private subnets of {size} bits.")
    return str(network), size


def networks(name: str) -> list[str]:
    """A comma-separated list of networks such as 10.0.0.0/8 or fd00::/8."""
    try:
        return [str(ip_network(word)) for word in words(name)]
    except ValueError as error:
        raise ImproperlyConfigured(f"{name}: {error}.") from error
