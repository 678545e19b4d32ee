from __future__ import annotations

from collections.abc import Iterable

from django.db import models
from django.utils.translation import gettext_lazy as _


class Verb(models.TextChoices):
    """What somebody may do. Roles grant verbs; a token holds some of them, for its team or for named apps."""

    READ = "read", _("Read")
    READ_SECRETS = "read-secrets", _("Read secrets")
    """Values that may be secret: a release's variables and files."""
    DEPLOY = "deploy", _("Deploy")
    """Make releases of an app that is there, and steer their rollouts."""
    WRITE = "write", _("Write")
    """Every other change of apps: create, scale, stop, restart, delete. Includes deploy."""
    EXEC = "exec", _("Run programs")
    """Run programs inside containers, and so see what they hold."""
    ADMIN = "admin", _("Administer")
    """Members, tokens, service accounts, registry logins and settings of the team."""


Verbs = frozenset[Verb]
ALL_VERBS: Verbs = frozenset(Verb)


def every_verb() -> list[str]:
    return [verb.value for verb in Verb]


def with_included(verbs: Iterable[Verb]) -> Verbs:
    """These verbs and what they include: each of them reading, and writing also deploying."""
    found = {Verb.READ, *verbs}
    return frozenset(found | {Verb.DEPLOY} if Verb.WRITE in found else found)


class Role(models.TextChoices):
    """What a member may do in a team; each includes the ones after it."""

    OWNER = "owner", _("Owner")
    DEVELOPER = "developer", _("Developer")
    VIEWER = "viewer", _("Viewer")

    @property
    def verbs(self) -> Verbs:
        match self:
            case Role.OWNER:
                return ALL_VERBS
            case Role.DEVELOPER:
                return ALL_VERBS - {Verb.ADMIN}
            case _:
                return frozenset({Verb.READ})

    @property
    def may_write(self) -> bool:
        return Verb.WRITE in self.verbs

    @property
    def may_exec(self) -> bool:
        """Run programs inside containers, and so see what they hold."""
        return Verb.EXEC in self.verbs

    @property
    def may_own(self) -> bool:
        return Verb.ADMIN in self.verbs


APP_ROLES = [(one.value, one.label) for one in (Role.DEVELOPER, Role.VIEWER)]
"""What one may be in a single app; owners are the team's."""
