"""What would happen, on a copy of the live view; and the moves of a rebalance, which are asked for."""

# ruff: noqa: ARG002  (Django passes the names in the path)

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from console.api.inputs import checked
from console.api.inputs.placement import MovesInput, RebalanceQuery, RoomQuery, WhatIfQuery
from console.api.outputs.placement import MarkedOutput, NodeForecastOutput, RebalanceOutput, RoomOutput
from console.api.views.base import AppView, TeamView
from console.cluster.access import find_node, require_administrator
from console.controller import preview
from console.workloads import moves
from console.workloads.access import find_service


class NodeWhatIf(TeamView):
    @extend_schema(operation_id="node_what_if", parameters=[WhatIfQuery], responses=NodeForecastOutput)
    def get(self, request: Request, team: str, node: str) -> Response:
        """What would become of the node's containers. Other teams' are counted, not named."""
        event = self.query(WhatIfQuery)["event"]
        found = preview.node_forecast(self.access.team, find_node(node), event)
        return Response(NodeForecastOutput(found).data)


class ServiceRoom(AppView):
    @extend_schema(operation_id="service_room", parameters=[RoomQuery], responses=RoomOutput)
    def get(self, request: Request, team: str, app: str, service: str) -> Response:
        """How many more replicas of the service fit now, where, and what refuses the next one."""
        limit = self.query(RoomQuery)["limit"]
        return Response(RoomOutput(preview.room(find_service(self.app, service), limit)).data)


class Rebalance(TeamView):
    @extend_schema(operation_id="plan_rebalance", parameters=[RebalanceQuery], responses=RebalanceOutput)
    def get(self, request: Request, team: str) -> Response:
        """A dry run: which moves would use the nodes more evenly. For administrators."""
        require_administrator(self.access)
        query = self.query(RebalanceQuery)
        return Response(RebalanceOutput(preview.rebalance_forecast(self.access.team, **query)).data)

    @extend_schema(operation_id="make_moves", request=MovesInput, responses={202: MarkedOutput})
    def post(self, request: Request, team: str) -> Response:
        """Make these moves, each new container well before its old one stops. For administrators."""
        require_administrator(self.access)
        given = checked(MovesInput, request.data)["moves"]
        wanted = [moves.WantedMove(move["container"], move["node"], move["target"]) for move in given]
        return Response(MarkedOutput(moves.mark_moves(self.access, wanted)).data, status=202)
