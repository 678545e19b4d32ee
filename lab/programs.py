"""How Berth's processes are started: the commands that `make run` and the lab share."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def web(bind: str, port: int) -> list[str]:
    argv = [sys.executable, "-m", "uvicorn", "console.asgi:application", "--host", bind, "--port", str(port)]
    argv += ["--no-access-log", "--no-server-header", "--lifespan", "off", "--no-proxy-headers"]
    # Its other parser bounds no headers.
    argv += ["--http", "h11"]
    # Log followers never end by themselves.
    return [*argv, "--timeout-graceful-shutdown", "3"]


def link(bind: str, port: int) -> list[str]:
    return [sys.executable, "-m", "console.link", "--host", bind, "--port", str(port)]


def controller(root: Path = ROOT) -> list[str]:
    return [sys.executable, str(root / "manage.py"), "controller"]


def worker(home: Path) -> list[str]:
    argv = [sys.executable, "-m", "celery", "-A", "console", "worker", "-B", "--pool", "threads"]
    argv += ["--concurrency", "4", "--without-gossip", "--without-mingle", "--loglevel", "INFO"]
    return [*argv, "--schedule-filename", str(home / "celery-schedule")]


def agent(config: Path) -> list[str]:
    return [sys.executable, "-m", "nodeagent", "--config", str(config)]
