"""Logs of ended containers, in the segments that their agents sent before they removed them.

A segment is one file, `team/app/container/NUMBER-FIRST-LAST-LINES-CUT[-end].gz`, named by the database's ids; what
is in it can be told from its name.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import cast

from django.core.files.base import ContentFile
from django.core.files.storage import storages

from console.workloads.models import Container
from console.workloads.storage import LogStorage
from nodeagent import protocol

logger = logging.getLogger(__name__)

_NAME = re.compile(r"(\d{6})-(\d{8}T\d{6}\.\d{9}Z)-(\d{8}T\d{6}\.\d{9}Z)-(\d+)-(\d+)(-end)?\.gz")


@dataclass(frozen=True, slots=True)
class Segment:
    """A stored segment. `first` and `last` are timestamps that sort as text; `cut`: lines that came after it and
    were too many to be kept."""

    folder: str
    number: int
    first: str
    last: str
    lines: int
    cut: int = 0
    end: bool = False

    @property
    def path(self) -> str:
        first, last = _compact(self.first), _compact(self.last)
        end = "-end" if self.end else ""
        return f"{self.folder}/{self.number:06}-{first}-{last}-{self.lines}-{self.cut}{end}.gz"


def log_storage() -> LogStorage:
    return cast(LogStorage, storages["logs"])


def folder_of(container: Container) -> str:
    return f"{container.app.team_id}/{container.app_id}/{container.id}"


def segments_of(container: Container) -> list[Segment]:
    """What is stored of it, by number."""
    folder = folder_of(container)
    try:
        names = log_storage().listdir(folder)[1]
    except FileNotFoundError:
        return []
    found = (parse(folder, name) for name in names)
    newest = {each.number: each for each in sorted(filter(None, found), key=lambda each: each.last)}
    return [newest[number] for number in sorted(newest)]


def parse(folder: str, name: str) -> Segment | None:
    """The segment that a file of this name holds; None for any other file."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    number, first, last, lines, cut, end = match.groups()
    return Segment(folder, int(number), _full(first), _full(last), int(lines), int(cut), bool(end))


def store(node_id: str, sent: protocol.LogSegment) -> protocol.LogStored:
    """Keep a segment of a container of this node's. The same one again replaces it."""
    container = (
        Container.objects.filter(node=node_id, slot=sent.slot, generation=sent.generation)
        .select_related("app__team")
        .first()
    )
    if container is None or container.app.deleting or not container.app.team.log_retention_days:
        return answer(sent, "unwanted")
    try:
        _write(container, sent)
    except OSError as error:
        logger.warning("The log of %s cannot be stored: %s", container.name, error)
        return answer(sent, "failed", f"the console cannot store it: {error.strerror or error}")
    return answer(sent, "stored")


def _write(container: Container, sent: protocol.LogSegment) -> None:
    storage, folder = log_storage(), folder_of(container)
    if storage.room() < len(sent.data):
        raise OSError(0, "its disk is nearly full")
    new = Segment(folder, sent.number, sent.first, sent.last, sent.lines, sent.cut, sent.end)
    storage.save(new.path, ContentFile(sent.data))
    for name in storage.listdir(folder)[1]:
        old = parse(folder, name)
        if old is not None and old.number == new.number and old != new:
            storage.delete(old.path)


def answer(sent: protocol.LogSegment, outcome: protocol.Outcome, error: str = "") -> protocol.LogStored:
    """What the agent is told of a segment."""
    return protocol.LogStored(
        slot=sent.slot, generation=sent.generation, number=sent.number, outcome=outcome, error=error
    )


def _compact(stamp: str) -> str:
    """2026-01-02T03:04:05.123456789Z as 20260102T030405.123456789Z."""
    return stamp.replace("-", "").replace(":", "")


def _full(compact: str) -> str:
    date, time = compact.split("T")
    return f"{date[:4]}-{date[4:6]}-{date[6:]}T{time[:2]}:{time[2:4]}:{time[4:]}"
