from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from console.common import audit


class Command(BaseCommand):
    help = "Print the audit as JSON lines, in the chain's order."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--after", type=int, default=0, metavar="SEQ", help="only what came after this row"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        audit.seal()
        after = options["after"]
        while rows := list(audit.export(after=after)):
            for row in rows:
                self.stdout.write(json.dumps(row, ensure_ascii=False))
            after = rows[-1]["seq"]
