"""`make check`: everything that can be said about the code without running its tests."""

from __future__ import annotations

import sys
from pathlib import Path

from ops import steps
from ops.home import ROOT

BIN = Path(sys.executable).parent
SCANNED = ("berth", "console", "nodeagent", "scheduler", "lab", "ops")


def gates() -> list[tuple[str, list[str]]]:
    """Name and command of each, the quick ones first."""
    python = sys.executable
    packages = [name for name in SCANNED if (ROOT / name).exists()]
    return [
        ("format", [python, "-m", "ruff", "format", "--check", "."]),
        ("lint", [python, "-m", "ruff", "check", "."]),
        ("locks", [python, "-m", "ops.locks_check"]),
        ("security", [python, "-m", "ops.security_check"]),
        # mark_safe (B308, B703) is the check's above, which asks for a reason.
        ("bandit", [python, "-m", "bandit", "-q", "-ll", "-s", "B308,B703", "-r", *packages]),
        ("import contracts", [str(BIN / "lint-imports")]),
        ("templates: format", [python, "-m", "djlint", "--check", "--quiet", "templates"]),
        ("templates: lint", [python, "-m", "djlint", "--lint", "--quiet", "templates"]),
        ("missing migrations", [python, "manage.py", "makemigrations", "--check", "--dry-run"]),
        ("safe migrations", [python, "-m", "ops.migrations_check"]),
        ("translations", [python, "-m", "ops.translations_check"]),
        ("types", [python, "-m", "mypy"]),
    ]


def main() -> int:
    return steps.finish("make check", [name for name, argv in gates() if not steps.run(name, argv)])


if __name__ == "__main__":
    sys.exit(main())
