"""TLS on the agent's two links: one authority for both, names checked, nothing else trusted."""

from __future__ import annotations

import ssl
from typing import Any
from urllib.parse import urlsplit


def context(ca: str) -> ssl.SSLContext:
    """For a client. `ca` is PEM; empty: the system's authorities."""
    made = ssl.create_default_context(cadata=ca or None)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    return made


def for_link(url: str, ca: str) -> ssl.SSLContext | None:
    return context(ca) if urlsplit(url).scheme == "wss" else None


def for_broker(url: str, ca: str) -> dict[str, Any] | None:
    """Celery's `broker_use_ssl`; None for an address that is not TLS."""
    if urlsplit(url).scheme != "rediss":
        return None
    found: dict[str, Any] = {
        "ssl_cert_reqs": ssl.CERT_REQUIRED,
        "ssl_check_hostname": True,
        "ssl_min_version": ssl.TLSVersion.TLSv1_2,
    }
    return {**found, "ssl_ca_data": ca} if ca else found
