from __future__ import annotations

import gzip
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeagent import segments as module
from nodeagent.protocol import MAX_SEGMENT_BYTES, LogLine, LogSegment, decode_up, encode
from nodeagent.segments import comparable, segments

AT = "2026-01-02T03:04:05"


def line(text: str, at: str = f"{AT}.5Z", source: str = "stdout") -> LogLine:
    return LogLine(at=at, source=source, text=text)  # type: ignore[arg-type]


def texts(found: list[LogSegment]) -> list[str]:
    return [each for one in found for each in gzip.decompress(one.data).decode().split("\n")[:-1]]


def test_timestamps_sort_as_text() -> None:
    given_ = [f"{AT}Z", f"{AT}.1Z", f"{AT}.123456789Z", f"{AT}.1234567891Z", "yesterday", ""]
    assert [comparable(at) for at in given_] == [
        f"{AT}.000000000Z",
        f"{AT}.100000000Z",
        f"{AT}.123456789Z",
        f"{AT}.123456789Z",
        "",
        "",
    ]


def test_a_segment_says_what_is_in_it() -> None:
    lines = [line("b", f"{AT}.2Z"), line("a", f"{AT}.1Z", "stderr"), line("c", "nonsense")]
    [found] = list(segments("s1", 3, lines))
    assert (found.slot, found.generation, found.number, found.lines, found.end) == ("s1", 3, 1, 3, True)
    assert (found.first, found.last) == (f"{AT}.100000000Z", f"{AT}.200000000Z")
    assert texts([found]) == [
        f"{AT}.200000000Z o b",
        f"{AT}.100000000Z e a",
        f"{AT}.100000000Z o c",
    ]
    assert decode_up(encode(found)) == found


def test_an_empty_log_has_no_segments() -> None:
    assert list(segments("s1", 1, [])) == []


def test_the_same_log_gives_the_same_segments() -> None:
    lines = [line(str(number)) for number in range(1000)]
    assert list(segments("s1", 1, lines)) == list(segments("s1", 1, lines))


@pytest.mark.thorough
def test_no_segment_is_too_large_for_the_link() -> None:
    random = Random(7)
    lines = [line(random.randbytes(8000).decode("latin-1").replace("\n", " ")) for _ in range(1000)]
    found = list(segments("s1", 1, lines))
    assert len(found) > 10
    assert max(len(each.data) for each in found) <= MAX_SEGMENT_BYTES
    assert sum(each.lines for each in found) == 1000


def test_lines_beyond_the_most_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_RAW", 100)
    [found] = list(segments("s1", 1, [line("x" * 40)] * 10))
    assert (found.lines, found.cut) == (2, 8)


@given(st.lists(st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=50)))
def test_nothing_is_lost_and_the_order_stays(lines: list[str]) -> None:
    before = module.RAW
    module.RAW = 200
    try:
        found = list(segments("s1", 1, [line(text) for text in lines]))
    finally:
        module.RAW = before
    assert [each.split(" ", 2)[2] for each in texts(found)] == lines
    assert [each.number for each in found] == list(range(1, len(found) + 1))
    assert [each.end for each in found] == [False] * (len(found) - 1) + [True] * bool(found)
