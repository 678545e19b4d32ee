"""Programs that race on a database of their own. Threads of one test would share an in-memory database, where no two
of them may write: each tries for ever, and now and then none gets through.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def environment(home: Path, database: str) -> dict[str, str]:
    """What a console's program needs in order to work on `database` alone."""
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "console.settings",
        "BERTH_HOME": str(home),
        "BERTH_SECRET_KEY": secrets.token_urlsafe(40),
        "DATABASE_URL": database,
        "REDIS_URL": "unix:///nonexistent/redis.sock",
    }


def run(module: str, env: Mapping[str, str]) -> Any:
    """Runs `python -m module`; the JSON that it printed."""
    done = subprocess.run(
        [sys.executable, "-m", module], env=env, capture_output=True, text=True, timeout=150, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
