from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from django.db.models.functions import Now

from console.cluster.verdicts import check_all
from console.common import audit, origin
from console.common.backups import restore
from console.common.errors import BerthError
from console.controller.models import Lease


class Command(BaseCommand):
    help = "Put a backup in the place of this console's database, keys and authority. Stop the console first."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--force", action="store_true", help="though a controller seems to lead")

    def handle(self, *args: Any, **options: Any) -> None:
        if _somebody_leads() and not options["force"]:
            raise CommandError(
                "A controller leads, or did a few seconds ago: stop web, controller and worker first. "
                "(--force restores all the same.)"
            )
        try:
            done = restore(options["file"])
        except (BerthError, OSError) as error:
            raise CommandError(f"Not restored: {error}") from error
        call_command("migrate", interactive=False, verbosity=0)
        check_all()
        audit.write(
            "backup.restored",
            f"Restored as of {done.manifest.at:%Y-%m-%d %H:%M:%S} UTC",
            actor=origin.operator(),
            data={"file": str(options["file"].absolute()), "force": options["force"]},
        )
        self.stdout.write(f"Restored as of {done.manifest.at:%Y-%m-%d %H:%M:%S} UTC. Start the console now.")
        if done.secret_key_differs:
            self.stdout.write(
                "BERTH_SECRET_KEY is not the one of the backup: stored registry passwords cannot be opened with it. "
                "Set it to the line in the backup's file secret-key."
            )


def _somebody_leads() -> bool:
    try:
        return Lease.objects.filter(expires_at__gt=Now()).exists()
    except DatabaseError:
        # A database without tables: there is nothing to overwrite.
        return False
