"""Refuses a lock file with an address in it, or with a package that is not pinned by version and hash."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from ops.home import ROOT

LOCKS = ("requirements.txt", "requirements-dev.txt")
PINNED = re.compile(r"^[A-Za-z0-9._-]+(\[[a-z,-]+\])?==\S+ .*--hash=sha256:[0-9a-f]{64}")
ADDRESS = re.compile(r"https?:|--(extra-)?index-url|--find-links|file:", re.IGNORECASE)


def findings(name: str, text: str) -> list[str]:
    """What is wrong with a lock file, a line each."""
    found = [f"{name}: an address: {line.strip()}" for line in text.splitlines() if ADDRESS.search(line)]
    joined = re.sub(r"\\\n\s*", "", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE))
    found += [
        f"{name}: not pinned with a hash: {line}"
        for line in joined.splitlines()
        if line.strip() and not ADDRESS.search(line) and not PINNED.match(line)
    ]
    return found


def main() -> int:
    found = [line for name in LOCKS for line in findings(name, (Path(ROOT) / name).read_text())]
    print("\n".join(found) or "every package is pinned by version and hash")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
