"""`make fuzz`: requests made from the API's own schema against the console in this process, on a real database and
a real Redis. Each answer is checked against the schema; anything else than it says is a failure.

Prints JSON: how many cases, by status; and each failure with a curl command.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import os
import secrets
import sys
import tempfile
import time
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import django

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "ignored_auth",
    "use_after_free",
    "unsupported_method",
)
ENDLESS = "stream_events"
"""Never ends by itself; its own tests read it."""
ROUND = 4
"""Examples of each operation in one round."""
KNOWN_OF_TEN = 9
"""Of ten values of a name in a path so many are those of something that is there."""
MOST_FAILURES = 25
LONGEST_WAIT = 0.05


def environment(home: Path, redis: str) -> None:
    os.environ.update(
        {
            "DJANGO_SETTINGS_MODULE": "console.settings",
            "BERTH_HOME": str(home),
            "BERTH_SECRET_KEY": secrets.token_urlsafe(40),
            "DATABASE_URL": os.environ.get("FUZZ_DATABASE_URL", f"sqlite:///{home}/berth.sqlite3"),
            "REDIS_URL": redis,
            "BERTH_API_RATE": "0",
            "BERTH_ALLOWED_HOSTS": "localhost,testserver",
            "BERTH_LOG_LEVEL": "CRITICAL",
        }
    )


class Fuzzer:
    def __init__(self, cases: int, until: float) -> None:
        import schemathesis
        from django.conf import settings

        from console.workloads import livelogs
        from tests.fuzz.world import World

        self.world, self.wanted, self.until = World(), cases, until
        self.known = self.world.names()
        self.cases, self.statuses = 0, Counter[int]()
        self.operations, self.phases = Counter[str](), Counter[str]()
        self.failures: dict[str, dict[str, str]] = {}

        # No agent is there to answer: its silence is noticed sooner.
        livelogs.PROBE, livelogs.GIVE_UP = 0.1, 0.2
        schemathesis.hook("before_call")(_hurry)
        # Wrong tokens are tried in all places: each shall get its 401.
        settings.TOKEN_FAILURES = 10**9

    def round(self, seed: int) -> None:
        """One walk over the whole schema: examples, edge cases, random ones, and sequences along its links."""
        import schemathesis
        from django.core.asgi import get_asgi_application
        from schemathesis.config import SchemathesisConfig
        from schemathesis.engine import events, from_schema

        settings: dict[str, Any] = {
            "seed": seed,
            "headers": {"Authorization": f"Bearer {self.world.secret}"},
            "generation": {"max-examples": ROUND, "allow-x00": True, "database": "none"},
            "checks": {"enabled": False, **{name: {"enabled": True} for name in CHECKS}},
            "phases": {"stateful": {"generation": {"max-examples": 3 * ROUND}}},
            "suppress-health-check": ["all"],
            "cache": {"enabled": False},
        }
        if seed % 4:  # edge cases come with one value for each name: in most rounds with that of something
            settings["parameters"] = {
                f"path.{name}": known[seed % len(known)] for name, known in self.known.items() if known
            }
        schema = schemathesis.openapi.from_asgi(
            "/api/v1/schema", get_asgi_application(), config=SchemathesisConfig.from_dict(settings)
        )

        def lead(context: Any, values: Any) -> Any:  # the library's registry wants a function of its own
            return self._lead(context, values)

        schema.hook("map_path_parameters")(lead)
        stream = from_schema(schema.exclude(operation_id=ENDLESS)).execute()
        for event in stream:
            if self.done():
                stream.stop()
            if isinstance(event, events.ScenarioFinished):
                self._take(event)
                self.world.restore()
                self.known = self.world.names()
            elif isinstance(event, events.NonFatalError):
                self._fail("error", str(event.label), str(event.info.format()), "")
            elif isinstance(event, events.FatalError):
                raise event.exception

    def done(self) -> bool:
        late = time.monotonic() > self.until
        return late or self.cases >= self.wanted or len(self.failures) >= MOST_FAILURES

    def _lead(self, _context: Any, values: Any) -> Any:
        """Most names in a path lead somewhere; which, the generated value decides."""
        if not isinstance(values, dict):
            return values
        led = dict(values)
        for name, value in values.items():
            number = zlib.crc32(str(value).encode())
            if (known := self.known.get(name)) and number % 10 < KNOWN_OF_TEN:
                led[name] = known[number // 10 % len(known)]
        return led

    def _take(self, event: Any) -> None:
        recorder = event.recorder
        self.cases += len(recorder.interactions)
        self.phases[event.phase.value] += len(recorder.interactions)
        for key, interaction in recorder.interactions.items():
            if interaction.response is not None:
                self.statuses[interaction.response.status_code] += 1
            self.operations[recorder.cases[key].value.operation.label] += 1
        for key, checks in recorder.checks.items():
            for check in checks:
                if check.failure_info is not None:
                    failure = check.failure_info.failure
                    text = f"{failure.title}: {failure.message}"
                    command = recorder.cases[key].value.as_curl_command()
                    label = recorder.cases[key].value.operation.label
                    self._fail(check.name, label, text, command)

    def _fail(self, check: str, label: str, text: str, command: str) -> None:
        command = command.replace(self.world.secret, "$TOKEN")
        self.failures.setdefault(
            f"{check} {label} {text[:80]}",
            {"check": check, "operation": label, "text": text[:2000], "curl": command[:2000]},
        )


def _hurry(_context: Any, case: Any, _kwargs: Any) -> None:
    """Nobody here waits for minutes, nor follows a log to its end."""
    if isinstance(case.query, dict):
        case.query.pop("follow", None)
        if isinstance(case.query.get("timeout"), (int, float)):
            case.query["timeout"] = min(case.query["timeout"], LONGEST_WAIT)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=0, help="end after so long, also with fewer cases")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()

    from lab.redis_server import RedisServer
    from lab.state import Run

    begun = time.monotonic()
    with Run.create() as run, tempfile.TemporaryDirectory() as home:
        server = RedisServer(run)
        server.start()
        environment(Path(home), server.url)
        django.setup()
        logging.disable(logging.CRITICAL)
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        fuzzer, seed = Fuzzer(given.cases, begun + (given.seconds or math.inf)), given.seed
        while not fuzzer.done():
            fuzzer.round(seed)
            print(f"seed {seed}: {fuzzer.cases} cases, {len(fuzzer.failures)} failures", file=sys.stderr)
            seed += 1
        said = {
            "cases": fuzzer.cases,
            "seconds": round(time.monotonic() - begun),
            "phases": dict(fuzzer.phases),
            "statuses": {str(key): fuzzer.statuses[key] for key in sorted(fuzzer.statuses)},
            "operations": len(fuzzer.operations),
            "fewest": min(fuzzer.operations.values(), default=0),
            "failures": list(fuzzer.failures.values()),
        }
        print(json.dumps(said, indent=2, ensure_ascii=False))
    return 1 if fuzzer.failures else 0


if __name__ == "__main__":
    sys.exit(main())
