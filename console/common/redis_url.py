"""What REDIS_URL says: one Redis, or Sentinels that know which of several is the master now. Reads nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

SCHEME = "redis+sentinel"
USUAL_PORT = 26379


@dataclass(frozen=True, slots=True)
class Sentinels:
    """`redis+sentinel://user:password@host:port,host:port/master/database`. The login is the master's;
    `?sentinel_username=…&sentinel_password=…` is the Sentinels' own, where they ask for one."""

    hosts: tuple[tuple[str, int], ...]
    master: str
    database: int = 0
    username: str = ""
    password: str = ""
    own_login: tuple[tuple[str, str], ...] = ()

    @property
    def login(self) -> dict[str, Any]:
        """Of the master, as redis-py takes it."""
        found = {"username": self.username, "password": self.password}
        return {"db": self.database, **{name: value for name, value in found.items() if value}}

    @property
    def sentinel_kwargs(self) -> dict[str, Any]:
        """A Sentinel that does not answer soon is passed over for the next one."""
        return {"socket_timeout": 1.0, "socket_connect_timeout": 1.0, **dict(self.own_login)}

    @property
    def channel_host(self) -> dict[str, Any]:
        """As channels_redis takes it."""
        return {
            "sentinels": list(self.hosts),
            "master_name": self.master,
            "sentinel_kwargs": self.sentinel_kwargs,
            **self.login,
        }

    @property
    def broker_url(self) -> str:
        """As Celery takes it; its transport also needs `broker_options`."""
        login = f"{self.username}:{self.password}@" if self.password else ""
        return ";".join(f"sentinel://{login}{host}:{port}/{self.database}" for host, port in self.hosts)

    @property
    def broker_options(self) -> dict[str, Any]:
        return {"master_name": self.master, "sentinel_kwargs": self.sentinel_kwargs}


def sentinels(url: str) -> Sentinels | None:
    """None: it is the address of one Redis. Raises `ValueError` and says what is wrong."""
    parts = urlsplit(url)
    if parts.scheme != SCHEME:
        return None
    login, _at, places = parts.netloc.rpartition("@")
    username, _colon, password = login.partition(":")
    master, _slash, database = parts.path.strip("/").partition("/")
    if not places or not master:
        raise ValueError(f"write it as {SCHEME}://user:password@host:{USUAL_PORT},host:{USUAL_PORT}/master/0")
    if not (database or "0").isdigit():
        raise ValueError(f"the database is {database!r}, not a number")
    query = dict(parse_qsl(parts.query))
    own = tuple(
        (name, query[f"sentinel_{name}"]) for name in ("username", "password") if f"sentinel_{name}" in query
    )
    return Sentinels(
        tuple(_place(place) for place in places.split(",")),
        master,
        int(database or 0),
        unquote(username),
        unquote(password),
        own,
    )


def _place(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon:
        return text, USUAL_PORT
    if not host or not port.isdigit():
        raise ValueError(f"{text!r} is no host:port")
    return host.strip("[]"), int(port)


def celery_url(url: str) -> str:
    """A broker's address as Celery takes it, of one Redis or of Sentinels."""
    found = sentinels(url)
    return found.broker_url if found else url.replace("unix://", "redis+socket://")


def celery_options(url: str) -> dict[str, Any]:
    """What Celery's transport needs besides the address."""
    found = sentinels(url)
    return found.broker_options if found else {}
