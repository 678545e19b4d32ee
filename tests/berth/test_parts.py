"""Small parts: the stream's lines, exit codes, ages and sizes, named files, what is printable."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from berth import output
from berth.client import ServerEvent, parse_events
from berth.compose import named_files
from berth.deploy import diff
from berth.errors import ApiError, Exit, exit_of
from berth.logs import printable

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def test_a_streams_lines_become_events() -> None:
    lines = [
        "retry: 2000",
        "",
        ": still here",
        "",
        "id: 7",
        "event: line",
        'data: {"a": 1}',
        "",
        'data:{"b": 2}',
        "",
    ]
    assert list(parse_events(iter(lines))) == [
        ServerEvent("7", "line", {"a": 1}),
        ServerEvent("", "message", {"b": 2}),
    ]


def test_an_event_that_was_cut_off_is_none() -> None:
    assert list(parse_events(iter(["id: 7", 'data: {"a": 1}']))) == []


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, 6),
        (401, 3),
        (403, 3),
        (404, 4),
        (409, 5),
        (412, 5),
        (413, 6),
        (422, 6),
        (429, 8),
        (500, 8),
        (503, 8),
    ],
)
def test_a_status_has_one_exit_code(status: int, code: int) -> None:
    assert exit_of(status) == Exit(code)


def test_an_error_names_its_fields_and_what_is_in_the_way() -> None:
    error = {"message": "No.", "fields": {"name": ["Too long."]}, "data": {"operation": "o1"}}
    assert ApiError(409, error).lines == ["name: Too long.", "in the way: operation o1 (berth wait o1)"]


@pytest.mark.parametrize(
    ("at", "shown"),
    [
        (None, "-"),
        ("2026-01-01T23:59:58Z", "2s"),
        ("2026-01-01T23:00:00Z", "1h"),
        ("2025-12-30T00:00:00Z", "3d"),
    ],
)
def test_ages(at: str | None, shown: str) -> None:
    assert output.age(at, NOW) == shown


@pytest.mark.parametrize(("count", "shown"), [(0, "0 B"), (1536, "1.5 KiB"), (24 * 1024**3, "24 GiB")])
def test_sizes(count: int, shown: str) -> None:
    assert output.size(count) == shown


@pytest.mark.parametrize(
    ("text", "files"),
    [
        ("services: {a: {env_file: x}, b: {env_file: [y, {path: z, required: false}]}}", ["x", "y", "z"]),
        (
            "configs: {c: {file: c.conf}}\nsecrets: {s: {file: s.txt}, t: {external: true}}",
            ["c.conf", "s.txt"],
        ),
        ("services: [1, 2]", []),
        ("{", []),
        pytest.param("a: " + "[" * 5000, [], marks=pytest.mark.thorough),
        ("", []),
    ],
)
def test_files_that_a_compose_file_names(text: str, files: list[str]) -> None:
    assert named_files(text) == files


def test_equal_files_have_no_difference() -> None:
    assert diff("a\nb", "a\nb\n") == []
    assert diff("", "a") == ["--- nothing", "+++ this file", "@@ -0,0 +1 @@", "+a"]


def test_a_line_cannot_steer_the_terminal() -> None:
    assert printable("a\x1b]0;title\x07b\rc").plain == "a]0;titlebc"
