"""A full step of the real controller on a PostgreSQL of its own, with simulated nodes. Needs no engine.

The work is in `bench.controlled`; it runs in a process of its own, because Django takes its settings from the
environment once.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from lab.manage import manage
from lab.postgres import PostgresServer
from lab.programs import ROOT
from lab.redis_server import RedisServer
from lab.state import Run

_CHILD = "import django; django.setup(); from bench.controlled import main; main()"


def measure(run: Run) -> Iterator[dict[str, Any]]:
    """Raises `RuntimeError` when the measuring process fails."""
    database, redis = PostgresServer(run), RedisServer(run)
    database.start()
    redis.start()
    try:
        env = {
            **os.environ,
            "BERTH_HOME": str(run.subdirectory("home")),
            "BERTH_SECRET_KEY": secrets.token_hex(32),
            "DATABASE_URL": database.url,
            "REDIS_URL": redis.url,
            "DJANGO_SETTINGS_MODULE": "console.settings",
        }
        manage(env, ["migrate", "--no-input"])
        yield from _lines(env)
    finally:
        redis.stop()
        database.stop()


def _lines(env: dict[str, str]) -> Iterator[dict[str, Any]]:
    argv = [sys.executable, "-c", _CHILD]
    with subprocess.Popen(argv, env=env, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        for line in child.stdout or ():
            yield json.loads(line)
    if child.returncode:
        raise RuntimeError(f"the measuring process ended with {child.returncode}")
