from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from console.common import audit, origin
from console.common.backups import back_up
from console.common.errors import BerthError


class Command(BaseCommand):
    help = "Write one file from which the panel can be restored. The console may run meanwhile."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--logs", action="store_true", help="with the logs of ended containers")

    def handle(self, *args: Any, **options: Any) -> None:
        target: Path = options["file"]
        # Before it is read: whoever has the file has all that the console keeps.
        audit.write(
            "backup.made",
            f"Backup to {target} asked for",
            actor=origin.operator(),
            data={"file": str(target.absolute()), "logs": options["logs"]},
        )
        try:
            manifest = back_up(target, logs=options["logs"])
        except (BerthError, OSError) as error:
            raise CommandError(f"No backup was written: {error}") from error
        size = target.stat().st_size
        self.stdout.write(
            f"{target}: {manifest.database}, {size} bytes. It holds the secret key: keep it safe."
        )
