"""What agents are told to trust on their two links, and what the console serves them with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit, urlunsplit

from cryptography.hazmat.primitives.serialization import Encoding
from django.conf import settings
from django.utils.translation import gettext as _

from console.common import pki
from console.common.errors import Unavailable
from console.common.redis_url import sentinels

SYSTEM = "system"
LOOPBACK = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True, slots=True)
class Authority:
    """PEM of the one certificate that agents trust, and the SHA-256 of its public key."""

    pem: str
    pin: str


def link_is_tls() -> bool:
    return bool(settings.BERTH_LINK_URL.startswith("https://"))


def serves_link() -> bool:
    """Whether agents have an address of their own, which `python -m console.link` serves."""
    return link_is_tls() and settings.BERTH_LINK_URL != settings.BERTH_URL


def authority() -> Authority | None:
    """None where agents need none: the link is plain, or its certificate is one that systems trust.

    Raises `CertificateError`.
    """
    if not link_is_tls() or settings.BERTH_TLS_CA == SYSTEM:
        return None
    if settings.BERTH_TLS_CA:
        path = Path(settings.BERTH_TLS_CA)
    elif serves_link():
        path = pki.ensure_authority(settings.BERTH_HOME)
    else:
        return None
    certificate = pki.read_certificate(path)
    return Authority(certificate.public_bytes(Encoding.PEM).decode(), pki.pin(certificate))


def usable_authority() -> Authority | None:
    """As `authority`, for whoever asks over a face: raises `Unavailable`, which says what is wrong with it."""
    try:
        return authority()
    except pki.CertificateError as error:
        raise Unavailable(
            _("The console's certificates cannot be used: %(why)s") % {"why": error}, code="certificates"
        ) from error


def server_files() -> pki.Files:
    """Certificate and key to serve the link with: given ones, or one of the own authority's, renewed if need be.

    Raises `CertificateError`.
    """
    if settings.BERTH_TLS_CERT:
        given = (settings.BERTH_TLS_CERT, settings.BERTH_TLS_KEY, settings.BERTH_TLS_CA)
        certificate, key, trusted = (Path(path) for path in given)
        return pki.Files(certificate, key, trusted)
    places = (urlsplit(settings.BERTH_LINK_URL), urlsplit(settings.BERTH_BROKER_URL))
    names = {place.hostname for place in places if place.hostname} | LOOPBACK | set(settings.BERTH_TLS_NAMES)
    return pki.ensure_server(settings.BERTH_HOME, names)


def broker_address(*, local: bool = False) -> str:
    """The broker as an agent names it, without a login. `local`: as the console's own machine reaches it."""
    own = local and sentinels(settings.REDIS_URL) is None
    url = urlsplit(settings.REDIS_URL if own else settings.BERTH_BROKER_URL)
    scheme = "redis+socket" if url.scheme == "unix" else url.scheme
    return _joined(SplitResult(scheme, url.netloc.rpartition("@")[2], url.path, "", ""))


def with_login(address: str, user: str, password: str) -> str:
    url = urlsplit(address)
    return _joined(url._replace(netloc=f"{user}:{password}@{url.netloc}"))


def login_of(address: str) -> tuple[str, str]:
    """User and password of a broker's address; empty where it has none."""
    user, _colon, password = urlsplit(address).netloc.rpartition("@")[0].partition(":")
    return user, password


def local_only() -> bool:
    """Whether another host could not follow the addresses that agents are given."""
    places = (urlsplit(settings.BERTH_LINK_URL), urlsplit(broker_address()))
    return any(place.scheme == "redis+socket" or place.hostname in LOOPBACK for place in places)


def _joined(url: SplitResult) -> str:
    text = urlunsplit(url)
    # urlunsplit() leaves the empty authority of `redis+socket:///path` out.
    return text if "://" in text else text.replace(":", "://", 1)
