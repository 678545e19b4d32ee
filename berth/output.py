"""Two ways to show the same: tables for people, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from berth.errors import CliError

WIDE = 200
"""Columns of a table that goes to no terminal: `grep` wants a row in a line."""

out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else WIDE)
err = Console(stderr=True, highlight=False, soft_wrap=True)

TONES = {
    **dict.fromkeys(("running", "ready", "healthy", "succeeded", "open", "active", "delivered"), "green"),
    **dict.fromkeys(("failed", "lost", "down", "unhealthy", "broken", "revoked", "disabled"), "red"),
    **dict.fromkeys(
        ("degraded", "suspect", "draining", "restarting", "paused", "rolled_back", "pending", "failing"),
        "yellow",
    ),
}
UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def show_json(value: Any) -> None:
    """One JSON document on standard output, and nothing else."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def show_json_line(value: Any) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def show_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], nothing: str = "") -> None:
    """Rows under headings; `nothing` says what it means that there are none. No text is taken for markup."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name, overflow="fold")
    count = 0
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else escape(str(cell)) for cell in row))
        count += 1
    if count:
        out.print(table)
    elif nothing:
        err.print(escape(nothing))


def show_error(error: CliError) -> None:
    err.print(Text("Error: ", "bold red") + Text(error.message))
    for line in error.lines:
        err.print(Text(f"  {line}"))


def state(word: str) -> Text:
    """A state's word in its tone."""
    return Text(word.replace("_", " "), TONES.get(word, ""))


def age(at: str | None, now: datetime | None = None) -> str:
    """How long ago a moment of the API was: 5s, 3m, 2h, 4d."""
    if not at:
        return "-"
    seconds = ((now or datetime.now(UTC)) - datetime.fromisoformat(at)).total_seconds()
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds // size:.0f}{unit}"
    return f"{max(seconds, 0):.0f}s"


def size(count: float) -> str:
    """Bytes, to be read: 1.5 GiB."""
    unit = 0
    while count >= 1024 and unit < len(UNITS) - 1:
        count, unit = count / 1024, unit + 1
    return f"{count:.0f} {UNITS[unit]}" if count >= 10 or unit == 0 else f"{count:.1f} {UNITS[unit]}"
