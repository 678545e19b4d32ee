"""What the scheduler sees and says. Plain frozen data: CPU in thousandths of a core, memory and disk in
bytes, times in seconds of whatever clock the caller uses (it must only grow)."""

from scheduler.model.decisions import Decision, Explanation, NodeVerdict, Refusal
from scheduler.model.nodes import Node, NodeState
from scheduler.model.plans import Counts, NewSlot, Placement, Plan, RolloutMove, StopContainer
from scheduler.model.requests import (
    Affinity,
    Allocation,
    Constraint,
    Grant,
    Port,
    Quota,
    Request,
    Resource,
    Spread,
    Want,
)
from scheduler.model.views import (
    AppView,
    ContainerView,
    Dependency,
    Mode,
    ReleaseState,
    RolloutState,
    RolloutView,
    ServiceView,
    SlotView,
    Update,
)

__all__ = [
    "Affinity",
    "Allocation",
    "AppView",
    "Constraint",
    "ContainerView",
    "Counts",
    "Decision",
    "Dependency",
    "Explanation",
    "Grant",
    "Mode",
    "NewSlot",
    "Node",
    "NodeState",
    "NodeVerdict",
    "Placement",
    "Plan",
    "Port",
    "Quota",
    "Refusal",
    "ReleaseState",
    "Request",
    "Resource",
    "RolloutMove",
    "RolloutState",
    "RolloutView",
    "ServiceView",
    "SlotView",
    "Spread",
    "StopContainer",
    "Update",
    "Want",
]
