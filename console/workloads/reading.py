"""Reading what may be secret: for whoever may, and never without a row in the audit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from console.accounts.access import Access
from console.accounts.enums import Verb
from console.common import audit
from console.workloads.models import App, Release


@dataclass(frozen=True, slots=True)
class Texts:
    """A release's variables and files by name; None for a value that may not be read."""

    variables: Mapping[str, str | None]
    files: Mapping[str, str | None]


def read_texts(access: Access, release: Release) -> Texts:
    """The release's own, as far as whoever asks may read them."""
    app = release.app
    if not access.may(Verb.READ_SECRETS, app):
        return Texts(dict.fromkeys(release.variables), dict.fromkeys(release.files))
    if release.variables or release.files:
        audit.write(
            "secret.read",
            f"Variables and files of release {release.number} of {app.name} read",
            actor=access.actor,
            team=app.team_id,
            app=app.pk,
            data={"variables": sorted(release.variables), "files": sorted(release.files)},
        )
    return Texts(release.variables, release.files)


def note_tried(access: Access, app: App, paths: Sequence[str]) -> None:
    """A change that was tried showed values that may be secret, at these paths of the model."""
    audit.write(
        "secret.read",
        f"Values of {app.name} read by a dry run",
        actor=access.actor,
        team=app.team_id,
        app=app.pk,
        data={"paths": list(paths)},
    )
