"""Steps of a gate, one after the other, each with its name, its time and its verdict."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

from ops.home import ROOT


def run(
    name: str, argv: Sequence[str], *, env: Mapping[str, str] | None = None, ok: tuple[int, ...] = (0,)
) -> bool:
    """Runs one step with its output shown; whether its exit status is one of `ok`."""
    print(f"--- {name}", flush=True)
    begun = time.monotonic()
    status = subprocess.run(argv, env={**os.environ, **(env or {})}, cwd=ROOT, check=False).returncode
    verdict = "ok" if status in ok else f"FAILED (exit {status})"
    print(f"--- {name}: {verdict}, {time.monotonic() - begun:.1f} s", flush=True)
    return status in ok


def finish(gate: str, failed: Sequence[str]) -> int:
    """The last word, and the exit status."""
    if failed:
        print(f"{gate}: failed: {', '.join(failed)}", file=sys.stderr, flush=True)
        return 1
    print(f"{gate}: ok", flush=True)
    return 0
