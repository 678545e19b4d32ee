"""What a container sees of the networks, asked from inside it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass

import docker

from lab.api import Api
from lab.lab import Lab
from lab.manage import manage
from lab.processes import wait_until
from nodeagent import protocol

_TEAM = """
from console.accounts.access import Access
from console.accounts.enums import Role
from console.accounts.models import Membership, Team, User
from console.accounts.tokens import create_token
user = User.objects.order_by("pk").first()
team, made = Team.objects.get_or_create(slug={slug!r}, defaults={{"name": {slug!r}}})
Membership.objects.get_or_create(team=team, user=user, defaults={{"role": Role.OWNER}})
print(create_token(Access(user, team, Role.OWNER), name="test")[1])
"""


def other_team(lab: Lab, slug: str) -> Api:
    """The API as the owner of another team, which is made when it is missing."""
    secret = manage(lab.console.env, ["shell", "--no-imports", "-c", _TEAM.format(slug=slug)])
    return Api(lab.console.url, secret.strip().splitlines()[-1], team=slug)


@dataclass(frozen=True)
class Seen:
    node: str
    docker_host: str
    id: str
    addresses: Mapping[str, str]
    """By the engine's name of the network."""


@dataclass(frozen=True)
class Inside:
    """The lab's running containers, by the names of their slots (`shop/web.1`); of a dead engine none are seen."""

    lab: Lab

    def containers(self, app: str) -> dict[str, Seen]:
        found = {}
        for host in (one for one in self.lab.hosts if one.engine.pid):
            with closing(docker.DockerClient(base_url=host.engine.docker_host, timeout=20)) as client:
                for one in client.containers.list(
                    filters={"label": f"{protocol.LABEL_APP}={app}"}, ignore_removed=True
                ):
                    joined = one.attrs["NetworkSettings"]["Networks"]
                    found[one.labels[protocol.LABEL_NAME]] = Seen(
                        node=host.name,
                        docker_host=host.engine.docker_host,
                        id=str(one.id),
                        addresses={
                            name: end["IPAddress"] for name, end in joined.items() if end["IPAddress"]
                        },
                    )
        return found

    def deploy(self, api: Api, name: str, compose: str, replicas: int, timeout: float = 60.0) -> str:
        """The app's id, once so many containers of it run and its operation is done."""
        operation = api.post("/apps", {"name": name, "compose": compose})["operation"]
        app: str = operation["app"]["id"]
        path = f"/operations/{operation['id']}"
        done = wait_until(
            lambda: api.get(path)["state"] != "running" and len(self.containers(app)) == replicas,
            timeout,
            every=0.3,
        )
        assert done, (api.get(path), self.lab.report())
        assert api.get(path)["state"] == "succeeded", api.get(path)
        return app

    def is_at(self, app: str, name: str, addresses: Mapping[str, str]) -> bool:
        """Whether it comes to have exactly these addresses: while its names change it is off its network."""
        return wait_until(lambda: self.containers(app)[name].addresses == addresses, 5.0, every=0.1)

    def run(self, at: Seen, script: str) -> tuple[int, str]:
        with closing(docker.DockerClient(base_url=at.docker_host, timeout=30)) as client:
            done = client.containers.get(at.id).exec_run(["sh", "-c", script])
        output = done.output if isinstance(done.output, bytes) else b"".join(done.output)
        return int(done.exit_code or 0), output.decode(errors="replace")

    def resolves(self, at: Seen, name: str) -> set[str]:
        """Addresses that the name leads to there."""
        _code, said = self.run(at, f"busybox nslookup -type=a {name} 127.0.0.11 2>&1")
        answer = said.partition("Name:")[2]
        return set(re.findall(r"^Address(?: \d+)?:\s+(\d+\.\d+\.\d+\.\d+)$", answer, re.MULTILINE))

    def reaches(self, at: Seen, address: str, port: int = 80) -> bool:
        """Whether the demo's server answers it there within two seconds."""
        return " 200 OK" in self._asked(at, address, port)

    def answers(self, at: Seen, address: str, port: int) -> bool:
        """Whether any HTTP server does, well or not."""
        return "HTTP/1" in self._asked(at, address, port)

    def _asked(self, at: Seen, address: str, port: int) -> str:
        ask = f"(printf 'GET /healthz HTTP/1.0\\r\\n\\r\\n'; sleep 0.5) | nc -w 2 {address} {port}"
        return self.run(at, ask)[1]
