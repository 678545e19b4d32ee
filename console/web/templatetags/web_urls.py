"""What pages need of an app beyond its fields: addresses, live words, settings in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django import template
from django.forms import BoundField
from django.utils.safestring import SafeString

from console.web import addresses, explaining, words
from console.web.templatetags.berth import badge, status
from console.workloads.enums import OperationState, ReleaseState, RolloutState
from console.workloads.models import Operation, Release, Rollout

register = template.Library()

register.simple_tag(addresses.app_url, name="app_url")
register.simple_tag(addresses.service_url, name="service_url")
register.simple_tag(addresses.logs_url, name="logs_url")
register.simple_tag(addresses.slot_url, name="slot_url")
register.simple_tag(addresses.terminal_url, name="terminal_url")
register.filter("score", explaining.number)
register.filter("update_words", words.update_words)
register.filter("mode_words", words.mode_words)
register.filter("mode_label", words.mode_label)
register.filter("placement_words", words.placement_words)
register.filter("dependency_words", words.dependency_words)
register.filter("resource_words", words.resource_words)


@register.simple_tag
def state_of(row: Operation | Release | Rollout, style: str = "badge") -> SafeString:
    """The row's state as icon, word and tone. Work that runs is under way, not well."""
    if row.state == OperationState.RUNNING:
        return badge(row.get_state_display(), "info", "loader-2", style)
    match row:
        case Operation():
            return status(OperationState(row.state), style)
        case Release():
            return status(ReleaseState(row.state), style)
        case Rollout():
            return status(RolloutState(row.state), style)


@register.filter
def marks(problems: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Problems as the editor's marks."""
    return [
        {"line": one["line"], "severity": "error", "message": one["message"]}
        for one in problems
        if one["line"]
    ]


@register.filter
def item(mapping: Mapping[Any, Any], key: Any) -> Any:
    return mapping.get(key)


@register.filter
def plus(count: int, more: Sequence[Any]) -> int:
    return count + len(more)


@register.filter
def as_time(text: str) -> datetime:
    return datetime.fromisoformat(text)


@register.simple_tag
def code_area(bound: BoundField) -> SafeString:
    """A text area that the page's script turns into an editor."""
    invalid = " is-invalid" if bound.errors else ""
    return bound.as_widget(attrs={"class": f"form-control code{invalid}"})
