"""`manage.py rotate_master_key`: a new master key, and every data key under it. Nothing stops meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from console.accounts import envelope, factors, keyring
from console.common import audit, origin
from console.common.errors import BerthError
from console.images import services as images
from console.images.models import RegistryCredential
from console.webhooks import secretbox
from console.webhooks.models import WebhookSecret
from console.workloads import secretstore
from console.workloads.models import SecretVersion


class _Kind(NamedTuple):
    """A table of sealed values: its column, and what wraps one anew."""

    model: Any
    column: str
    rewrapped: Callable[[Any], Any]
    sealed: Callable[[Any], Iterable[bytes]] = lambda value: [bytes(value)]
    """The envelopes in a value of the column."""


KINDS = (
    _Kind(Authenticator, "data", factors.rewrapped, factors.sealed_in),
    _Kind(SecretVersion, "sealed", secretstore.rewrapped),
    _Kind(RegistryCredential, "sealed_password", images.rewrapped),
    _Kind(WebhookSecret, "sealed", secretbox.rewrapped),
)


class Command(BaseCommand):
    help = (
        "Put a new key first in the master key file and wrap all data keys with it; the sealed values stay as they "
        "are. Processes read the file again by themselves. The old keys stay in it, for backups made before, until "
        "--drop-old."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--rewrap-only", action="store_true", help="no new key: where the file was changed by hand"
        )
        parser.add_argument(
            "--drop-old", action="store_true", help="take keys that nothing needs any more out of the file"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.MASTER_KEY_FILE:
            raise CommandError("Set BERTH_MASTER_KEY_FILE: there is no file of master keys to rotate.")
        path = Path(settings.MASTER_KEY_FILE)
        try:
            before = keyring.keyring().newest
            if not options["rewrap_only"]:
                self.stdout.write(f"new master key {keyring.add_key(path)}")
            done, needed = rewrap()
            ring = keyring.keyring()
        except (BerthError, OSError) as error:
            raise CommandError(f"{error} Nothing that was done is lost; run the command again.") from error
        self.stdout.write(f"{done} data keys are under {ring.newest} now")
        unused = set(ring.keys) - needed - {ring.newest, keyring.DERIVED}
        dropped = sorted(unused) if options["drop_old"] else []
        audit.write(
            "keys.rotated",
            f"{done} data keys put under the master key {ring.newest}",
            actor=origin.operator(),
            data=audit.change({"newest": before}, {"newest": ring.newest}, dropped=dropped),
        )
        if options["drop_old"]:
            keyring.drop_keys(path, unused)
            self.stdout.write(f"{len(unused)} old keys dropped")
        elif unused:
            self.stdout.write(
                f"{len(unused)} old keys are kept for backups made before; --drop-old drops them"
            )


def rewrap() -> tuple[int, set[str]]:
    """Every data key under the newest master key, row by row. How many were not, and which keys are still needed.

    Whoever sealed with the old one while this began is found by the next pass: there is one after each that found any.
    """
    total = 0
    while done := sum(_rewrap(kind) for kind in KINDS):
        total += done
    sealed = (
        envelope.key_of(each)
        for kind in KINDS
        for value in kind.model.objects.values_list(kind.column, flat=True).iterator()
        for each in kind.sealed(value)
    )
    return total, set(sealed)


def _rewrap(kind: _Kind) -> int:
    done = 0
    for pk in list(kind.model.objects.values_list("pk", flat=True)):
        with transaction.atomic():
            row = kind.model.objects.select_for_update(of=("self",), no_key=True).filter(pk=pk).first()
            fresh = kind.rewrapped(row) if row else None
            if fresh is not None:
                setattr(row, kind.column, fresh)
                row.save(update_fields=[kind.column])
                done += 1
    return done
