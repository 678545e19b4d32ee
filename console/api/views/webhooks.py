"""Webhooks: where a team's events are sent, and how that went. All of it is for owners."""

# ruff: noqa: ARG002  (Django passes the names in the path)

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from console.api import conditions
from console.api.inputs import NoInput, PageQuery, checked
from console.api.inputs.webhooks import DeliveriesQuery, RotationInput, WebhookChangeInput, WebhookInput
from console.api.outputs import shown_one
from console.api.outputs.webhooks import DeliveryDetailOutput, DeliveryOutput, WebhookOutput
from console.api.paging import BY_NAME, NEWEST_FIRST
from console.api.views.base import TeamView, listing
from console.webhooks import services
from console.webhooks.access import find_delivery, find_webhook
from console.webhooks.models import Webhook
from console.webhooks.queries import deliveries_of, list_webhooks
from console.workloads.access import find_app

_SECRET = serializers.CharField(help_text="Signs the deliveries. Shown this once.")
NEW_WEBHOOK = inline_serializer("NewWebhook", {"webhook": WebhookOutput(), "secret": _SECRET})
NEW_SECRET = inline_serializer("NewWebhookSecret", {"webhook": WebhookOutput(), "secret": _SECRET})


class _Webhooks(TeamView):
    def given(self, kind: type[WebhookInput | WebhookChangeInput]) -> dict[str, Any]:
        """The valid input, with apps by their ids."""
        given = checked(kind, self.request.data)
        if given.get("apps") is not None:
            given["apps"] = [find_app(self.access, name).pk for name in given["apps"]]
        return given


class Webhooks(_Webhooks):
    @extend_schema(operation_id="list_webhooks", parameters=[PageQuery], responses=listing(WebhookOutput))
    def get(self, request: Request, team: str) -> Response:
        """The team's webhooks, without their secrets. For owners."""
        return self.page(WebhookOutput, list_webhooks(self.access), BY_NAME, self.query(PageQuery))

    @extend_schema(operation_id="create_webhook", request=WebhookInput, responses={201: NEW_WEBHOOK})
    def post(self, request: Request, team: str) -> Response:
        """Have the team's events sent to an address from now on. For owners."""
        self.access.require_owner()
        webhook, secret = services.create_webhook(self.access, **self.given(WebhookInput))
        return Response({"webhook": shown_one(WebhookOutput, webhook), "secret": secret}, status=201)


class _OneWebhook(_Webhooks):
    @property
    def webhook(self) -> Webhook:
        return find_webhook(self.access, self.kwargs["webhook"])

    def current_version(self) -> str:
        Webhook.objects.select_for_update(no_key=True).filter(pk=self.webhook.pk).first()
        return version_of(self.webhook)

    def show(self, webhook: Webhook) -> Response:
        self.version = version_of(webhook)
        return Response(shown_one(WebhookOutput, webhook))


def version_of(webhook: Webhook) -> str:
    """Differs once anybody has changed what is wanted, or Berth has disabled it."""
    return conditions.digest([webhook.pk, webhook.updated_at, webhook.disabled_at])[:12]


class WebhookDetail(_OneWebhook):
    @extend_schema(operation_id="get_webhook", responses=WebhookOutput)
    def get(self, request: Request, team: str, webhook: str) -> Response:
        """One webhook, and how it stands."""
        return self.show(self.webhook)

    @extend_schema(operation_id="change_webhook", request=WebhookChangeInput, responses=WebhookOutput)
    def patch(self, request: Request, team: str, webhook: str) -> Response:
        """Change what is given. `active: false` pauses it: nothing is sent, and events meanwhile are passed over. For
        owners."""
        found = self.webhook
        return self.show(services.change_webhook(self.access, found, **self.given(WebhookChangeInput)))

    @extend_schema(operation_id="delete_webhook", responses={204: None})
    def delete(self, request: Request, team: str, webhook: str) -> Response:
        """Delete it with its deliveries. For owners."""
        services.delete_webhook(self.access, self.webhook)
        return Response(status=204)


class RotateWebhook(_OneWebhook):
    @extend_schema(operation_id="rotate_webhook_secret", request=RotationInput, responses=NEW_SECRET)
    def post(self, request: Request, team: str, webhook: str) -> Response:
        """A new signing secret. Until the overlap is over the old one signs as well. For owners."""
        found = self.webhook
        secret = services.rotate_secret(self.access, found, **checked(RotationInput, request.data))
        return Response({"webhook": shown_one(WebhookOutput, self.webhook), "secret": secret})


class PingWebhook(_OneWebhook):
    @extend_schema(operation_id="ping_webhook", request=None, responses={202: DeliveryDetailOutput})
    def post(self, request: Request, team: str, webhook: str) -> Response:
        """Send a test event, `webhook.pinged`; the answer is its delivery. For owners."""
        checked(NoInput, request.data)
        delivery = services.ping(self.access, self.webhook)
        return Response(shown_one(DeliveryDetailOutput, delivery), status=202)


class Deliveries(_OneWebhook):
    @extend_schema(
        operation_id="list_deliveries", parameters=[DeliveriesQuery], responses=listing(DeliveryOutput)
    )
    def get(self, request: Request, team: str, webhook: str) -> Response:
        """What was and is to be delivered, newest first. For owners."""
        query = self.query(DeliveriesQuery)
        chosen = {name: query[name] for name in ("state", "kind", "since") if name in query}
        return self.page(DeliveryOutput, deliveries_of(self.webhook, **chosen), NEWEST_FIRST, query)


class DeliveryDetail(TeamView):
    @extend_schema(operation_id="get_delivery", responses=DeliveryDetailOutput)
    def get(self, request: Request, team: str, webhook: str, delivery: str) -> Response:
        """One delivery: what is sent, and how the last answer began. For owners."""
        return Response(shown_one(DeliveryDetailOutput, find_delivery(self.access, webhook, delivery)))


class Redeliver(TeamView):
    @extend_schema(operation_id="redeliver", request=None, responses={202: DeliveryDetailOutput})
    def post(self, request: Request, team: str, webhook: str, delivery: str) -> Response:
        """Send it again, under the same id. For owners."""
        checked(NoInput, request.data)
        found = services.redeliver(self.access, find_delivery(self.access, webhook, delivery))
        return Response(shown_one(DeliveryDetailOutput, found), status=202)
