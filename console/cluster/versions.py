"""How far an agent's version is from the console's."""

from __future__ import annotations

from django.utils.translation import gettext as _

from console.cluster.models import Node
from nodeagent import protocol


def skew(node: Node) -> str:
    """What an operator should know of the agent's version; empty when all is well or nothing is known yet."""
    if not node.protocol:
        return ""
    versions = {"agent": node.agent_version, "console": protocol.RELEASE}
    if node.protocol < protocol.VERSION:
        return _(
            "The agent (%(agent)s) is one protocol version older than the console (%(console)s). It works; update it "
            "before the console's next update."
        ) % {**versions}
    if node.agent_version != protocol.RELEASE:
        return _("The agent is version %(agent)s, the console %(console)s.") % versions
    return ""
