"""What this machine can have: each check returns nothing, or says what is missing and how to get it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from lab import postgres
from lab.redis_server import MissingProgramError

CHROMIUM = ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")


def engine() -> str:
    """Docker Engine in a network namespace."""
    if os.geteuid() != 0:
        return "needs root: engines run in network namespaces (sudo make test)"
    for program, package in (("dockerd", "docker.io"), ("ip", "iproute2"), ("iptables", "iptables")):
        if shutil.which(program) is None:
            return f"needs {program}: apt-get install {package}"
    return demo_image()


def demo_image() -> str:
    if shutil.which("busybox", path="/bin:/usr/bin") is None:
        return "needs a static busybox: apt-get install busybox-static"
    return ""


def redis() -> str:
    return "" if shutil.which("redis-server") else "needs redis-server: apt-get install redis-server"


def database() -> str:
    try:
        postgres.programs()
        postgres.system_user()
    except MissingProgramError as missing:
        return f"needs {missing}"
    return ""


def chromium() -> str:
    return "" if chromium_path() else "needs Chromium: apt-get install chromium fonts-noto-cjk"


def chromium_path() -> str:
    """Empty when there is none."""
    return next((path for path in CHROMIUM if Path(path).exists()), "")
