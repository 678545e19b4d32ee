"""A backup of the panel: one tar file, readable by its owner alone, with all that cannot be made anew.

In it: `manifest.json`, `database`, `secret-key`, and where the console has them its `master-key` file (stored
credentials and secrets are sealed with it), its certificate authority (`ca/`, every host trusts exactly that one) and,
if wanted, logs of ended containers.
"""

from __future__ import annotations

import io
import os
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

import msgspec
from django.conf import settings
from django.db import connection
from django.db.migrations.loader import MigrationLoader

from console.common import dumps
from console.common.errors import BerthError

FORMAT = 1
MANIFEST, DATABASE, SECRET_KEY, MASTER_KEY, AUTHORITY, LOGS = (
    "manifest.json",
    "database",
    "secret-key",
    "master-key",
    "ca",
    "container-logs",
)


class BackupUnusable(BerthError):
    code = "backup_unusable"


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    format: int = FORMAT
    at: datetime
    database: str
    """`sqlite` or `postgresql`."""
    migrations: list[tuple[str, str]]
    """Those that were applied: a console that lacks one of them is older than the backup."""


@dataclass(frozen=True, slots=True)
class Restored:
    manifest: Manifest
    secret_key_differs: bool
    """The present BERTH_SECRET_KEY is another one and comes from the environment, so it was left alone."""


def back_up(target: Path, *, logs: bool = False) -> Manifest:
    """Write a backup while the console runs. `target` appears when it is whole. Raises `DumpFailed`, `OSError`."""
    target = target.absolute()
    manifest = Manifest(at=datetime.now(UTC), database=dumps.kind(), migrations=sorted(_applied()))
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".berth-backup-") as folder:
        copy, whole = Path(folder, DATABASE), Path(folder, "whole")
        dumps.dump(copy)
        with tarfile.open(whole, "w:gz", compresslevel=3) as archive:
            _add_text(archive, MANIFEST, msgspec.json.encode(manifest))
            _add_text(archive, SECRET_KEY, settings.SECRET_KEY.encode())
            if settings.MASTER_KEY_FILE:
                _add_text(archive, MASTER_KEY, Path(settings.MASTER_KEY_FILE).read_bytes())
            archive.add(copy, DATABASE)
            for name, path in _folders(logs):
                if path.is_dir():
                    archive.add(path, name)
        whole.chmod(0o600)
        with whole.open("rb") as done:
            os.fsync(done.fileno())
        os.replace(whole, target)
    return manifest


def restore(source: Path) -> Restored:
    """Put a backup in the place of what is there. The console's processes must be stopped, and the caller brings the
    database up to date afterwards. Raises `BackupUnusable` before anything was changed."""
    with _unpacked(source) as folder:
        manifest = _manifest(folder)
        _check(manifest, folder)
        dumps.load(folder / DATABASE)
        for name, path in _folders(logs=True):
            if (folder / name).is_dir():
                _put(folder / name, path)
        if (folder / MASTER_KEY).is_file():
            _put_master_keys((folder / MASTER_KEY).read_text())
        return Restored(manifest, _put_secret_key((folder / SECRET_KEY).read_text()))


def _folders(logs: bool) -> list[tuple[str, Path]]:
    there = [(AUTHORITY, settings.BERTH_HOME / AUTHORITY)]
    return [*there, (LOGS, settings.BERTH_LOGS_DIR)] if logs else there


def _applied() -> set[tuple[str, str]]:
    return set(MigrationLoader(connection).applied_migrations)


def _add_text(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), 0o600
    archive.addfile(entry, io.BytesIO(content))


@contextmanager
def _unpacked(source: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=settings.BERTH_HOME, prefix=".berth-restore-") as folder:
        try:
            with tarfile.open(source) as archive:
                # The filter refuses links, devices and paths that lead out of the folder.
                archive.extractall(folder, filter="data")
        except (tarfile.TarError, EOFError, OSError) as error:
            raise BackupUnusable(f"{source} cannot be read as a backup: {error}") from error
        yield Path(folder)


def _manifest(folder: Path) -> Manifest:
    try:
        return msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    except (OSError, msgspec.MsgspecError) as error:
        raise BackupUnusable(f"This is no backup of Berth: {error}") from error


def _check(manifest: Manifest, folder: Path) -> None:
    if manifest.format != FORMAT:
        raise BackupUnusable(f"The backup is of format {manifest.format}; this console reads {FORMAT}.")
    if manifest.database != dumps.kind():
        raise BackupUnusable(
            f"The backup is of {manifest.database}, but DATABASE_URL names {dumps.kind()}: they must be of one kind."
        )
    known = set(MigrationLoader(None).disk_migrations)
    if newer := sorted({tuple(each) for each in manifest.migrations} - known):
        names = ", ".join(f"{app} {name}" for app, name in newer[:3])
        raise BackupUnusable(
            f"The backup was made by a newer Berth (it has {names}). Install that one first."
        )
    for name in (DATABASE, SECRET_KEY):
        if not (folder / name).is_file():
            raise BackupUnusable(f"The backup lacks its {name}.")


def _put(source: Path, target: Path) -> None:
    """File by file: what is there and not in the backup stays."""
    for path in sorted(source.rglob("*")):
        if path.is_file():
            place = target / PurePosixPath(path.relative_to(source))
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fresh = place.with_name(f".{place.name}.restoring")
            fresh.touch(mode=0o600)
            fresh.write_bytes(path.read_bytes())
            fresh.chmod(path.stat().st_mode & 0o644)
            os.replace(fresh, place)


def _put_secret_key(key: str) -> bool:
    """Into the console's own file; one that the environment gives is the operator's to change."""
    if key == settings.SECRET_KEY:
        return False
    path = settings.BERTH_HOME / SECRET_KEY
    if not (path.exists() and path.read_text().strip() == settings.SECRET_KEY):
        return True
    path.write_text(key + "\n")
    return False


def _put_master_keys(text: str) -> None:
    """Those of the backup beside the present ones, which stay the first: what is sealed now needs no old one."""
    path = Path(settings.MASTER_KEY_FILE or settings.BERTH_HOME / MASTER_KEY)
    path.touch(mode=0o600)
    lines = [*path.read_text().splitlines(), *text.splitlines()]
    fresh = path.with_name(f".{path.name}.restoring")
    fresh.touch(mode=0o600)
    fresh.write_text("".join(f"{line}\n" for line in dict.fromkeys(lines)))
    fresh.chmod(path.stat().st_mode & 0o777)
    os.replace(fresh, path)
