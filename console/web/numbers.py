"""Numbers as people read them."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone
from django.utils.translation import gettext as _

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def bytesize(value: float) -> str:
    """Bytes with a binary unit and at most one decimal: 1.5 GiB, 512 MiB."""
    size, unit = float(value or 0), 0
    while size >= 1024 and unit < len(_UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{size:.1f}".removesuffix(".0") + f" {_UNITS[unit]}"


def cores(value: float) -> str:
    """Thousandths of a core as cores: 0.25, 2."""
    return f"{(value or 0) / 1000:.2f}".rstrip("0").rstrip(".")


def ago(at: datetime) -> str:
    """How long ago (or in how long), in one unit. The page's script says it in the same way and keeps it going."""
    seconds = int((timezone.now() - at).total_seconds())
    if seconds < 0:
        return _("in %(n)d sec.") % {"n": -seconds}
    if seconds >= 86400:
        return _("%(n)d days ago") % {"n": seconds // 86400}
    if seconds >= 3600:
        return _("%(n)d hr. ago") % {"n": seconds // 3600}
    if seconds >= 60:
        return _("%(n)d min. ago") % {"n": seconds // 60}
    return _("%(n)d sec. ago") % {"n": seconds}


def is_future(at: datetime | None) -> bool:
    return at is not None and at > timezone.now()
