from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.common.errors import BerthError
from console.workloads.logevents import Asked, exactly, matcher, moment_of, stamp

NOW = datetime(2026, 1, 2, 3, 4, 5, 600000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30", "2026-01-02T03:03:35.600000000Z"),
        ("10m", "2026-01-02T02:54:05.600000000Z"),
        (" 2 h ", "2026-01-02T01:04:05.600000000Z"),
        ("7d", "2025-12-26T03:04:05.600000000Z"),
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000000000Z"),
        ("2026-01-02T03:04:05.123456789Z", "2026-01-02T03:04:05.123456789Z"),
        ("2026-01-02T03:04:05.1234567+02:00", "2026-01-02T01:04:05.123456700Z"),
    ],
)
def test_moments(text: str, expected: str) -> None:
    assert moment_of(text, NOW) == expected


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "10y", "2026-01-02T03:04:05", "9" * 30, "999999999w", "0001-01-01T00:00:00+14:00"],
)
def test_what_is_no_moment(text: str) -> None:
    with pytest.raises(ValueError):
        moment_of(text, NOW)


@given(st.datetimes(timezones=st.just(UTC)), st.datetimes(timezones=st.just(UTC)))
def test_stamps_compare_as_times_and_are_read_back(one: datetime, other: datetime) -> None:
    assert (stamp(one) < stamp(other)) == (one < other)
    assert exactly(stamp(one)) == stamp(one)


def test_text_is_found_whatever_its_case_and_patterns_are_only_patterns_when_asked() -> None:
    plain = matcher("a.c", regex=False)
    assert plain is not None
    assert [plain(text) for text in ("xA.Cx", "abc")] == [True, False]
    pattern = matcher("^a.c$", regex=True)
    assert pattern is not None
    assert [pattern(text) for text in ("ABC", "xabc", "a\u00fcc")] == [True, False, True]
    assert matcher("", regex=True) is None


@pytest.mark.parametrize("text", ["(", "[", "(?=x)", r"(a)\1", "a{1,100000}"])
def test_a_bad_pattern_says_why(text: str) -> None:
    with pytest.raises(BerthError) as caught:
        matcher(text, regex=True)
    assert list(caught.value.fields) == ["search"]
    assert str(caught.value.message).startswith("This is no pattern that can be searched for: ")


def test_a_pattern_that_hangs_others_does_not_hang() -> None:
    """Python's own `re` takes hours for this one."""
    pattern = matcher("(a+)+(a|aa)+$", regex=True)
    assert pattern is not None
    assert pattern("a" * 16_000 + "!") is False


def test_what_is_asked_for() -> None:
    asked = Asked(since="2", until="4", match=matcher("x", regex=False))
    found = [
        asked.takes(at, text) for at, text in (("2", "x"), ("3", "x"), ("4", "x"), ("5", "x"), ("3", "y"))
    ]
    assert found == [False, True, True, False, False]
