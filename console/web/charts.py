"""Charts of use over time: where their numbers come from, and the ranges to choose from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from django.http import HttpRequest
from django.utils.translation import gettext as _

from console.web.shell import Link

RANGES = ("1h", "24h", "7d")
MOST = 8
"""Lines in one chart: there are so many colours."""


@dataclass(frozen=True, slots=True)
class Charts:
    """`url`: the API's numbers. `steps`: how fine they are, in words."""

    url: str
    range: str
    ranges: Sequence[Link]
    steps: str


def charts(request: HttpRequest, url: str, **query: str | int) -> Charts:
    """Of the range that the page's address names, or of the last hour."""
    asked = request.GET.get("range", "")
    chosen = asked if asked in RANGES else RANGES[0]
    labels = {"1h": _("1 hour"), "24h": _("24 hours"), "7d": _("7 days")}
    steps = {"1h": _("every 10 seconds"), "24h": _("every minute"), "7d": _("every 10 minutes")}
    kept = {key: value for key, value in request.GET.items() if key != "range"}
    links = [
        Link(labels[each], f"{request.path}?{urlencode({**kept, 'range': each})}", active=each == chosen)
        for each in RANGES
    ]
    return Charts(f"{url}?{urlencode({'range': chosen, **query})}", chosen, links, steps[chosen])
