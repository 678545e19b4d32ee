"""Runs several management commands in one process: starting Django is what takes the time.

`python -m lab.manage '[["migrate", "--no-input"], ["bootstrap"]]'` prints what the last one prints.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence

from lab.programs import ROOT


class ManageError(RuntimeError):
    """A command failed; the text is the end of what it said."""


def manage(env: Mapping[str, str], *commands: Sequence[str]) -> str:
    """The last command's standard output. Raises `ManageError`."""
    argv = [sys.executable, "-m", "lab.manage", json.dumps(commands)]
    done = subprocess.run(argv, env=dict(env), cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ManageError(done.stderr.strip()[-3000:])
    return done.stdout


def main(commands: list[list[str]]) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
    import django  # noqa: PLC0415  its settings come from the environment
    from django.core.management import call_command  # noqa: PLC0415

    django.setup()
    output = io.StringIO()
    for name, *arguments in commands:
        output = io.StringIO()
        call_command(name, *arguments, stdout=output)
    print(output.getvalue(), end="")


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
