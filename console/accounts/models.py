"""Users, teams, roles and the credentials by which they come in."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models.functions import Lower

from console.accounts.enums import ALL_VERBS, APP_ROLES, Role, Verb, Verbs, every_verb
from console.common.ids import IdField

MOST_LOG_DAYS = 365


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        user = self.model(email=self.normalize_email(email), **fields)
        user.set_password(password)
        user.save()
        return user


class User(AbstractBaseUser):
    """A person, or a team's service account. Rights come from memberships; `is_staff`: a platform administrator."""

    id = IdField()
    email = models.EmailField(unique=True)
    name = models.CharField(max_length=100, blank=True)
    is_staff = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    service_of = models.ForeignKey(
        "Team", on_delete=models.CASCADE, null=True, blank=True, related_name="service_accounts"
    )
    """The team whose service account this is: nobody signs in as it, and its address receives no mail."""

    USERNAME_FIELD = "email"
    objects: ClassVar[UserManager] = UserManager()

    class Meta:
        constraints = [models.UniqueConstraint(Lower("email"), name="user_email_unique")]

    def __str__(self) -> str:
        return self.name or self.email

    @property
    def actor(self) -> str:
        """How history names whoever acts."""
        return f"service account {self.name}" if self.service_of_id else self.email


class Team(models.Model):
    """A tenant."""

    id = IdField()
    slug = models.SlugField(max_length=40, unique=True)
    name = models.CharField(max_length=100)
    created_at = models.DateTimeField(auto_now_add=True)
    log_retention_days = models.PositiveSmallIntegerField(
        default=7, validators=[MaxValueValidator(MOST_LOG_DAYS)]
    )
    """How long logs of ended containers are kept; 0: not at all."""
    two_factor_required = models.BooleanField(default=False, db_default=False)
    """Whether members come in with a second factor alone."""

    def __str__(self) -> str:
        return self.name


class Quota(models.Model):
    """What a team may have at most; empty is no limit. CPU in thousandths of a core, memory in bytes."""

    team = models.OneToOneField(Team, on_delete=models.CASCADE, primary_key=True, related_name="quota")
    apps = models.PositiveIntegerField(null=True)
    containers = models.PositiveIntegerField(null=True)
    cpu = models.PositiveBigIntegerField(null=True)
    memory = models.PositiveBigIntegerField(null=True)
    priority = models.IntegerField(default=0, db_default=0)
    """The highest that its services may have: what is higher displaces what is lower, of whatever team."""

    def __str__(self) -> str:
        return f"quota of {self.team}"


class InstanceSize(models.Model):
    """A named pair of limits, for `x-berth: {size: …}`. The default one is for services that give no limits."""

    name = models.SlugField(max_length=40, primary_key=True)
    cpu = models.PositiveBigIntegerField()
    memory = models.PositiveBigIntegerField()
    default = models.BooleanField(default=False)

    class Meta:
        ordering = ["memory", "cpu", "name"]
        constraints = [
            models.UniqueConstraint(
                fields=["default"], condition=models.Q(default=True), name="one_default_size"
            )
        ]

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    id = IdField()
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=16, choices=Role.choices)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "team"], name="membership_unique")]

    def __str__(self) -> str:
        return f"{self.user} · {self.team} · {self.role}"


class AppRole(models.Model):
    """A member's role in one app, where it is not the role in the team. Apps are named by id."""

    id = IdField()
    membership = models.ForeignKey(Membership, on_delete=models.CASCADE, related_name="app_roles")
    app_id = models.CharField(max_length=16)
    role = models.CharField(max_length=16, choices=APP_ROLES)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["membership", "app_id"], name="app_role_unique")]

    def __str__(self) -> str:
        return f"{self.membership} · {self.app_id} · {self.role}"


class ApiToken(models.Model):
    """A bearer token. Only its SHA-256 is kept. It acts in one team, with what `verbs` leaves of its holder's
    present rights there."""

    id = IdField()
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="tokens")
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=100)
    digest = models.CharField(max_length=64, unique=True)
    hint = models.CharField(max_length=12)
    verbs = models.JSONField(default=every_verb)
    apps = models.JSONField(null=True, blank=True)
    """Ids of the apps it is for; null: the whole team. An empty list is for nothing, not for all."""
    created_by = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.name

    @property
    def scope(self) -> Verbs:
        known = set(Verb.values)
        return frozenset(Verb(verb) for verb in self.verbs if verb in known)

    @property
    def is_full(self) -> bool:
        """Whether it holds all of its holder's rights."""
        return self.apps is None and self.scope == ALL_VERBS


class SignInLink(models.Model):
    """A one-time way in, for the first owner. Only its SHA-256 is kept."""

    id = IdField()
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="links")
    digest = models.CharField(max_length=64, unique=True)
    expires_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"link for {self.user}"


class Invitation(models.Model):
    """A way into a team for one address, used once and then deleted. Only its secret's SHA-256 is kept."""

    id = IdField()
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="invitations")
    email = models.EmailField()
    role = models.CharField(max_length=16, choices=Role.choices)
    digest = models.CharField(max_length=64, unique=True)
    created_by = models.CharField(max_length=254)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(Lower("email"), "team", name="invitation_unique")]

    def __str__(self) -> str:
        return f"{self.email} → {self.team}"
