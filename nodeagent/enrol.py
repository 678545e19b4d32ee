"""The two calls with which a host becomes a node: what to trust, checked against a pin, and the join itself."""

from __future__ import annotations

import hashlib
import http.client
import json
import socket
import ssl
from contextlib import closing
from ipaddress import ip_address
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from nodeagent import tls
from nodeagent.protocol import Discovery, Joined, JoinRequest

PATH = "/api/v1/join"
TIMEOUT = 20.0
MOST_BYTES = 1 << 20

Answer = TypeVar("Answer", Discovery, Joined)


class JoinError(Exception):
    """This host could not join; the text says why and what to do."""


class Console:
    """The console's link as a host sees it that is no node yet."""

    def __init__(self, url: str, ca_sha256: str, *, plain: bool) -> None:
        """Raises `JoinError` when the address would not be safe to use."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise JoinError(f"--console is {url!r}; it must look like https://10.0.0.1:8443")
        self._url, self._host = url, parts.hostname
        self._port = parts.port or {"http": 80, "https": 443}[parts.scheme]
        self._base, self._tls = parts.path.rstrip("/"), parts.scheme == "https"
        self._pin = ca_sha256.lower().replace(":", "").removeprefix("sha256")
        if not self._tls and not plain and not _is_loopback(parts.hostname):
            raise JoinError(
                f"{url} is not TLS: whoever is on the way could take this host over. Use the https address of the "
                "console, or give --plain on a network that you trust."
            )
        if not self._tls and self._pin:
            raise JoinError("--ca-sha256 is of use with an https address alone")

    def local_address(self) -> str:
        """This host's own address on its way to the console. Raises `JoinError`."""
        try:
            with socket.create_connection((self._host, self._port), TIMEOUT) as probe:
                return str(probe.getsockname()[0])
        except OSError as error:
            raise self._unreachable(error) from error

    def join(self, token: str, asked: JoinRequest) -> Joined:
        """Raises `JoinError` with the console's own words when it refuses."""
        context = tls.context(self._authority()) if self._tls else None
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        return self._call("POST", context, Joined, msgspec.json.encode(asked), headers)

    def _authority(self) -> str:
        """PEM of the authority whose public key has the pinned digest; empty without a pin: the system's.

        It comes over a connection that proves nothing, and is believed for its digest alone. Nothing secret goes out.
        """
        if not self._pin:
            return ""
        unproved = ssl.create_default_context()
        unproved.check_hostname, unproved.verify_mode = False, ssl.CERT_NONE
        found = self._call("GET", unproved, Discovery).ca
        try:
            certificates = x509.load_pem_x509_certificates(found.encode())
        except ValueError as error:
            raise JoinError(f"the console at {self._url} sent no certificate of an authority") from error
        for one in certificates:
            if _pin(one) == self._pin:
                return one.public_bytes(Encoding.PEM).decode()
        raise JoinError(
            f"the authority of {self._url} is not the one of --ca-sha256. Either the command is of another console, "
            "or somebody is in between. Copy the command anew from the nodes page; if it says this again, do not go on."
        )

    def _call(
        self,
        method: str,
        context: ssl.SSLContext | None,
        kind: type[Answer],
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        made: http.client.HTTPConnection = (
            http.client.HTTPSConnection(self._host, self._port, timeout=TIMEOUT, context=context)
            if context
            else http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT)
        )
        try:
            with closing(made) as connection:
                connection.request(method, self._base + PATH, body, headers or {})
                response = connection.getresponse()
                status, content = response.status, response.read(MOST_BYTES)
        except ssl.SSLCertVerificationError as error:
            raise JoinError(
                f"the certificate of {self._url} does not hold: {error.verify_message}. With an authority of the "
                "console's own, give --ca-sha256 as the nodes page shows it."
            ) from error
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from error
        if status not in {200, 201}:
            raise JoinError(f"the console refuses: {_message(content) or f'status {status}'}")
        try:
            return msgspec.json.decode(content, type=kind)
        except msgspec.MsgspecError as error:
            raise JoinError(f"{self._url} does not answer as a Berth console: {error}") from error

    def _unreachable(self, error: Exception) -> JoinError:
        return JoinError(f"the console at {self._url} cannot be reached: {error}")


def _pin(certificate: x509.Certificate) -> str:
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(key).hexdigest()


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _message(content: bytes) -> str:
    """The console's words for an error."""
    try:
        found: Any = json.loads(content)
        return str(found["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return ""
