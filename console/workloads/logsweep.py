"""Which stored logs go: those past their team's retention, those beyond its share, and those of nobody."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from console.accounts.models import Team
from console.common import events
from console.workloads.archive import log_storage
from console.workloads.models import App, Container
from console.workloads.storage import LogStorage

logger = logging.getLogger(__name__)

MIB = 1024 * 1024
_DOWN_TO = 0.9
"""Of a team's share, once it is used up: so that it does not bite in every sweep."""
_LEFTOVER = timedelta(hours=1)
"""After this a file that is still being written is not."""


@dataclass(frozen=True, slots=True, order=True)
class _File:
    stored_at: datetime
    name: str
    size: int


def sweep_stored_logs() -> dict[str, int]:
    """Answers with the number of files that went, by why."""
    storage, now = log_storage(), timezone.now()
    gone = {"old": 0, "excess": 0, "nobodys": 0}
    teams = {team.id: team for team in Team.objects.all()}
    for folder in _folders(storage, ""):
        team = teams.get(folder)
        if team is None:
            gone["nobodys"] += _delete(storage, _files(storage, folder))
            continue
        files = list(_team_files(storage, team, gone))
        before = now - timedelta(days=team.log_retention_days)
        gone["old"] += _delete(storage, (each for each in files if each.stored_at <= before))
        left = [each for each in files if each.stored_at > before]
        gone["excess"] += _hold_to_share(storage, team, left)
    return gone


def _team_files(storage: LogStorage, team: Team, gone: dict[str, int]) -> Iterator[_File]:
    """Of its apps that exist, of containers that have a record."""
    apps = set(App.objects.filter(team=team).values_list("id", flat=True))
    for app in _folders(storage, team.id):
        path = f"{team.id}/{app}"
        if app not in apps:
            gone["nobodys"] += _delete(storage, _files(storage, path))
            continue
        known = set(Container.objects.filter(app=app).values_list("id", flat=True))
        for container in _folders(storage, path):
            found = _files(storage, f"{path}/{container}")
            if container in known:
                yield from found
            else:
                gone["nobodys"] += _delete(storage, found)


def _hold_to_share(storage: LogStorage, team: Team, files: list[_File]) -> int:
    share = int(settings.TEAM_LOGS_MIB * MIB)
    total = sum(each.size for each in files)
    if total <= share:
        return 0
    excess: list[_File] = []
    for each in sorted(files):
        if total <= share * _DOWN_TO:
            break
        excess.append(each)
        total -= each.size
    size = sum(each.size for each in excess)
    count = _delete(storage, excess)
    events.record(
        "team.logs",
        f"{size / MIB:,.1f} MiB of the oldest logs of ended containers were deleted: a team's share is"
        f" {share / MIB:,.0f} MiB",
        actor="retention",
        team=team.id,
        warning=True,
        data={"files": count, "bytes": size},
    )
    return count


def _folders(storage: LogStorage, folder: str) -> list[str]:
    try:
        return sorted(storage.listdir(folder)[0])
    except FileNotFoundError:
        return []


def _files(storage: LogStorage, folder: str) -> Iterator[_File]:
    """All below a folder. One that goes meanwhile is not among them."""
    for inner in _folders(storage, folder):
        yield from _files(storage, f"{folder}/{inner}")
    try:
        names = storage.listdir(folder)[1]
    except FileNotFoundError:
        return
    for name in names:
        path = f"{folder}/{name}"
        try:
            found = _File(storage.get_modified_time(path), path, storage.size(path))
        except FileNotFoundError:
            continue
        if not name.startswith(".") or found.stored_at < timezone.now() - _LEFTOVER:
            yield found
    if not names:
        storage.prune(folder)


def _delete(storage: LogStorage, files: Iterator[_File] | list[_File]) -> int:
    count, folders = 0, set()
    for each in files:
        try:
            storage.delete(each.name)
        except OSError as error:
            logger.error("The stored log %s cannot be deleted: %s", each.name, error)
            continue
        count += 1
        folders.add(each.name.rpartition("/")[0])
    for folder in folders:
        storage.prune(folder)
    return count
