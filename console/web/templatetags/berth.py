"""Berth's components for templates. Each has one file under templates/components/."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from django import template
from django.forms import BoundField, CheckboxInput, Select
from django.template.context import RequestContext
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from console.web import numbers

register = template.Library()

THEMES = ("system", "light", "dark")


class Status(Protocol):
    """An enum member that people see: never by its colour alone."""

    @property
    def label(self) -> Any: ...
    @property
    def icon(self) -> str: ...
    @property
    def tone(self) -> str: ...


def _component(name: str, /, **values: Any) -> SafeString:
    return mark_safe(render_to_string(f"components/{name}.html", values).strip())  # noqa: S308  # checked: our own templates


def _trimmed(content: str) -> SafeString:
    """What stood between a component's tags, escaped where it had to be; empty when it was only space."""
    return mark_safe(content.strip())  # noqa: S308  # checked: rendered by a template, escaped there


@register.simple_tag
def icon(name: str, classes: str = "") -> SafeString:
    """An icon of the sprite, hidden from screen readers: its word stands beside it."""
    spin = " icon-spin" if name.startswith("loader") else ""
    return format_html(
        '<svg class="icon{} {}" aria-hidden="true"><use href="{}#{}"></use></svg>',
        spin, classes, static("icons.svg"), name,
    )  # fmt: skip


@register.simple_tag
def status(value: Status, style: str = "badge") -> SafeString:
    """A status as icon, word and tone: a `badge`, or `plain` for dense lists."""
    return badge(str(value.label), value.tone, value.icon, style)


@register.simple_tag
def badge(label: str, tone: str = "muted", icon: str = "", style: str = "badge") -> SafeString:
    return _component("badge", label=label, tone=tone, icon=icon, style=style)


@register.simple_tag
def meter(label: str, used: float, total: float, text: str = "") -> SafeString:
    """How much of a capacity is taken; warns from 75 % and alarms from 90 %."""
    share = used / total if total else 0.0
    tone = "danger" if share >= 0.9 else "warning" if share >= 0.75 else ""
    return _component("meter", label=label, text=text, percent=round(min(share, 1.0) * 100), tone=tone)


@register.simple_tag
def button(label: str, **options: Any) -> SafeString:
    """A button or, with `href`, a link that looks like one. Options: icon, kind (primary, plain, ghost,
    danger), small, square (icon only), href, submit, open (dialog id), close, name, value, disabled."""
    return _component("button", label=label, **{"kind": "plain", **options})


@register.simple_tag
def field(bound: BoundField, hint: str = "", placeholder: str = "", classes: str = "") -> SafeString:
    """A form field with its label, hint and messages, tied together for screen readers."""
    invalid = " is-invalid" if bound.errors else ""
    widget = bound.field.widget
    kind = (
        "form-check-input"
        if isinstance(widget, CheckboxInput)
        else ("form-select" if isinstance(widget, Select) else "form-control")
    )
    attrs: dict[str, Any] = {"class": f"{kind} {classes}{invalid}"}
    described = [f"{bound.id_for_label}-error"] if bound.errors else []
    hint = hint or str(bound.help_text or "")
    if hint:
        described.append(f"{bound.id_for_label}-hint")
    if described:
        attrs["aria-describedby"] = " ".join(described)
    if bound.errors:
        attrs["aria-invalid"] = "true"
    if placeholder:
        attrs["placeholder"] = placeholder
    return _component(
        "field", field=bound, widget=bound.as_widget(attrs=attrs), hint=hint, check=kind == "form-check-input"
    )


@register.simple_tag
def tabs(items: Sequence[Mapping[str, Any]], label: str) -> SafeString:
    """Tabs as real addresses: [{label, url, icon, active}]."""
    return _component("tabs", items=items, label=label)


@register.simple_tag
def pager(older: str, newer: str) -> SafeString:
    """Links to the pages beside this one; an empty address is no link."""
    return _component("pager", older=older, newer=newer)


@register.simple_block_tag
def page_header(content: str, title: str, sub: str = "", state: Status | None = None) -> SafeString:
    """The page's one h1, a line below it, its status, and its actions as content."""
    return _component("page_header", title=title, sub=sub, state=state, content=_trimmed(content))


@register.simple_block_tag
def card(content: str, title: str = "", icon: str = "", note: str = "", flush: bool = False) -> SafeString:
    """A titled box. `flush` lets a table or list reach its edges."""
    return _component("card", title=title, icon=icon, note=note, flush=flush, content=content)


@register.simple_block_tag
def table(content: str, label: str) -> SafeString:
    """A table (thead and tbody as content) that scrolls sideways inside itself."""
    return _component("table", label=label, content=content)


@register.simple_block_tag
def alert(content: str, tone: str = "info", title: str = "") -> SafeString:
    return _component("alert", tone=tone, title=title, icon=ALERT_ICONS[tone], content=content)


@register.simple_block_tag
def emptystate(content: str, icon: str, title: str, text: str = "") -> SafeString:
    """What stands where nothing is yet: why, and what to do first."""
    return _component("empty", icon=icon, title=title, text=text, content=_trimmed(content))


@register.simple_block_tag
def dialog(content: str, id: str, title: str, icon: str = "", shown: bool = False) -> SafeString:
    """A modal dialog; `{% button open=id %}` opens it, `shown` opens it with the page."""
    return _component("dialog", id=id, title=title, icon=icon, shown=shown, content=content)


ALERT_ICONS = {
    "info": "info-circle",
    "success": "circle-check",
    "warning": "alert-triangle",
    "danger": "alert-circle",
}


@register.simple_tag
def ago(at: datetime | None) -> SafeString:
    """A time as how long ago it was; the page keeps it going."""
    if at is None:
        return mark_safe("–")  # checked: a constant
    return format_html('<time datetime="{}" data-ago>{}</time>', at.isoformat(), numbers.ago(at))


@register.simple_tag(takes_context=True)
def live(context: RequestContext, *words: str) -> SafeString:
    """Attributes of a live region: it refetches itself when one of these (`app:ID`, `node`, …) changes."""
    return format_html(
        'data-live="{}" hx-get="{}" hx-trigger="berth:live" hx-target="this" hx-swap="morph:outerHTML"',
        " ".join(words), context["request"].get_full_path(),
    )  # fmt: skip


@register.simple_tag(takes_context=True)
def theme(context: Mapping[str, Any]) -> SafeString:
    """The attributes of <html> that choose the colour scheme, from the visitor's cookie."""
    request = context.get("request")
    chosen = request.COOKIES.get("berth_theme", "system") if request else "system"
    chosen = chosen if chosen in THEMES else "system"
    fixed = format_html(' data-bs-theme="{}"', chosen) if chosen != "system" else ""
    return format_html('data-theme="{}"{}', chosen, fixed)


register.filter("bytesize", numbers.bytesize)
register.filter("cores", numbers.cores)
register.filter("is_future", numbers.is_future)
