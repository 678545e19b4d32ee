"""Registry credentials: write-only for people, sealed to a node when a pull needs them."""

from __future__ import annotations

import re

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from console.accounts import envelope
from console.accounts.access import Access
from console.accounts.models import Team
from console.common import audit, events
from console.common.errors import BerthError, Conflict, NotFound
from console.common.prepared import Prepared
from console.images.models import RegistryCredential

DEFAULT_HOST = "docker.io"
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:\d{1,5})?")
_LOGINS = Prepared(lambda team, host: RegistryCredential.objects.filter(team=team, host=host)[:1])


def registry_of(image: str) -> str:
    """The registry host of an image's name, by Docker's rule: a first part with a dot, a colon, or localhost."""
    first, slash, _rest = image.partition("/")
    return first if slash and ("." in first or ":" in first or first == "localhost") else DEFAULT_HOST


def credential_for(team: Team, image: str) -> RegistryCredential | None:
    return _LOGINS.first(team.pk, registry_of(image))


def password_of(credential: RegistryCredential) -> str:
    """Raises `envelope.CannotOpen`."""
    sealed = bytes(credential.sealed_password)
    if not envelope.is_envelope(sealed):
        return envelope.open_box(sealed).decode()
    return envelope.open_sealed(sealed, *_binding(credential.team_id, credential.host)).decode()


def rewrapped(credential: RegistryCredential) -> bytes | None:
    """Its envelope under the newest master key; None when it is. Raises `envelope.CannotOpen`."""
    sealed, binding = bytes(credential.sealed_password), _binding(credential.team_id, credential.host)
    if not envelope.is_envelope(sealed):
        return envelope.seal(envelope.open_box(sealed), *binding)
    return envelope.rewrap(sealed, *binding)


def _binding(team_id: str, host: str) -> tuple[str, str, str]:
    return "registry", team_id, host


def list_credentials(team: Team) -> list[RegistryCredential]:
    return list(RegistryCredential.objects.filter(team=team))


def store_credential(access: Access, *, host: str, username: str, password: str) -> RegistryCredential:
    """Keep a login for one registry host of the team."""
    access.require_owner()
    host = host.strip().lower()
    if not _HOST.fullmatch(host):
        message = _("Give a host such as registry.example.com or registry.example.com:5000.")
        raise BerthError(message, fields={"host": [message]})
    if not username or not password:
        field = "password" if username else "username"
        raise BerthError(
            _("Give a user name and a password."), fields={field: [_("This field is required.")]}
        )
    try:
        with transaction.atomic():
            sealed = envelope.seal(password.encode(), *_binding(access.team.id, host))
            credential = RegistryCredential.objects.create(
                team=access.team, host=host, username=username, sealed_password=sealed
            )
            text, data = f"Login for {host} stored", audit.change(None, _as_data(credential))
            events.record("registry.stored", text, actor=access.actor, team=access.team.id, data=data)
    except IntegrityError as error:
        message = _("A login for this registry exists. Delete it first.")
        raise Conflict(message, fields={"host": [message]}) from error
    return credential


@transaction.atomic
def delete_credential(access: Access, credential_id: str) -> None:
    access.require_owner()
    credential = RegistryCredential.objects.filter(team=access.team, pk=credential_id).first()
    if credential is None:
        raise NotFound(_("There is no such registry login."))
    credential.delete()
    text, data = f"Login for {credential.host} deleted", audit.change(_as_data(credential), None)
    events.record("registry.deleted", text, actor=access.actor, team=access.team.id, data=data)


def _as_data(credential: RegistryCredential) -> dict[str, str]:
    """All but the password."""
    return {"host": credential.host, "username": credential.username}
