"""docs/api.md is true: its examples run against a live server and answer as it says."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_django.live_server_helper import LiveServer

from console.accounts.access import team_access
from console.accounts.services import create_first_owner
from console.webhooks import signing
from tests import factories
from tests.conftest import require

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
EXAMPLE = re.compile(r"```sh run\n(.*?)```\n(?:```json\n(.*?)```)?", re.DOTALL)
ANY = "…"


def examples() -> Iterator[tuple[str, Any]]:
    for found in EXAMPLE.finditer(PAGE.read_text()):
        yield found[1], json.loads(found[2]) if found[2] else None


def assert_like(told: Any, real: Any, path: str = "answer") -> None:
    """All that the page tells is so; `…` is anything, and what it leaves out does not matter."""
    if told == ANY:
        return
    if isinstance(told, dict):
        assert isinstance(real, dict), path
        for key, value in told.items():
            assert key in real, f"{path}.{key}"
            assert_like(value, real[key], f"{path}.{key}")
    elif isinstance(told, list):
        assert len(told) == len(real), path
        for number, value in enumerate(told):
            assert_like(value, real[number], f"{path}[{number}]")
    else:
        assert told == real, path


@pytest.mark.thorough
@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")
def test_every_example_does_what_the_page_says(live_server: LiveServer) -> None:
    require("" if shutil.which("curl") else "curl: apt-get install curl")
    user, team = create_first_owner(email="owner@example.com")
    token = factories.make_token(team_access(user, team.slug))
    environment = {"BERTH": live_server.url, "TOKEN": token, "PATH": "/usr/bin:/bin", "no_proxy": "*"}
    count = 0
    for script, told in examples():
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            env=environment,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), script
        if told is None:
            assert '{"error"' not in done.stdout, script
        else:
            assert_like(told, json.loads(done.stdout))
        count += 1
    assert count == PAGE.read_text().count("```sh run\n")


def test_the_page_verifies_what_is_sent() -> None:
    """The receiver's function as it stands there, on what is signed here."""
    found = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found
    names: dict[str, Any] = {}
    exec(found[1], names)
    old, new, body = signing.new_secret(), signing.new_secret(), b'{"type": "app.deploy"}'
    headers = signing.headers([new, old], "m1", int(time.time()), body)
    assert names["verify"](old, headers, body)
    assert names["verify"](new, headers, body)
    assert not names["verify"](signing.new_secret(), headers, body)
    assert not names["verify"](new, headers, body + b" ")
    assert not names["verify"](new, {**headers, "webhook-id": "m2"}, body)
    late = signing.headers([new], "m1", int(time.time()) - 400, body)
    assert not names["verify"](new, late, body)


@pytest.mark.parametrize(
    ("told", "real"),
    [({"a": 1}, {}), ({"a": 1}, {"a": 2}), ([], [1]), ({"a": [{"b": "x"}]}, {"a": [{"b": "y"}]})],
)
def test_a_page_that_lies_is_found_out(told: Any, real: Any) -> None:
    with pytest.raises(AssertionError):
        assert_like(told, real)
