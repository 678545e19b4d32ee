"""The images that docker-compose.yml names, from this machine's own programs: no registry, no build.

Each has the users and folders of the real one; the programs are this machine's /usr, Python and checkout, mounted.
The Dockerfile's own steps are not tried by this.
"""

from __future__ import annotations

import io
import sys
import tarfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import yaml

from lab import postgres
from lab.programs import ROOT

LINKS = ("bin", "sbin", "lib", "lib64")
PASSWD = """root:x:0:0:root:/root:/bin/sh
berth:x:10001:10001::/var/lib/berth:/bin/sh
redis:x:999:999::/data:/bin/sh
postgres:x:998:998::/var/lib/postgresql:/bin/sh
"""
GROUP = "root:x:0:\nberth:x:10001:\nredis:x:999:\npostgres:x:998:\n"
FOLDERS = {
    "var/lib/berth": (10001, 0o700),
    "var/lib/berth-agent": (10001, 0o700),
    "var/lib/berth-logs": (10001, 0o700),
    "var/lib/berth/tls": (10001, 0o750),
    "data": (999, 0o755),
    "var/lib/postgresql/data": (998, 0o700),
    **dict.fromkeys(("usr", "app", "run", "proc", "sys", "dev", "root"), (0, 0o755)),
}
CONSOLE = [
    "USER berth",
    "WORKDIR /app",
    f"ENV PATH={sys.prefix}/bin:/usr/bin:/bin PYTHONUNBUFFERED=1 DJANGO_SETTINGS_MODULE=console.settings"
    " BERTH_HOME=/var/lib/berth",
    'CMD ["uvicorn", "console.asgi:application", "--host", "0.0.0.0", "--port", "8000", "--lifespan", "off"]',
]
INITDB = """
if [ ! -e "$$PGDATA/PG_VERSION" ]; then
  initdb -D "$$PGDATA" -U berth --auth=scram-sha-256 --pwfile=/run/secrets/postgres-password
  echo 'host all all all scram-sha-256' >>"$$PGDATA/pg_hba.conf"
  echo 'CREATE DATABASE berth' | postgres --single -D "$$PGDATA" postgres
fi
exec postgres -D "$$PGDATA" -c 'listen_addresses=*' -c unix_socket_directories=/tmp -c fsync=off
"""


class Whole(list[str]):
    """In a Compose file that goes on top: instead of the list below."""


class Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        return True


Dumper.add_representer(Whole, lambda dumper, data: dumper.represent_sequence("!override", list(data)))


@dataclass(frozen=True)
class StandIns:
    """For one engine, whose socket the agent's container gets."""

    docker_host: str

    def load(self) -> None:
        """Gives the engine the three images."""
        programs = f"ENV PATH={postgres.programs()}:/usr/bin:/bin PGDATA=/var/lib/postgresql/data PGHOST=/tmp"
        images = {"berth/console:latest": CONSOLE, "redis:7": ["ENV PATH=/usr/bin:/bin"]}
        images["postgres:16"] = [programs, "USER postgres"]
        data = _filesystem()
        with closing(docker.DockerClient(base_url=self.docker_host, timeout=60)) as client:
            for name, changes in images.items():
                repository, _colon, tag = name.partition(":")
                client.api.import_image_from_data(data, repository=repository, tag=tag, changes=changes)

    def override(self, secrets: Path) -> str:
        """A Compose file to be put on top: this machine's programs, and nothing else changed but what the stand-in
        of PostgreSQL must be told."""
        folders = ["/usr", sys.base_prefix, sys.prefix]
        mounts = [f"{folder}:{folder}:ro" for folder in folders]
        console = [*mounts, *(f"{ROOT}/{name}:/app/{name}:ro" for name in _copied())]
        ours: dict[str, Any] = {"volumes": console, "init": False}
        names = ("certificates", "setup", "web", "controller", "worker", "link")
        socket = self.docker_host.removeprefix("unix://")
        agent = Whole([*console, "agent:/var/lib/berth-agent", f"{socket}:/var/run/docker.sock"])
        agent.append(f"{secrets}:{secrets}")
        services: dict[str, Any] = {
            **dict.fromkeys(names, ours),
            "agent": {"volumes": agent, "init": False, "environment": {"BERTH_SECRETS_DIR": str(secrets)}},
            "redis": {"volumes": mounts},
            "postgres": {"volumes": mounts, "command": ["sh", "-ec", INITDB]},
        }
        return yaml.dump({"services": services}, Dumper=Dumper)


def _copied() -> list[str]:
    """What the Dockerfile takes of the checkout into the image."""
    lines = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    return [name for name in lines if name != "requirements.txt"]


def _filesystem() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for link in LINKS:
            _add(archive, link, link=f"usr/{link}")
        for folder, (owner, mode) in FOLDERS.items():
            _add(archive, folder, owner=owner, mode=mode)
        _add(archive, "tmp", mode=0o1777)
        _add(archive, "etc/passwd", PASSWD.encode())
        _add(archive, "etc/group", GROUP.encode())
    return buffer.getvalue()


def _add(
    archive: tarfile.TarFile,
    name: str,
    data: bytes | None = None,
    *,
    link: str = "",
    owner: int = 0,
    mode: int = 0o644,
) -> None:
    """A file, a link, or where there is neither a folder."""
    entry = tarfile.TarInfo(name)
    entry.uid = entry.gid = owner
    entry.mode = mode
    if link:
        entry.type, entry.linkname = tarfile.SYMTYPE, link
    elif data is None:
        entry.type = tarfile.DIRTYPE
    else:
        entry.size = len(data)
    archive.addfile(entry, io.BytesIO(data) if data is not None else None)
