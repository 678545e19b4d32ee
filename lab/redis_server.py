"""A private Redis: nobody but its administrator gets in until the console makes broker users."""

from __future__ import annotations

import hashlib
import secrets
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from lab.processes import Process, wait_until
from lab.state import Run

ADMIN = "berth"


class MissingProgramError(RuntimeError):
    """The machine lacks a program; the text says how to get it."""


def free_port(address: str = "127.0.0.1") -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Tls:
    """A port for TLS, and the files of its certificate and key."""

    port: int
    certificate: Path
    key: Path

    @property
    def lines(self) -> list[str]:
        found = [f"tls-port {self.port}", f'tls-cert-file "{self.certificate}"', f'tls-key-file "{self.key}"']
        # Its clients have passwords, not certificates.
        return [*found, "tls-auth-clients no", 'tls-protocols "TLSv1.2 TLSv1.3"']


def write_config(
    directory: Path,
    *,
    port: int,
    password: str,
    bind: tuple[str, ...] = ("127.0.0.1",),
    tls: Tls | None = None,
) -> Path:
    """Writes redis.conf and, the first time, the users. Returns the path of redis.conf.

    Port 0 is none; the unix socket is always there, for this machine. Both ports listen on every address of `bind`.
    The default user is off: every connection names a user. The users' file is Redis' own from then on
    (`ACL SAVE`).
    """
    users = directory / "users.acl"
    if not users.exists():
        digest = hashlib.sha256(password.encode()).hexdigest()
        users.touch(mode=0o600)
        # Nobody can sign in as `default`, yet it needs its rights: Redis replays its file as that user, and
        # 7.0 would drop every transaction in it.
        rights = "~* &* +@all"
        users.write_text(f"user default off resetpass {rights}\nuser {ADMIN} on #{digest} {rights}\n")
    lines = [
        f"bind {' '.join(bind)}",
        # Access is the users' file's matter; this mode would ask for a password of the default user.
        "protected-mode no",
        f"port {port}",
        f'unixsocket "{directory}/redis.sock"',
        "unixsocketperm 700",
        f'dir "{directory}"',
        f'aclfile "{users}"',
        "appendonly yes",
        "appendfsync everysec",
        'save ""',
        "maxmemory-policy noeviction",
        *(tls.lines if tls else []),
    ]
    config = directory / "redis.conf"
    config.write_text("\n".join(lines) + "\n")
    return config


def answers(url: str) -> bool:
    """Whether Redis takes commands there (it refuses them while it loads its file)."""
    client = redis.Redis.from_url(
        url, socket_connect_timeout=1, socket_timeout=2, retry=Retry(NoBackoff(), 0)
    )
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
    finally:
        client.close()


class RedisServer:
    """Redis on a unix socket and on one port. `url` is its administrator's."""

    def __init__(self, run: Run, *, name: str = "redis", address: str = "127.0.0.1") -> None:
        program = shutil.which("redis-server")
        if program is None:
            raise MissingProgramError("redis-server: apt-get install redis-server")
        directory = run.subdirectory(name)
        self.port = free_port(address)
        self.socket = directory / "redis.sock"
        self.password = secrets.token_urlsafe(24)
        self.broker_url = f"redis://{address}:{self.port}/0"
        """The address that agents are given; their users' names and passwords go in front of it."""
        self.url = f"redis://{ADMIN}:{self.password}@{address}:{self.port}/0"
        self.admin_url = self.url
        bind = ("127.0.0.1",) if address == "127.0.0.1" else ("127.0.0.1", address)
        config = write_config(directory, port=self.port, password=self.password, bind=bind)
        self.process: Process = run.process(name, [program, str(config)])

    def start(self) -> None:
        self.process.start()
        if not wait_until(lambda: answers(self.url), 10.0, every=0.02):
            raise RuntimeError(f"redis-server did not come up:\n{self.process.tail()}")

    def stop(self) -> None:
        self.process.stop()

    def kill(self) -> None:
        """SIGKILL; what it had acknowledged more than two seconds ago is there after `start()`."""
        self.process.kill()

    def flushall(self) -> None:
        client = redis.Redis.from_url(self.url)
        client.flushall()
        client.close()
