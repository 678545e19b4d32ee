"""Nodes: every member sees them, administrators change them."""

# ruff: noqa: ARG002  (Django passes the names in the path)

from __future__ import annotations

from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from console.api import conditions
from console.api.inputs import NoInput, checked
from console.api.inputs.cluster import DeathInput, NodeChangeInput, NodeInput, NodesQuery
from console.api.outputs import shown
from console.api.outputs.cluster import DrainOutput, HeldOutput, LoadedNode, NodeOutput, loaded
from console.api.outputs.containers import PlacedContainerOutput
from console.api.paging import BY_NAME
from console.api.views.base import TeamView, listing
from console.cluster import services, verdicts
from console.cluster.access import find_node, require_administrator
from console.cluster.models import Node
from console.workloads.drains import drain_of
from console.workloads.queries import containers_on, node_load

CONFIG = serializers.DictField(
    child=serializers.CharField(),
    help_text="What `python -m nodeagent --config FILE` reads. Shown this once.",
)
NEW_NODE = inline_serializer("NewNode", {"node": NodeOutput(), "config": CONFIG})
NODE = inline_serializer(
    "NodeWithContainers",
    {
        "node": NodeOutput(),
        "containers": PlacedContainerOutput(many=True),
        "held": HeldOutput(allow_null=True, help_text="What its assignment waits for; for administrators."),
        "drain": DrainOutput(allow_null=True, help_text="How far it is; null: it is not being drained."),
    },
)


class Nodes(TeamView):
    @extend_schema(operation_id="list_nodes", parameters=[NodesQuery], responses=listing(NodeOutput))
    def get(self, request: Request, team: str) -> Response:
        """All nodes by name, with what is reserved of each by all teams."""
        query = self.query(NodesQuery)
        chosen = {name: query[name] for name in ("state", "zone") if name in query}
        rows = Node.objects.filter(**chosen).select_related("rotation", "departure")

        def seen(nodes: list[Node]) -> list[LoadedNode]:
            load = node_load()
            return [loaded(node, load) for node in nodes]

        return self.page(NodeOutput, rows, BY_NAME, query, seen)

    @extend_schema(operation_id="add_node", request=NodeInput, responses={201: NEW_NODE})
    def post(self, request: Request, team: str) -> Response:
        """A node that may join. `config` is for its agent and is shown this once. For administrators."""
        require_administrator(self.access)
        made = services.add_node(**checked(NodeInput, request.data), actor=self.access.actor)
        body = {
            "node": NodeOutput(loaded(made.node, {})).data,
            "config": made.config(),
        }
        return Response(body, status=201)


class NodeDetail(TeamView):
    @extend_schema(operation_id="get_node", responses=NODE)
    def get(self, request: Request, team: str, node: str) -> Response:
        """A node, and your team's containers on it."""
        found = find_node(node)
        containers = shown(PlacedContainerOutput, containers_on(found, self.access.team))
        drain = drain_of(found)
        self.version = version_of(found)
        return Response(
            {
                "node": NodeOutput(loaded(found, node_load())).data,
                "containers": containers,
                "held": self._held(found),
                "drain": DrainOutput(drain).data if drain else None,
            }
        )

    def current_version(self) -> str:
        node = find_node(self.kwargs["node"])
        return version_of(Node.objects.select_for_update(no_key=True).get(pk=node.pk))

    @extend_schema(operation_id="change_node", request=NodeChangeInput, responses=NodeOutput)
    def patch(self, request: Request, team: str, node: str) -> Response:
        """Set its zone, its labels, or both; the next placement goes by them. For administrators."""
        given = checked(NodeChangeInput, request.data)
        found: Node = services.change_node(self.access, find_node(node), **given)
        self.version = version_of(found)
        return Response(NodeOutput(loaded(found, node_load())).data)

    def _held(self, node: Node) -> object:
        hold = getattr(node, "hold", None)
        return HeldOutput(hold).data if hold and self.access.administrator else None

    @extend_schema(operation_id="remove_node", responses={204: None})
    def delete(self, request: Request, team: str, node: str) -> Response:
        """Forget a node that holds nothing. For administrators."""
        services.remove_node(self.access, find_node(node))
        return Response(status=204)


def version_of(node: Node) -> str:
    """Differs once anybody has asked for something else of the node."""
    asked = [node.pk, node.zone, node.labels, node.cordoned, node.draining]
    return conditions.digest(asked)[:12]


class _Cordoning(TeamView):
    def set(self, request: Request, node: str, *, cordoned: bool) -> Response:
        checked(NoInput, request.data)
        found: Node = services.set_cordoned(self.access, find_node(node), cordoned=cordoned)
        return Response(NodeOutput(loaded(found, node_load())).data)


class Cordon(_Cordoning):
    @extend_schema(operation_id="cordon_node", request=None, responses=NodeOutput)
    def post(self, request: Request, team: str, node: str) -> Response:
        """Place nothing new on the node; what runs there stays. For administrators."""
        return self.set(request, node, cordoned=True)


class Uncordon(_Cordoning):
    @extend_schema(operation_id="uncordon_node", request=None, responses=NodeOutput)
    def post(self, request: Request, team: str, node: str) -> Response:
        """Let the node be chosen again. For administrators."""
        return self.set(request, node, cordoned=False)


class _Draining(TeamView):
    def set(self, request: Request, node: str, *, draining: bool) -> Response:
        checked(NoInput, request.data)
        found = services.set_draining(self.access, find_node(node), draining=draining)
        return Response(NodeOutput(loaded(found, node_load())).data, status=202)


class Drain(_Draining):
    @extend_schema(operation_id="drain_node", request=None, responses={202: NodeOutput})
    def post(self, request: Request, team: str, node: str) -> Response:
        """Empty the node: what can go elsewhere goes, nothing new comes. For administrators."""
        return self.set(request, node, draining=True)


class Undrain(_Draining):
    @extend_schema(operation_id="undrain_node", request=None, responses={202: NodeOutput})
    def post(self, request: Request, team: str, node: str) -> Response:
        """Let the node be chosen again; what has gone elsewhere stays there. For administrators."""
        return self.set(request, node, draining=False)


class Dead(TeamView):
    @extend_schema(operation_id="declare_node_dead", request=DeathInput, responses={202: NodeOutput})
    def post(self, request: Request, team: str, node: str) -> Response:
        """Say that a node that is down will not come back: what may never run twice is replaced. For administrators."""
        verdicts.declare_dead(self.access, find_node(node), **checked(DeathInput, request.data))
        return Response(NodeOutput(loaded(find_node(node), node_load())).data, status=202)


class Confirm(TeamView):
    @extend_schema(operation_id="confirm_node", request=None, responses={202: NodeOutput})
    def post(self, request: Request, team: str, node: str) -> Response:
        """After a restored backup: the database is right, and what it does not know may be stopped on the node. For
        administrators."""
        checked(NoInput, request.data)
        verdicts.confirm_assignment(self.access, find_node(node))
        return Response(NodeOutput(loaded(find_node(node), node_load())).data, status=202)
