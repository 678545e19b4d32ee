"""BERTH_HOME: where `make run` keeps its state, and the settings it derives for Berth's processes."""

from __future__ import annotations

import os
import secrets
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address
from pathlib import Path
from urllib.parse import urlsplit

from console.common import pki
from lab.redis_server import ADMIN, Tls, free_port, write_config

ROOT = Path(__file__).resolve().parent.parent
LOOPBACK = ("127.0.0.1", "localhost", "::1")
MOST_SOCKET_PATH = 107


class RunError(RuntimeError):
    """`make run` cannot go on; the text says what is missing and how to get it."""


def kept_secret(path: Path, value: str) -> str:
    """The content of `path`, which only the owner can read; made of `value` when it is not there."""
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(value + "\n")
    return path.read_text().strip()


@dataclass(frozen=True)
class Home:
    """The folder and the choices of the environment. `bind` and `port` are the web server's, `public` is the
    host that BERTH_URL names, if it does. `join` is where further hosts find this one, over TLS; empty: nowhere."""

    path: Path
    bind: str
    port: int
    public: str = ""
    join: str = ""
    link_port: int = 8443
    broker_port: int = 8444

    @classmethod
    def open(cls, environ: dict[str, str]) -> Home:
        """Makes the folder (mode 0700). Raises `RunError` on a bad number of a port."""
        path = Path(environ.get("BERTH_HOME") or ROOT / ".berth").absolute()
        for folder in (path, path / "log", path / "redis", path / "agent"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.chmod(0o700)
        public = urlsplit(environ.get("BERTH_URL", "")).hostname or ""
        return cls(
            path,
            environ.get("BERTH_BIND") or "127.0.0.1",
            _port(environ, "BERTH_PORT", 8000),
            public,
            environ.get("BERTH_PUBLIC_ADDRESS", ""),
            _port(environ, "BERTH_LINK_PORT", 8443),
            _port(environ, "BERTH_BROKER_PORT", 8444),
        )

    @property
    def url(self) -> str:
        """Where a browser on this machine (or, bound to another address, on the network) finds Berth."""
        return f"http://{self.address}:{self.port}"

    @property
    def everywhere(self) -> bool:
        """Whether the web server listens on every address of this machine."""
        try:
            return ip_address(self.bind).is_unspecified
        except ValueError:
            return False

    @property
    def address(self) -> str:
        if self.everywhere:
            return self.public if _is_own(self.public) else primary_address()
        return f"[{self.bind}]" if ":" in self.bind else self.bind

    @property
    def local_address(self) -> str:
        """Where this machine's own agent finds the web server."""
        return "127.0.0.1" if self.everywhere else self.address

    @property
    def redis_port(self) -> int:
        """Chosen once, outside of Redis' own folder: agents find Redis again, even when that was removed."""
        return int(kept_secret(self.path / "redis-port", str(free_port())))

    @property
    def redis_password(self) -> str:
        return kept_secret(self.path / "redis-password", secrets.token_urlsafe(32))

    @property
    def join_bind(self) -> str:
        """Where the link and the broker listen for further hosts: on their address if this machine has it (it may be
        that of a router in front), else on all."""
        return self.join if _is_own(self.join) else "0.0.0.0"  # nosec B104

    def check_ports(self) -> None:
        """Raises `RunError` when a port that is needed is taken."""
        _check_port(self.bind, self.port, "BERTH_PORT")
        if self.join:
            _check_port(self.join_bind, self.link_port, "BERTH_LINK_PORT")
            _check_port(self.join_bind, self.broker_port, "BERTH_BROKER_PORT")

    def broker_tls(self, environ: dict[str, str]) -> Tls:
        """The broker's port for further hosts. Raises `RunError` when its certificate cannot be had."""
        if given := environ.get("BERTH_TLS_CERT"):
            return Tls(self.broker_port, Path(given), Path(environ.get("BERTH_TLS_KEY", "")))
        names = {self.join, *LOOPBACK, *filter(None, environ.get("BERTH_TLS_NAMES", "").split(","))}
        try:
            files = pki.ensure_server(self.path, names)
        except pki.CertificateError as error:
            raise RunError(str(error)) from error
        return Tls(self.broker_port, files.certificate, files.key)

    def redis_config(self, environ: dict[str, str]) -> Path:
        """Writes Redis' configuration. Without further hosts it is on loopback, else on TLS and a unix socket alone:
        what is plain never leaves this machine."""
        if not self.join:
            return write_config(self.path / "redis", port=self.redis_port, password=self.redis_password)
        return write_config(
            self.path / "redis",
            port=0,
            password=self.redis_password,
            bind=tuple(dict.fromkeys(("127.0.0.1", self.join_bind))),
            tls=self.broker_tls(environ),
        )

    @property
    def _redis_url(self) -> str:
        login = f"{ADMIN}:{self.redis_password}"
        if not self.join:
            return f"redis://{login}@127.0.0.1:{self.redis_port}/0"
        socket_path = str(self.path / "redis" / "redis.sock")
        if len(socket_path) > MOST_SOCKET_PATH:
            raise RunError(f"BERTH_HOME is too long for a socket in it ({socket_path}): choose a shorter one")
        return f"unix://{login}@{socket_path}"

    def environment(self, environ: dict[str, str], docker_host: str) -> dict[str, str]:
        """What every process of Berth gets. Settings given in `environ` win."""
        kept_secret(self.path / "secret-key", secrets.token_urlsafe(48))
        derived = {
            "BERTH_SECRET_KEY_FILE": str(self.path / "secret-key"),
            "BERTH_URL": self.url,
            "REDIS_URL": self._redis_url,
        }
        if self.join:
            derived["BERTH_LINK_URL"] = f"https://{self.join}:{self.link_port}"
            if "REDIS_URL" not in environ:
                derived["BERTH_BROKER_URL"] = f"rediss://{self.join}:{self.broker_port}/0"
        if self.bind not in LOOPBACK:
            own = {socket.gethostname(), str(urlsplit(self.url).hostname)} | ({self.public} - {""})
            derived["BERTH_ALLOWED_HOSTS"] = ",".join(["localhost", "127.0.0.1", "[::1]", *sorted(own)])
        derived["BERTH_NODE_ADDRESS"] = self.join or self.address
        fixed = {
            "BERTH_HOME": str(self.path),
            "BERTH_PORT": str(self.port),
            "BERTH_BIND": self.bind,
            # The agent's own: its file may be of a run with another port or engine.
            "BERTH_CONSOLE_URL": f"http://{self.local_address}:{self.port}",
            "BERTH_DOCKER_HOST": docker_host,
            "BERTH_AGENT_STATE": str(self.path / "agent"),
            "DJANGO_SETTINGS_MODULE": "console.settings",
            "PYTHONUNBUFFERED": "1",
        }
        if "BERTH_SECRET_KEY" in environ:
            del derived["BERTH_SECRET_KEY_FILE"]
        return {**derived, **environ, **fixed}


def _port(environ: dict[str, str], name: str, usual: int) -> int:
    text = environ.get(name) or str(usual)
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise RunError(f"{name} is {text!r}: it must be a number from 1 to 65535")
    return int(text)


def _check_port(bind: str, port: int, variable: str) -> None:
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((bind, port))
        except OSError as error:
            raise RunError(
                f"port {port} on {bind} cannot be used ({error.strerror}). "
                f"Choose another one: {variable}={free_port()} make run"
            ) from error


def _is_own(host: str) -> bool:
    """Whether it is an IPv4 address of this machine, so that others find here what listens on it."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((str(IPv4Address(host)), 0))
        except (ValueError, OSError):
            return False
        return True


def primary_address() -> str:
    """This machine's address on the network, without sending anything; loopback when it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("198.51.100.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def environ() -> dict[str, str]:
    """The environment without empty values: `BERTH_PORT= make run` means the default.

    REDIS_URL_FILE and DATABASE_URL_FILE are read here, so that the rest need not know of them.
    """
    given = {name: value for name, value in os.environ.items() if value or not name.startswith("BERTH_")}
    for name in ("REDIS_URL", "DATABASE_URL"):
        if path := given.pop(f"{name}_FILE", ""):
            given[name] = Path(path).read_text().strip()
    return given
