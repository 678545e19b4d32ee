"""Secrets of teams and apps: values go in, and come out only towards the nodes whose containers take them."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Count, Max, Q
from django.utils.translation import gettext as _

from console.accounts import envelope
from console.accounts.access import Access
from console.accounts.models import Team
from console.common import audit, events
from console.common.errors import BerthError, Conflict, NotFound, Unprocessable
from console.workloads.compose import Project
from console.workloads.models import App, Release, Secret, SecretVersion

MOST_BYTES = 512 * 1024
MOST_SECRETS = 200
"""Of a team, and of an app."""
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}")


@dataclass(frozen=True, slots=True)
class Kept:
    """A secret as it may be shown: everything but its value."""

    secret: Secret
    newest: SecretVersion
    versions: int
    used_by: tuple[str, ...]
    """Apps whose newest release takes it, with the version that it takes: `shop (version 2)`."""


def list_secrets(team: Team, app: App | None = None) -> list[Kept]:
    """Those of the app, or the team's own, by name."""
    rows = list(Secret.objects.filter(team=team, app=app).annotate(count=Count("versions")))
    newest = {one.secret_id: one for one in _newest_versions(rows)}
    uses = _uses(team, {row.id for row in rows})
    return [Kept(row, newest[row.id], row.count, tuple(uses.get(row.id, ()))) for row in rows]


def find_secret(team: Team, app: App | None, name: str) -> Kept:
    found = next((one for one in list_secrets(team, app) if one.secret.name == name), None)
    if found is None:
        raise NotFound(_("There is no such secret."))
    return found


@transaction.atomic
def store_secret(access: Access, app: App | None, *, name: str, value: str) -> Kept:
    """A new secret, or the next version of one. What runs keeps the version it has, until its app's next release."""
    _require(access, app)
    _check(name, value)
    version = _store(access, app, name, value.encode())
    return find_secret(access.team, app, version.secret.name)


@transaction.atomic
def delete_secret(access: Access, app: App | None, name: str) -> None:
    """Delete all its versions. Refused while the newest release of an app takes it."""
    _require(access, app)
    found = find_secret(access.team, app, name)
    if found.used_by:
        message = _("%(apps)s takes this secret. Deploy without it first.")
        raise Conflict(message % {"apps": ", ".join(found.used_by)}, code="secret_in_use")
    number = found.secret.versions.aggregate(most=Max("number"))["most"] or 0
    found.secret.delete()
    data = audit.change({"version": number}, None, secret=name)
    _tell(access, app, "secret.deleted", f"Secret {name} deleted", data)


def take_secrets(
    access: Access,
    app: App,
    project: Project,
    variables: Mapping[str, str],
    files: Mapping[str, str],
) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """For a release: the version of each secret that its services take, by top-level name; and the variables and files
    without those that are sources of secrets, for what is kept of a release is kept in clear.

    In the caller's transaction, the app's row being the caller's. A source that did not come along is taken as it was
    stored before. Raises `Unprocessable` for a secret that is nowhere.
    """
    used = {name for service in project.services.values() for name in service.secret_names}
    from_variables = {one.key for one in project.secrets.values() if one.kind == "environment"}
    from_files = {_plain(one.key) for one in project.secrets.values() if one.kind == "file"}
    taken: dict[str, str] = {}
    missing: list[str] = []
    for name, source in project.secrets.items():
        given = _given(source.kind, source.key, variables, files)
        if given is not None:
            _check(source.name, given)
            taken[name] = _store(access, app, source.name, given.encode()).id
        elif version := _newest(app, source.name):
            taken[name] = version.id
        elif name in used:
            missing.append(source.name)
    if missing:
        text = _(
            "The secret %(names)s is not stored. Store it for the app or the team under this name, or let the file "
            "name where its value comes from (environment, file) and give that along."
        ) % {"names": ", ".join(sorted(missing))}
        raise Unprocessable(text, code="secret_missing", fields={"compose": [text]})
    return (
        {name: version for name, version in taken.items() if name in used},
        {name: text for name, text in variables.items() if name not in from_variables},
        {path: text for path, text in files.items() if _plain(path) not in from_files},
    )


def check_versions(release: Release) -> None:
    """For a rollback: the versions that the old release took are still there. Raises `Conflict`."""
    wanted = set(release.secrets.values())
    there = set(SecretVersion.objects.filter(pk__in=wanted).values_list("pk", flat=True))
    if lacking := [name for name, version in release.secrets.items() if version not in there]:
        message = _("Release %(number)s takes the secret %(names)s, which was deleted since.")
        values = {"number": release.number, "names": ", ".join(sorted(lacking))}
        raise Conflict(message % values, code="secret_missing")


def open_version(version: SecretVersion) -> bytes:
    """Its value. Raises `envelope.CannotOpen`."""
    return envelope.open_sealed(bytes(version.sealed), *_binding(version.secret, version.number))


def values_of(release: Release) -> list[str]:
    """Of the secrets that it takes, those that can be opened, as text: to take them out of what is shown."""
    found = []
    for version in SecretVersion.objects.filter(pk__in=release.secrets.values()).select_related("secret"):
        with suppress(envelope.CannotOpen):
            found.append(open_version(version).decode(errors="ignore"))
    return found


def rewrapped(version: SecretVersion) -> bytes | None:
    """Its envelope under the newest master key; None when it is. Raises `envelope.CannotOpen`."""
    return envelope.rewrap(bytes(version.sealed), *_binding(version.secret, version.number))


def _binding(secret: Secret, number: int) -> tuple[str, ...]:
    return "secret", secret.team_id, secret.app_id or "", secret.name, str(number)


def _require(access: Access, app: App | None) -> None:
    """Developers keep their apps' secrets; the team's own, which every app can take, are the owners'."""
    if app is None:
        access.require_owner()
    else:
        access.require_write(app)


def _check(name: str, value: str) -> None:
    if not _NAME.fullmatch(name):
        message = _("Use letters, digits, dots, dashes and underscores, at most 63 of them.")
        raise BerthError(message, fields={"name": [message]})
    if not value or len(value.encode(errors="replace")) > MOST_BYTES:
        message = _("A value has from 1 byte to %(most)d KiB.") % {"most": MOST_BYTES // 1024}
        raise BerthError(message, fields={"value": [message]})
    if any("\ud800" <= character <= "\udfff" for character in value):
        message = _("The value is not valid text.")
        raise BerthError(message, fields={"value": [message]})


def _store(access: Access, app: App | None, name: str, value: bytes) -> SecretVersion:
    """The newest version if it has this very value, else the next one."""
    secret = _locked(access.team, app, name)
    number = secret.versions.aggregate(most=Max("number"))["most"] or 0
    last = secret.versions.filter(number=number).select_related("secret").first()
    if last is not None and _same(last, value):
        return last
    version = SecretVersion.objects.create(
        secret=secret,
        number=number + 1,
        sealed=envelope.seal(value, *_binding(secret, number + 1)),
        created_by=access.actor,
    )
    what = f"Version {number + 1} of secret {name} stored" if number else f"Secret {name} stored"
    data = audit.change({"version": number} if number else None, {"version": number + 1}, secret=name)
    _tell(access, app, "secret.stored", what, data)
    return version


def _same(version: SecretVersion, value: bytes) -> bool:
    try:
        return open_version(version) == value
    except BerthError:
        return False


def _locked(team: Team, app: App | None, name: str) -> Secret:
    """Its row, made if need be, and locked: two at once get versions one after the other."""
    known = Secret.objects.filter(team=team, app=app)
    if not known.filter(name=name).exists() and known.count() >= MOST_SECRETS:
        message = _("There are %(most)d secrets already. Delete one that nothing takes.")
        raise Conflict(message % {"most": MOST_SECRETS}, code="too_many_secrets")
    made, _new = Secret.objects.get_or_create(team=team, app=app, name=name)
    return Secret.objects.select_for_update(no_key=True).get(pk=made.pk)


def _newest(app: App, name: str) -> SecretVersion | None:
    """Of the app's own secret of this name, or else of its team's."""
    found = SecretVersion.objects.filter(secret__team=app.team_id, secret__name=name)
    own = found.filter(secret__app=app).order_by("-number").first()
    return own or found.filter(secret__app=None).order_by("-number").first()


def _newest_versions(secrets: Iterable[Secret]) -> list[SecretVersion]:
    latest = Secret.objects.filter(pk__in=[each.id for each in secrets]).annotate(
        most=Max("versions__number")
    )
    wanted = Q(pk="")
    for each in latest:
        wanted |= Q(secret=each, number=each.most)
    return list(SecretVersion.objects.filter(wanted).defer("sealed"))


def _uses(team: Team, secrets: set[str]) -> dict[str, list[str]]:
    """By secret: the apps whose newest release takes it."""
    releases = Release.objects.filter(app__team=team, app__deleting=False).exclude(secrets={})
    newest: dict[str, tuple[int, str, dict[str, str]]] = {}
    for app, name, number, taken in releases.values_list("app_id", "app__name", "number", "secrets"):
        newest[app] = max(newest.get(app, (0, "", {})), (number, name, taken), key=lambda one: one[0])
    last = dict(
        App.objects.filter(pk__in=newest).annotate(most=Max("releases__number")).values_list("pk", "most")
    )
    taken_by = [(name, taken) for app, (number, name, taken) in newest.items() if last[app] == number]
    ids = {version for _app, taken in taken_by for version in taken.values()}
    versions = {
        one.id: (one.secret_id, one.number)
        for one in SecretVersion.objects.filter(pk__in=ids, secret__in=secrets).defer("sealed")
    }
    uses: dict[str, list[str]] = {}
    for name, taken in sorted(taken_by, key=lambda one: one[0]):
        for version in taken.values():
            if version in versions:
                secret, number = versions[version]
                uses.setdefault(secret, []).append(
                    _("%(app)s (version %(number)d)") % {"app": name, "number": number}
                )
    return uses


def _given(kind: str, key: str, variables: Mapping[str, str], files: Mapping[str, str]) -> str | None:
    if kind == "environment":
        return variables.get(key)
    if kind == "file":
        return {_plain(path): text for path, text in files.items()}.get(_plain(key))
    return None


def _plain(path: str) -> str:
    return posixpath.normpath(path)


def _tell(access: Access, app: App | None, kind: str, text: str, data: Mapping[str, Any]) -> None:
    events.record(kind, text, actor=access.actor, team=access.team.id, app=app.id if app else "", data=data)
