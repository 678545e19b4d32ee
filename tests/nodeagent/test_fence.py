from __future__ import annotations

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeagent.errors import Stale
from nodeagent.fence import Fence


def admitted(fence: Fence, slot: str, generation: int) -> bool:
    try:
        fence.admit(slot, generation)
    except Stale:
        return False
    return True


def test_only_the_newest_generation_is_admitted(tmp_path: Path) -> None:
    fence = Fence(tmp_path / "fence.json")
    assert [admitted(fence, "s1", n) for n in (2, 2, 1, 3, 2)] == [True, True, False, True, False]
    assert admitted(fence, "s2", 1)
    assert dict(fence.generations()) == {"s1": 3, "s2": 1}


def test_what_was_told_to_stop_is_never_started(tmp_path: Path) -> None:
    fence = Fence(tmp_path / "fence.json")
    fence.close(("s1", 4))
    assert [admitted(fence, "s1", n) for n in (3, 4, 5)] == [False, False, True]


def test_it_outlives_the_agent(tmp_path: Path) -> None:
    path = tmp_path / "fence.json"
    first = Fence(path)
    first.admit("s1", 5)
    first.close(("s2", 2))
    again = Fence(path)
    assert not again.needs_rebuild
    assert [admitted(again, "s1", 4), admitted(again, "s2", 2), admitted(again, "s1", 5)] == [
        False,
        False,
        True,
    ]


def test_what_could_not_be_written_is_written_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk lets nothing start, stops go on, and no stop stays in this process alone."""
    path = tmp_path / "fence.json"
    fence = Fence(path)

    def full(path: Path, data: bytes) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("nodeagent.fence.write_atomic", full)
        for _ in range(2):
            with pytest.raises(OSError):
                fence.admit("s1", 1)
            fence.close(("s2", 1))
        assert not admitted(fence, "s2", 1)
    fence.rebuild([])
    assert not admitted(Fence(path), "s2", 1)
    assert dict(Fence(path).generations()) == {"s1": 1, "s2": 1}


def test_what_many_threads_wait_for_is_written_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And none goes on before the disk has its own."""
    path, writes = tmp_path / "fence.json", []

    def slow(path: Path, data: bytes) -> None:
        time.sleep(0.05)
        path.write_bytes(data)
        writes.append(data)

    monkeypatch.setattr("nodeagent.fence.write_atomic", slow)
    fence = Fence(path)

    def admit(number: int) -> bool:
        fence.admit(f"s{number}", 1)
        return f"s{number}" in json.loads(path.read_bytes())

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(admit, range(8)))
    assert len(writes) <= 3


def test_it_says_what_is_new_here(tmp_path: Path) -> None:
    fence = Fence(tmp_path / "fence.json")
    assert [fence.admit("s1", generation) for generation in (1, 1, 3, 3)] == [True, False, True, False]
    fence.close(("s2", 4))
    assert fence.admit("s2", 5)
    fence.rebuild([("s3", 2)])
    assert not fence.admit("s3", 2)


def test_a_short_write_is_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = os.write
    monkeypatch.setattr("os.write", lambda handle, data: whole(handle, bytes(data)[:3]))
    Fence(tmp_path / "fence.json").close(("s1", 4))
    assert not admitted(Fence(tmp_path / "fence.json"), "s1", 4)


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b'{"s1": 3}', b'{"s1": ["x", 1]}'])
def test_a_lost_or_broken_file_is_rebuilt_from_labels(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "fence.json"
    if content is not None:
        path.write_bytes(content)
    fence = Fence(path)
    assert fence.needs_rebuild
    fence.rebuild([("s1", 7), ("s1", 6)])
    assert [fence.needs_rebuild] == [False]
    assert [admitted(Fence(path), "s1", n) for n in (6, 7)] == [False, True]


def test_what_is_no_more_is_forgotten_on_disk_too(tmp_path: Path) -> None:
    fence = Fence(tmp_path / "fence.json")
    fence.close(("s1", 4), ("s2", 2))
    fence.forget(["s1", "unheard-of"])
    for each in (fence, Fence(tmp_path / "fence.json")):
        assert dict(each.generations()) == {"s2": 2}


def test_of_very_many_slots_those_of_late_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nodeagent.fence.MOST_SLOTS", 3)
    path = tmp_path / "fence.json"
    fence = Fence(path)
    fence.close(*((f"s{number}", 1) for number in range(3)))
    # What the engine has is named by each sync.
    fence.rebuild([("s0", 1)])
    fence.admit("s3", 1)
    for each in (fence, Fence(path)):
        assert set(each.generations()) == {"s2", "s0", "s3"}
    monkeypatch.setattr("nodeagent.fence.MOST_SLOTS", 2)
    assert set(Fence(path).generations()) == {"s0", "s3"}


@given(st.lists(st.tuples(st.sampled_from(["admit", "close", "rebuild"]), st.integers(1, 9))))
def test_it_never_falls(tmp_path_factory: pytest.TempPathFactory, moves: list[tuple[str, int]]) -> None:
    fence = Fence(tmp_path_factory.mktemp("fence") / "fence.json")
    highest, closed = 0, 0
    for kind, generation in moves:
        if kind == "admit":
            assert admitted(fence, "s", generation) == (generation >= highest and generation > closed)
            accepted = generation >= highest and generation > closed
            highest = max(highest, generation) if accepted else highest
        elif kind == "close":
            fence.close(("s", generation))
            highest, closed = max(highest, generation), max(closed, generation)
        else:
            fence.rebuild([("s", generation)])
            highest = max(highest, generation)
        assert fence.generations().get("s", 0) == highest
