"""`make bench-api`: how fast the API reads, with 1,000 apps in the system and with 10,000.

Requests go to the whole Django stack in this process, without a socket, so that a server's own cost makes no ratio
look better. `constant` is a view with the same middleware, authentication and team lookup that answers a constant; the
views take turns, a few requests each, so that other work on the machine meets all of them. `cpu_ms` is this process's
own processor time, which other work moves less.
"""

from __future__ import annotations

import argparse
import importlib
import io
import json
import logging
import os
import pstats
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from cProfile import Profile
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.core.management import call_command

from lab.redis_server import RedisServer
from lab.state import Run

SIZES = (1_000, 10_000)
ROUNDS, EACH = 40, 5
COMPOSE = 'services:\n  web:\n    image: berth/demo\n    ports: ["80"]\n'
Call = Callable[[], int]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.api", description=__doc__)
    parser.add_argument(
        "--rounds", type=int, default=ROUNDS, help=f"of {EACH} requests to each view ({ROUNDS})"
    )
    parser.add_argument("--profile", default="", help="profile one view instead: single, page, constant")
    given = parser.parse_args()
    with console() as world:
        for size in SIZES:
            world.fill(size)
            if given.profile:
                _profile(world.calls()[given.profile], given.rounds)
                continue
            for line in _measure(world, given.rounds):
                print(json.dumps(line), flush=True)
    return 0


@contextmanager
def console() -> Iterator[Any]:
    """A console on a database of its own; PostgreSQL where DATABASE_URL names one."""
    with Run.create() as run, tempfile.TemporaryDirectory() as home:
        server = RedisServer(run)
        server.start()
        os.environ.update(
            {
                "DJANGO_SETTINGS_MODULE": "console.settings",
                "BERTH_HOME": home,
                "BERTH_SECRET_KEY": secrets.token_urlsafe(40),
                "REDIS_URL": server.url,
                "BERTH_ALLOWED_HOSTS": "testserver",
                "BERTH_API_RATE": str(10**6),
            }
        )
        os.environ.setdefault("DATABASE_URL", f"sqlite:///{Path(home)}/berth.sqlite3")
        django.setup()
        logging.disable(logging.CRITICAL)
        settings.ROOT_URLCONF = "bench.api_urls"
        call_command("migrate", verbosity=0)
        # Models can be imported only now.
        yield importlib.import_module("bench.api_world").World()


def request(handler: Any, path: str, token: str, tag: str = "") -> tuple[int, dict[str, str], bytes]:
    """One request, as a WSGI server would hand it on."""
    path, _mark, query = path.partition("?")
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_NAME": "testserver",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.input": io.BytesIO(),
        "wsgi.url_scheme": "http",
        "HTTP_AUTHORIZATION": f"Bearer {token}",
        **({"HTTP_IF_NONE_MATCH": tag} if tag else {}),
    }
    told: list[Any] = []
    response = handler(environ, lambda status, headers: told.extend((status, headers)))
    content = b"".join(response)
    response.close()
    return int(told[0][:3]), dict(told[1]), content


def _measure(world: Any, rounds: int) -> Iterator[dict[str, Any]]:
    calls: dict[str, Call] = world.calls()
    times: dict[str, list[float]] = {name: [] for name in calls}
    busy: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    for _ in range(rounds):
        for name, call in calls.items():
            for _number in range(EACH):
                begun, cpu = time.perf_counter(), time.process_time()
                call()
                times[name].append(time.perf_counter() - begun)
                busy[name].append(time.process_time() - cpu)
    median = {name: statistics.median(values) for name, values in times.items()}
    cpu_median = {name: statistics.median(values) for name, values in busy.items()}
    for name, seconds in median.items():
        yield {
            "apps": world.size,
            "view": name,
            "median_ms": round(1000 * seconds, 2),
            "per_second": round(1 / seconds),
            "of_constant": round(median["constant"] / seconds, 2),
            "cpu_ms": round(1000 * cpu_median[name], 2),
            "cpu_of_constant": round(cpu_median["constant"] / cpu_median[name], 2),
            "queries": world.queries(name),
        }


def _profile(call: Call, rounds: int) -> None:
    call()
    profile = Profile()
    profile.enable()
    for _ in range(rounds * EACH):
        call()
    profile.disable()
    pstats.Stats(profile, stream=sys.stdout).sort_stats("cumulative").print_stats(70)


if __name__ == "__main__":
    sys.exit(main())
