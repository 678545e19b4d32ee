"""`/metrics`: the console's own health, and what nodes and containers use, for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator
from secrets import compare_digest

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from rest_framework.exceptions import APIException, NotAuthenticated

from console.api.authentication import bearer_token
from console.api.errors import failure_of
from console.api.prometheus import health, usage
from console.common.errors import BerthError, Forbidden


class _Berth(Collector):
    def collect(self) -> Iterator[Metric]:
        yield from health.collect()
        yield from usage.collect()


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """As text that Prometheus reads. For the metrics token, or an administrator's API token."""
    try:
        allowed = _knows_token(request) or _is_administrators(request)
        if not allowed:
            raise NotAuthenticated(
                _("Send BERTH_METRICS_TOKEN, or an administrator's API token, as a bearer token.")
            )
    except (APIException, BerthError) as error:
        failure = failure_of(error)
        if failure is None:
            raise
        return failure.response(request)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Berth())
    encoder, content_type = choose_encoder(request.headers.get("Accept", ""))
    return HttpResponse(encoder(registry), content_type=content_type)


def _knows_token(request: HttpRequest) -> bool:
    known = str(settings.METRICS_TOKEN)
    given = request.headers.get("Authorization", "").partition(" ")[2].strip()
    return bool(known) and compare_digest(given.encode(), known.encode())


def _is_administrators(request: HttpRequest) -> bool:
    """Raises `Forbidden` for a token of somebody else or of some rights alone, DRF's error for one that is not live."""
    token = bearer_token(request)
    if token is not None and not (token.user.is_staff and token.is_full):
        raise Forbidden(_("Only an administrator's token shows the metrics of all teams."))
    return token is not None
