"""How long a log line takes from the engine, which stamps it, to a reader of the API's event stream."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from datetime import datetime
from statistics import quantiles
from typing import Any
from urllib.parse import urlsplit

from lab.lab import Lab

LINES = 200
COMPOSE = """
services:
  web:
    image: berth/demo
    command: [sh, -c, "while :; do echo line; usleep 50000; done"]
"""


def measure(lab: Lab) -> Iterator[dict[str, Any]]:
    """Twenty lines a second from one container, one reader."""
    lab.api.post("/apps", {"name": "lines", "compose": COMPOSE})
    time.sleep(3.0)
    delays = list(_delays(lab))
    lab.remove_apps()
    cuts = quantiles(delays, n=20)
    yield {
        "case": "log line, engine to API reader",
        "lines": len(delays),
        "p50_ms": round(cuts[9] * 1000, 1),
        "p95_ms": round(cuts[18] * 1000, 1),
    }


def _delays(lab: Lab) -> Iterator[float]:
    place = urlsplit(lab.console.url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=30)
    headers = {"Authorization": f"Bearer {lab.owner_token}"}
    connection.request("GET", "/api/v1/teams/default/apps/lines/logs?follow=1&tail=0", headers=headers)
    answer = connection.getresponse()
    seen = 0
    while seen < LINES:
        line = answer.readline()
        now = time.time()
        if line.startswith(b"data: "):
            event = json.loads(line.removeprefix(b"data: "))
            if event["kind"] == "line":
                seen += 1
                yield now - _moment(event["at"])
    connection.close()


def _moment(text: str) -> float:
    """RFC 3339 with nanoseconds as Unix seconds."""
    whole, _dot, fraction = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{whole}+00:00").timestamp() + float(f"0.{fraction or 0}")
