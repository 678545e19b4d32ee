"""The engines' swarm as the fake agents know it: one state for all, done at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from console.cluster.queries import cluster
from nodeagent import protocol

if TYPE_CHECKING:
    from tests.controller.fakes import FakeAgent


@dataclass
class FakeSwarm:
    """Members by node, and whether each manages. `networks` are those that a manager made. `refusing`: why a
    change fails."""

    members: dict[str, bool] = field(default_factory=dict)
    networks: set[str] = field(default_factory=set)
    used: set[str] = field(default_factory=set)
    """Networks that somebody has joined."""
    refusing: str = ""
    acts: list[str] = field(default_factory=list)
    id: str = "s1"

    def facts(self, agent: FakeAgent) -> protocol.Overlay:
        manager = self.members.get(agent.node, False)
        joined = agent.node in self.members
        return protocol.Overlay(
            address="10.0.0.1",
            state="active" if joined else "inactive",
            node=f"w{agent.node}" if joined else "",
            manager=manager,
            cluster=cluster().id if manager else "",
            swarm=self.id if manager else "",
            members=tuple(
                protocol.Member(
                    node=f"w{node}",
                    manager=role,
                    ready=agent.wire.agents[node].silence == 0 if node in agent.wire.agents else False,
                    settled=True,
                )
                for node, role in sorted(self.members.items())
            )
            if manager
            else (),
        )

    def obey(self, agent: FakeAgent, job: protocol.Swarm | protocol.Network) -> protocol.Result:
        if self.refusing:
            return protocol.Result(job=job.id, ok=False, code="engine", message=self.refusing, fatal=True)
        if isinstance(job, protocol.Network):
            return self._network(agent, job)
        self.acts.append(job.act)
        subject = job.node.removeprefix("w") or agent.node
        sealed = b""
        match job.act:
            case "init":
                assert not self.members
                self.members[agent.node] = True
            case "invite":
                sealed = b"sealed for " + job.guest.encode()
            case "join":
                assert job.token == b"sealed for " + agent.node.encode()
                assert job.managers
                self.members[agent.node] = False
            case "promote" | "demote":
                self.members[subject] = job.act == "promote"
            case "forget":
                self.members.pop(subject, None)
        for each in agent.wire.agents.values():
            if each.linked and each.swarm is self:
                each.hello()
        return protocol.Result(job=job.id, ok=True, sealed=sealed)

    def _network(self, agent: FakeAgent, job: protocol.Network) -> protocol.Result:
        assert self.members[agent.node]
        self.acts.append(f"{'remove' if job.gone else 'make'} {job.name.partition('_')[2]}")
        if job.gone and job.name in self.used:
            return protocol.Result(job=job.id, ok=False, code="in-use", message="in use")
        (self.networks.discard if job.gone else self.networks.add)(job.name)
        return protocol.Result(job=job.id, ok=True)
