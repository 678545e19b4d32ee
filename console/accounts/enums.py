from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class Role(models.TextChoices):
    """What a member may do in a team; each includes the ones after it."""

    OWNER = "owner", _("Owner")
    DEVELOPER = "developer", _("Developer")
    VIEWER = "viewer", _("Viewer")

    @property
    def may_write(self) -> bool:
        return self in {Role.OWNER, Role.DEVELOPER}

    @property
    def may_exec(self) -> bool:
        """Run programs inside containers, and so see what they hold."""
        return self in {Role.OWNER, Role.DEVELOPER}

    @property
    def may_own(self) -> bool:
        return self is Role.OWNER
