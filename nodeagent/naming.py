"""Which names lead to a container on its networks, and which should: to one that is not well, none do.

The engine's resolver lists every container that has a name, well or not, and cannot be told otherwise while it is
joined: so the container leaves its network for a moment and joins it again at the same address, with its names or
without them (docs/adr/0008-private-networks.md). Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from nodeagent.protocol import LABEL_NAMES, Spec
from nodeagent.runtime.base import ContainerFacts

WELL = {"none", "healthy"}


@dataclass(frozen=True, slots=True)
class Rejoin:
    """What is to be done on one network."""

    network: str
    names: tuple[str, ...]
    address: str
    """Where it was, if it is there at all."""
    joined: bool


def label(spec: Spec) -> dict[str, str]:
    """The agent's memory of the names that a container is to have: by network, as JSON."""
    wanted = {one.network: sorted(one.aliases) for one in spec.attachments if one.aliases}
    return {LABEL_NAMES: msgspec.json.encode(wanted).decode()} if wanted else {}


def wanted_names(labels: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """By network; nothing where the label is none of this agent's writing."""
    try:
        return msgspec.json.decode(labels.get(LABEL_NAMES, "{}"), type=dict[str, tuple[str, ...]])
    except msgspec.MsgspecError:
        return {}


def at_first(spec: Spec, names: tuple[str, ...]) -> tuple[str, ...]:
    """Of these names those with which a container is made: none where a health check is to speak first."""
    checked = spec.healthcheck is not None and spec.healthcheck.test[:1] != ("NONE",)
    return () if checked else names


def due(facts: ContainerFacts) -> tuple[Rejoin, ...]:
    """The networks of a running container on which it has other names than it should."""
    if facts.state != "running":
        return ()
    found = []
    for network, names in wanted_names(facts.labels).items():
        wanted = names if facts.health in WELL else ()
        endpoint = facts.networks.get(network)
        if endpoint is None or not endpoint.address:
            # After a join that failed half-way the engine shows the names, but no address: it is not there.
            found.append(Rejoin(network, wanted, "", joined=False))
        elif endpoint.names & set(names) != set(wanted):
            found.append(Rejoin(network, wanted, endpoint.address, joined=True))
    return tuple(found)
