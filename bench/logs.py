"""How long a log line takes from the engine, which stamps it, to a reader of the API's event stream; and whether a
flood of lines arrives, or is said not to, while the web process stays as large as it was."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Generator
from contextlib import closing
from datetime import datetime
from statistics import quantiles
from typing import Any
from urllib.parse import urlsplit

import psutil

from lab.lab import Lab

LINES = 200
COMPOSE = """
services:
  web:
    image: berth/demo
    command: [sh, -c, "while :; do echo line; usleep 50000; done"]
"""

RATE, SECONDS = 5000, 60
BURST = RATE // 20
FLOOD = f"""
services:
  web:
    image: berth/demo
    stop_grace_period: 1s
    command:
      - sh
      - -c
      - >-
        sleep 8; i=0;
        while [ $$i -lt {RATE * SECONDS} ]; do
        seq $$((i + 1)) $$((i + {BURST})); i=$$((i + {BURST})); usleep 46000;
        done;
        echo end; sleep 1000
"""
"""Numbered lines, so many at once, twenty times a second."""
SETTLE = 5.0
MIB = 1024**2


def measure(lab: Lab) -> Generator[dict[str, Any], None, None]:
    """Twenty lines a second from one container, one reader; then a minute of 5,000 lines a second."""
    yield _latency(lab)
    yield _flood(lab)


def _latency(lab: Lab) -> dict[str, Any]:
    lab.api.post("/apps", {"name": "lines", "compose": COMPOSE})
    time.sleep(3.0)
    delays: list[float] = []
    with closing(_events(lab, "lines", "tail=0")) as events:
        for event in events:
            if event["kind"] == "line":
                delays.append(time.time() - _moment(event["at"]))
            if len(delays) == LINES:
                break
    lab.remove_apps()
    return {"case": "log line, engine to API reader", "lines": len(delays), **_delays(delays)}


def _flood(lab: Lab) -> dict[str, Any]:
    """Every line is counted, or is in a gap that says how many it has."""
    lab.api.post("/apps", {"name": "flood", "compose": FLOOD})
    time.sleep(4.0)
    size = _Size(lab.pid("web"))
    seen, dropped, unknown = 0, 0, 0
    delays: list[float] = []
    stamps: list[str] = []
    with closing(_events(lab, "flood", "tail=0")) as events, size:
        for event in events:
            if event["kind"] == "line" and event["text"] == "end":
                break
            if event["kind"] == "line":
                seen += 1
                stamps = [stamps[0] if stamps else event["at"], event["at"]]
                if seen % 100 == 0:
                    delays.append(time.time() - _moment(event["at"]))
            elif event["kind"] == "gap":
                dropped += event["dropped"]
                unknown += not event["dropped"]
        time.sleep(SETTLE)
    lab.remove_apps()
    seconds = _moment(stamps[1]) - _moment(stamps[0])
    return {
        "case": "flood of log lines, engine to API reader",
        "sent": RATE * SECONDS,
        "lines_a_second": round((seen + dropped) / seconds),
        "arrived": seen,
        "said_to_be_dropped": dropped,
        "gaps_of_unknown_size": unknown,
        "unaccounted": RATE * SECONDS - seen - dropped,
        **_delays(delays),
        **size.report(),
    }


class _Size:
    """Resident memory of a process while the `with` lasts."""

    def __init__(self, pid: int | None) -> None:
        self._process = psutil.Process(pid)
        self._samples: list[int] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _sample(self) -> None:
        while True:
            self._samples.append(self._process.memory_info().rss)
            if self._over.wait(0.5):
                return

    def report(self) -> dict[str, Any]:
        mib = [round(sample / MIB, 1) for sample in self._samples]
        return {"web_mib_before": mib[0], "web_mib_most": max(mib), "web_mib_after": mib[-1]}


def _events(lab: Lab, app: str, query: str) -> Generator[dict[str, Any], None, None]:
    place = urlsplit(lab.console.url)
    with closing(http.client.HTTPConnection(place.hostname or "", place.port, timeout=30)) as connection:
        headers = {"Authorization": f"Bearer {lab.owner_token}"}
        connection.request("GET", f"/api/v1/teams/default/apps/{app}/logs?follow=1&{query}", headers=headers)
        answer = connection.getresponse()
        while line := answer.readline():
            if line.startswith(b"data: "):
                yield json.loads(line.removeprefix(b"data: "))


def _delays(delays: list[float]) -> dict[str, float]:
    cuts = quantiles(delays, n=20)
    return {"p50_ms": round(cuts[9] * 1000, 1), "p95_ms": round(cuts[18] * 1000, 1)}


def _moment(text: str) -> float:
    """RFC 3339 with nanoseconds as Unix seconds."""
    whole, _dot, fraction = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{whole}+00:00").timestamp() + float(f"0.{fraction or 0}")
