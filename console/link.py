"""`python -m console.link`: the agents' own listener, over TLS. Of the console only their door and the join are behind
it, so that it may face networks which the dashboard does not. Its certificate is renewed while it runs."""

from __future__ import annotations

import argparse
import logging
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import UTC, datetime
from typing import Any

import redis
import uvicorn

from console.asgi import application as console
from console.cluster import trust
from console.common.pki import CertificateError, Files, read_certificate
from console.common.redis import client

logger = logging.getLogger(__name__)

HTTP = {"/api/v1/join", "/healthz"}
LINK = "/agent/v1/link"
LOOK_EVERY = 6 * 3600.0
SOON = 14
"""Days before its end at which a given certificate, which nobody here can renew, is complained of."""

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


async def application(scope: Message, receive: Receive, send: Send) -> None:
    """What is not for agents is not there."""
    if (scope["type"], scope["path"]) == ("websocket", LINK) or (
        scope["type"] == "http" and scope["path"] in HTTP
    ):
        forward: Any = console
        await forward(scope, receive, send)
    elif scope["type"] == "http":
        headers = [(b"content-type", b"text/plain")]
        await send({"type": "http.response.start", "status": 404, "headers": headers})
        await send({"type": "http.response.body", "body": b"Agents alone are served here.\n"})
    else:
        await send({"type": "websocket.close", "code": 4404})


class Listener:
    """Serves until a signal ends it. Raises `CertificateError` when it cannot begin."""

    def __init__(self, host: str, port: int) -> None:
        self._files = trust.server_files()
        self._stop = threading.Event()
        self._config = uvicorn.Config(
            application,
            host=host,
            port=port,
            # Its other parser bounds no headers.
            http="h11",
            ssl_certfile=str(self._files.certificate),
            ssl_keyfile=str(self._files.key),
            access_log=False,
            server_header=False,
            # The peer is the agent itself: nobody in between may speak for it.
            proxy_headers=False,
            lifespan="off",
            timeout_graceful_shutdown=3,
            log_config=None,
        )
        self._loaded = _stamp(self._files)

    def run(self) -> None:
        self._config.load()
        keeper = threading.Thread(target=self._keep, name="certificates", daemon=True)
        keeper.start()
        try:
            uvicorn.Server(self._config).run()
        finally:
            self._stop.set()

    def _keep(self) -> None:
        while not self._stop.wait(LOOK_EVERY):
            self.look()

    def look(self) -> bool:
        """Renews the certificate if it is time, and serves a new one from then on. Whether there was one."""
        try:
            files = trust.server_files()
            _complain_of_its_end(files)
            if _stamp(files) == self._loaded:
                return False
            context = self._config.ssl
            if context is not None:
                context.load_cert_chain(files.certificate, files.key)
        except (CertificateError, OSError) as error:
            logger.error("The certificate cannot be renewed; the present one is served on: %s", error)
            return False
        self._loaded = _stamp(files)
        logger.info("A new certificate is served from now on")
        _tell_broker()
        return True


def _stamp(files: Files) -> tuple[float, ...]:
    return tuple(path.stat().st_mtime for path in (files.certificate, files.key))


def _complain_of_its_end(files: Files) -> None:
    left = read_certificate(files.certificate).not_valid_after_utc - datetime.now(UTC)
    if left.days < SOON:
        logger.warning("The certificate %s ends in %s days: replace it", files.certificate, left.days)


def _tell_broker() -> None:
    """Redis reads the files again when it is told their names again."""
    try:
        names: Any = client().config_get("tls-*-file")
        paths = [part for key in ("tls-cert-file", "tls-key-file") for part in (key, names.get(key, ""))]
        if all(paths):
            client().config_set(*paths)
            logger.info("Redis serves the new certificate, too")
    except redis.RedisError as error:
        logger.error(
            "Redis could not be told of its new certificate (%s); restart it in the next days", error
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m console.link", description=__doc__)
    parser.add_argument("--host", default="0.0.0.0", help="address to listen on")  # noqa: S104  # nosec B104
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--port", type=int)
    what.add_argument(
        "--certificates", action="store_true", help="make or renew the certificate, and serve nothing"
    )
    options = parser.parse_args()
    if not trust.link_is_tls():
        raise SystemExit(
            "berth link: set BERTH_LINK_URL to the https address at which agents find this console"
        )
    try:
        if options.certificates:
            print(trust.server_files().certificate)  # noqa: T201
        else:
            Listener(options.host, options.port).run()
    except CertificateError as error:
        raise SystemExit(f"berth link: {error}") from error


if __name__ == "__main__":
    main()
