"""Refuses a text that is tagged for translation but not collected in locale/ (`make messages` does that)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import polib

from ops.home import ROOT

SOURCES = ("console", "templates", "locale", "manage.py")


def collect(root: Path, scratch: Path) -> None:
    """Runs makemessages on a copy, so that the check changes nothing."""
    for name in SOURCES:
        source = root / name
        if source.is_dir():
            shutil.copytree(source, scratch / name, ignore=shutil.ignore_patterns("__pycache__", "*.mo"))
        elif source.exists():
            shutil.copy(source, scratch / name)
    argv = [sys.executable, "manage.py", "makemessages", "--all", "--no-obsolete", "--verbosity", "0"]
    # What is imported but has no texts is found in its own place.
    subprocess.run(argv, cwd=scratch, check=True, env={**os.environ, "PYTHONPATH": str(root)})


def findings(committed: Path, fresh: Path, name: str) -> list[str]:
    """What a committed .po file lacks, compared with one collected just now."""
    known = {(entry.msgctxt, entry.msgid): entry for entry in polib.pofile(str(committed))}
    found = [
        f"{name}: not collected: {entry.msgid!r}"
        for entry in polib.pofile(str(fresh))
        if (entry.msgctxt, entry.msgid) not in known
    ]
    return found + [f"{name}: fuzzy: {entry.msgid!r}" for entry in known.values() if entry.fuzzy]


def main() -> int:
    files = sorted(ROOT.glob("locale/*/LC_MESSAGES/*.po"))
    found: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        if files:
            collect(ROOT, Path(scratch))
        for path in files:
            name = path.relative_to(ROOT)
            if subprocess.run(["msgfmt", "--check", "-o", "/dev/null", str(path)], check=False).returncode:
                found.append(f"{name}: msgfmt refuses it")
            found += findings(path, Path(scratch) / name, str(name))
            left = len(polib.pofile(str(path)).untranslated_entries())
            print(f"{name}: {left} not translated yet" if left else f"{name}: all translated")
    print("\n".join(found) or f"{len(files)} locale(s) checked")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
