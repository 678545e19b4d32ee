"""Hosts that join and leave: join tokens, the join itself, nodes' credentials. For administrators, but the join."""

# ruff: noqa: ARG002  (Django passes the names in the path)

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
from django.http.request import HttpRequest
from drf_spectacular.utils import OpenApiResponse, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import SimpleRateThrottle
from rest_framework.views import APIView

from console.api.inputs import NoInput, PageQuery, checked
from console.api.inputs.cluster import JoinInput, JoinTokenInput
from console.api.outputs.cluster import JoinTokenOutput, NodeOutput, loaded
from console.api.paging import NEWEST_FIRST
from console.api.views.base import ApiView, TeamView, listing
from console.cluster import credentials, joining, trust
from console.cluster.access import find_node, require_administrator
from console.cluster.leaving import drain_and_remove
from console.workloads.queries import node_load
from nodeagent import protocol

NEW_JOIN_TOKEN = inline_serializer(
    "NewJoinToken",
    {
        "join_token": JoinTokenOutput(),
        "secret": serializers.CharField(help_text="Shown this once."),
        "command": serializers.CharField(help_text="For a shell on the new host; it has the secret in it."),
    },
)
DISCOVERY = inline_serializer(
    "Discovery", {"ca": serializers.CharField(help_text="PEM of the authority; empty: the system's.")}
)
JOINED = inline_serializer(
    "Joined",
    {
        "node": serializers.CharField(),
        "name": serializers.CharField(),
        "console": serializers.CharField(help_text="Address of the link."),
        "broker": serializers.CharField(help_text="Address of the broker, without a login."),
        "broker_user": serializers.CharField(),
        "ca": serializers.CharField(),
    },
)


class JoinThrottle(SimpleRateThrottle):
    """Each address may try as often as a whole rack that is set up at once, and no more."""

    rate = "60/min"
    scope = "join"

    def get_cache_key(self, request: Request, view: APIView) -> str | None:
        # The peer's own address: a header could name any.
        return f"throttle:join:{request.META.get('REMOTE_ADDR', '')}"


class Join(ApiView):
    """For a host that is no node yet. It has no account: its join token alone speaks for it."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    throttle_classes = (JoinThrottle,)
    rehearsable = False

    @extend_schema(operation_id="discover", auth=[], responses=DISCOVERY)
    def get(self, request: Request) -> Response:
        """What a host is to trust, once it has compared it with the digest in its command."""
        authority = trust.usable_authority()
        return Response(msgspec.to_builtins(protocol.Discovery(ca=authority.pem if authority else "")))

    @extend_schema(
        operation_id="join",
        auth=[],
        request=JoinInput,
        responses={201: OpenApiResponse(JOINED, description="With the join token as bearer token.")},
    )
    def post(self, request: Request) -> Response:
        """Become a node, by a join token in the Authorization header."""
        asked = protocol.JoinRequest(**checked(JoinInput, request.data))
        trust.usable_authority()
        joined = joining.join(_bearer(request), asked)
        return Response(msgspec.to_builtins(joined), status=201)


def _bearer(request: HttpRequest | Request) -> str:
    scheme, _space, secret = request.headers.get("Authorization", "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else ""


class JoinTokens(TeamView):
    @extend_schema(
        operation_id="list_join_tokens", parameters=[PageQuery], responses=listing(JoinTokenOutput)
    )
    def get(self, request: Request, team: str) -> Response:
        """Those that are open, and those that were over within the last days. For administrators."""
        require_administrator(self.access)
        return self.page(JoinTokenOutput, joining.join_tokens(), NEWEST_FIRST, self.query(PageQuery))

    @extend_schema(operation_id="create_join_token", request=JoinTokenInput, responses={201: NEW_JOIN_TOKEN})
    def post(self, request: Request, team: str) -> Response:
        """Let one host join, once. The secret is shown this once. For administrators."""
        require_administrator(self.access)
        trust.usable_authority()
        given: dict[str, Any] = checked(JoinTokenInput, request.data)
        lifetime = timedelta(minutes=given.pop("minutes"))
        node = find_node(given.pop("node")) if "node" in given else None
        made = joining.create_join_token(actor=self.access.actor, lifetime=lifetime, node=node, **given)
        body = {
            "join_token": JoinTokenOutput(made.token).data,
            "secret": made.secret,
            "command": made.command(),
        }
        return Response(body, status=201)


class JoinTokenDetail(TeamView):
    @extend_schema(operation_id="revoke_join_token", responses={204: None})
    def delete(self, request: Request, team: str, join_token: str) -> Response:
        """Nobody joins with it any more. For administrators."""
        joining.revoke_join_token(self.access, join_token)
        return Response(status=204)


class RotateCredential(TeamView):
    @extend_schema(operation_id="rotate_credential", request=None, responses={202: NodeOutput})
    def post(self, request: Request, team: str, node: str) -> Response:
        """Have the agent make new credentials; the present ones hold until it uses those. For administrators."""
        checked(NoInput, request.data)
        credentials.ask_rotation(self.access, find_node(node))
        return Response(_shown(node), status=202)


class RevokeCredential(TeamView):
    @extend_schema(operation_id="revoke_credential", request=None, responses=NodeOutput)
    def post(self, request: Request, team: str, node: str) -> Response:
        """End the node's credentials, its link and its broker connections at once. For administrators."""
        checked(NoInput, request.data)
        credentials.revoke_credential(self.access, find_node(node))
        return Response(_shown(node))


class Leave(TeamView):
    @extend_schema(operation_id="leave", request=None, responses={202: NodeOutput, 204: None})
    def post(self, request: Request, team: str, node: str) -> Response:
        """Drain the node, and remove it once nothing is on it (204: it is gone already). For administrators."""
        checked(NoInput, request.data)
        if drain_and_remove(self.access, find_node(node)):
            return Response(status=204)
        return Response(_shown(node), status=202)


def _shown(name: str) -> dict[str, Any]:
    return dict(NodeOutput(loaded(find_node(name), node_load())).data)
