from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from console.common import audit


class Command(BaseCommand):
    help = "Recompute the audit's chain; names the first broken row and fails when there is one."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--file", type=Path, help="an export of the whole installation (JSON lines)")
        parser.add_argument("--anchor", metavar="SEQ:HASH", help="a row as it was noted earlier")

    def handle(self, *args: Any, **options: Any) -> None:
        anchor = _anchor(options["anchor"])
        if options["file"]:
            verdict = audit.verify_rows(_rows(options["file"]), anchor)
        else:
            audit.seal()
            verdict = audit.verify(anchor)
        if verdict.broken:
            raise CommandError(f"The chain is broken at {verdict.broken}.")
        self.stdout.write(f"{verdict.rows} rows, unbroken. Anchor: {verdict.rows}:{verdict.head}")


def _anchor(text: str | None) -> tuple[int, str] | None:
    if not text:
        return None
    number, colon, head = text.partition(":")
    if not colon or not number.isdecimal():
        raise CommandError("An anchor is SEQ:HASH, as this command prints it.")
    return int(number), head


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                yield json.loads(line)
            except ValueError as error:
                raise CommandError(f"Line {number} is not JSON.") from error
