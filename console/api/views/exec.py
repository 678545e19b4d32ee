"""Tickets for terminals. What follows goes over a WebSocket: `console.live.exec`."""

# ruff: noqa: ARG002  (Django passes the names in the path)

from __future__ import annotations

from django.conf import settings
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from console.api.inputs import checked
from console.api.inputs.containers import ExecInput
from console.api.views.base import TeamView
from console.workloads import terminals
from console.workloads.access import find_container

PATH = "/ws/exec"
TICKET = inline_serializer(
    "ExecTicket",
    {
        "ticket": serializers.CharField(
            help_text="Good once. It is the socket's first message, never in its URL."
        ),
        "url": serializers.CharField(help_text="The WebSocket to open."),
        "expires_in": serializers.IntegerField(help_text="Seconds."),
    },
)


class Exec(TeamView):
    rehearsable = False

    @extend_schema(operation_id="exec_in_container", request=ExecInput, responses={201: TICKET})
    def post(self, request: Request, team: str, container: str) -> Response:
        """A one-use ticket to run a program inside a running container, over a WebSocket. Owners and developers."""
        ticket = terminals.grant_exec(
            self.access,
            find_container(self.access, container),
            token=self.token,
            **checked(ExecInput, request.data),
        )
        url = settings.BERTH_URL.replace("http", "ws", 1) + PATH
        return Response({"ticket": ticket, "url": url, "expires_in": terminals.TICKET_LIFETIME}, status=201)
