"""The engine's swarm mode, as far as networks need it. Engine API 1.41 and later."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, cast

from nodeagent import protocol
from nodeagent.protocol import Member, Overlay
from nodeagent.protocol.overlay import SwarmState
from nodeagent.runtime import faults
from nodeagent.runtime.base import Conflict, EngineError, EngineUnavailable, InUse, NotFound
from nodeagent.runtime.docker import Connection, path_part

PORT = 2377
JOIN_TIMEOUT = 60.0
SETTLED = 60.0


class DockerSwarm:
    """Every call is bounded, as those of `DockerRuntime`, whose connection it shares."""

    def __init__(self, engine: Connection) -> None:
        self._engine = engine

    def facts(self, address: str) -> Overlay:
        info = self._engine.json("GET", "/info", "The engine cannot be asked")["Swarm"]
        state = cast(SwarmState, info.get("LocalNodeState") or "inactive")
        cluster = info.get("Cluster") or {}
        labels = (cluster.get("Spec") or {}).get("Labels") or {}
        manager = bool(info.get("ControlAvailable"))
        error = str(info.get("Error") or "")
        members: tuple[Member, ...] = ()
        if manager:
            members, why = self._members()
            error = error or why
        return Overlay(
            address=address,
            state=state,
            node=str(info.get("NodeID") or ""),
            manager=manager,
            cluster=str(labels.get(protocol.LABEL_CLUSTER) or ""),
            swarm=str(cluster.get("ID") or ""),
            members=members,
            error=error[:300],
        )

    def _members(self) -> tuple[tuple[Member, ...], str]:
        """None, and why, where the managers are no majority any more."""
        now = datetime.now(UTC)
        try:
            found = self._engine.json("GET", "/nodes", "The swarm's nodes cannot be listed")
        except EngineUnavailable:
            raise
        except EngineError as error:
            return (), error.message
        return tuple(sorted((_member(one, now) for one in found), key=lambda one: one.node)), ""

    def init(self, address: str, pool: str, subnet: int, cluster: str) -> None:
        seen = self.facts(address)
        if seen.state == "active":
            if seen.cluster != cluster:
                raise Conflict(
                    "This engine is in a swarm that this cluster did not make, so it is not touched. Leave it with "
                    "`docker swarm leave`."
                )
            return
        body = {
            **_listen(address),
            "DefaultAddrPool": [pool],
            "SubnetSize": subnet,
            "Spec": {"Name": "default", "Labels": {protocol.LABEL_CLUSTER: cluster}},
        }
        self._call("POST", "/swarm/init", "No swarm can be made", body=body)

    def token(self) -> str:
        """For a worker."""
        return str(self._engine.json("GET", "/swarm", "The swarm cannot be asked")["JoinTokens"]["Worker"])

    def join(self, token: str, managers: list[str], address: str) -> None:
        if self.facts(address).state in {"active", "pending"}:
            return
        remotes = [f"{one}:{PORT}" for one in managers]
        body = {**_listen(address), "RemoteAddrs": remotes, "JoinToken": token}
        self._call("POST", "/swarm/join", "The swarm cannot be joined", body=body)

    def set_manager(self, node: str, *, manager: bool) -> None:
        path = f"/nodes/{path_part(node)}"
        found = self._engine.json("GET", path, f"The member {node} cannot be looked at")
        wanted = "manager" if manager else "worker"
        if found["Spec"].get("Role") == wanted:
            return
        self._call(
            "POST",
            f"{path}/update",
            f"The member {node} cannot become a {wanted}",
            body={**found["Spec"], "Role": wanted},
            params={"version": str(found["Version"]["Index"])},
        )

    def forget(self, node: str) -> None:
        with suppress(NotFound):
            path = f"/nodes/{path_part(node)}"
            self._call("DELETE", path, f"The member {node} cannot be removed", params={"force": "1"})

    def ensure_network(self, name: str, cluster: str, app: str, *, internal: bool = False) -> None:
        if self._owned(name, cluster, app):
            return
        body = {
            "Name": name,
            "Driver": "overlay",
            "Attachable": True,
            "Internal": internal,
            "Labels": {protocol.LABEL_CLUSTER: cluster, protocol.LABEL_APP: app},
        }
        try:
            self._call("POST", "/networks/create", f"The network {name} cannot be made", body=body)
        except Conflict:
            # Another manager was quicker.
            if not self._owned(name, cluster, app):
                raise

    def remove_network(self, name: str, cluster: str) -> None:
        """Raises `InUse` while a container anywhere has joined it."""
        if not self._owned(name, cluster, ""):
            return
        try:
            self._call("DELETE", f"/networks/{path_part(name)}", f"The network {name} cannot be removed")
        except NotFound:
            return
        except EngineError as error:
            if "in use" in error.message:
                raise InUse(error.message) from error
            raise

    def _owned(self, name: str, cluster: str, app: str) -> bool:
        found = self._engine.found(f"/networks/{path_part(name)}", f"The network {name} cannot be looked at")
        if found is None:
            return False
        labels = found.get("Labels") or {}
        owner = labels.get(protocol.LABEL_CLUSTER), labels.get(protocol.LABEL_APP)
        if owner[0] != cluster or (app and owner[1] != app):
            raise Conflict(f"The network {name} is not this app's, so it is not touched.")
        return True

    def _call(self, method: str, path: str, what: str, **options: Any) -> None:
        self._engine.call(
            method,
            path,
            fault=lambda status, words: faults.swarm_fault(what, status, words),
            timeout=JOIN_TIMEOUT,
            **options,
        )


def _listen(address: str) -> dict[str, str]:
    """On that address alone: a host may have others that face strangers."""
    return {"ListenAddr": f"{address}:{PORT}", "AdvertiseAddr": address, "DataPathAddr": address}


def _member(data: dict[str, Any], now: datetime) -> Member:
    manager = data.get("ManagerStatus")
    well = (data.get("Status") or {}).get("State") == "ready"
    reachable = manager is None or manager.get("Reachability") == "reachable"
    since = datetime.fromisoformat(data["CreatedAt"])
    return Member(
        node=data["ID"],
        manager=(data.get("Spec") or {}).get("Role") == "manager",
        ready=well and reachable,
        settled=(now - since).total_seconds() > SETTLED,
    )
