"""Env files: their dialect, their order, and what is wrong with them."""

from __future__ import annotations

import pytest

from tests.workloads.compose.helpers import problem, project, service

LINES = [
    ("A=1", "1"),
    ("export A=1", "1"),
    ("A = 1 ", "1"),
    ("A: 1", "1"),
    ("A=", ""),
    ("A=a b # comment", "a b"),
    ("A=a#b", "a#b"),
    ("A='$SET \\n' # x", "$SET \\n"),
    ('A="$SET\\n"', "value\n"),
    ('A="\\$SET"', "$SET"),
    ('A="two\nlines"', "two\nlines"),
    ("A=${NOPE:-d}", "d"),
    ("B=1\nA=$B", "1"),
    ("A=1\nA=2", "2"),
    ("SET=own\nA=$SET", "value"),
    ("\ufeffA=1", "1"),
    ("A=1\r\nB=2\r\n", "1"),
]


@pytest.mark.parametrize(("content", "wanted"), LINES)
def test_line(content: str, wanted: str) -> None:
    found = service("env_file: ./e", files={"e": content}, variables={"SET": "value"})
    assert found.environment["A"] == wanted


def test_later_files_and_the_environment_win() -> None:
    files = {"dir/a": "A=a\nB=a\nC=a\nD=$A", "b": "B=b\nE=$A"}
    found = service("env_file: [dir/a, b]\nenvironment: {C: own}", files=files)
    assert found.environment == {"A": "a", "B": "b", "C": "own", "D": "a", "E": "a"}


def test_a_bare_name_takes_the_variable_or_is_left_out() -> None:
    assert service("env_file: e", files={"e": "SET\nNOPE"}, variables={"SET": "x"}).environment == {
        "SET": "x"
    }


def test_a_file_that_is_not_required_may_be_missing() -> None:
    assert service("env_file: [{path: nowhere, required: false}]").environment == {}
    assert project("env_file: [{path: nowhere, required: false}]").warnings == ()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("A=1\n?=2", "'e', line 2 is no NAME=value"),
        ("\n\nA='open", "'e', line 3: the quote is not closed"),
        ('A="x"y', "'e', line 1: there is text after the closing quote"),
        ("A=${B:?gone}", "'e', line 1: a required variable has no value"),
    ],
)
def test_wrong_line(content: str, message: str) -> None:
    found = problem("env_file:\n  - e", files={"e": content})
    assert (found.code, found.key, found.line, found.message) == (
        "invalid",
        "services.web.env_file[0]",
        5,
        message,
    )
