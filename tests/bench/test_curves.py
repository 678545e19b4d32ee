from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from bench import curves
from bench.costs import Costs, busy
from bench.curves import Watch


class Started:
    """A watch without engines, told what happened."""

    def __init__(self) -> None:
        self.watch = Watch([])
        self.begun = self.watch.begin()

    def tell(self, *changes: tuple[float, int]) -> None:
        for after, change in changes:
            self.watch.take(self.begun + after, change)


def test_a_curve_counts_on_from_what_ran_before() -> None:
    told = Started()
    told.tell((1.0, 1), (2.0, 1))
    told.begun = told.watch.begin()
    told.tell((0.5, 1), (0.25, -1))
    found = told.watch.curve(told.begun)
    assert [count for _at, count in found] == [2, 1, 2]
    assert [at for at, _count in found] == pytest.approx([0.0, 0.25, 0.5], abs=0.01)


def test_the_end_is_the_last_of_the_starts_and_ends() -> None:
    told = Started()
    told.tell((1.0, 1), (3.0, -1), (2.0, 1))
    assert told.watch.until(starts=2, ends=1, within=0.1) - told.begun == pytest.approx(3.0, abs=0.01)
    with pytest.raises(RuntimeError, match="2 starts and 1 ends"):
        told.watch.until(starts=3, within=0.01)
    with pytest.raises(RuntimeError, match="1 containers run instead of 0"):
        told.watch.settle(0, within=0.01)


@pytest.mark.thorough
def test_a_plot_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    curve = [(0.0, 0), (1.0, 1)]
    target = tmp_path / "images" / "curves.png"
    curves.draw({"Berth": {"create 3": curve, "create 60": curve}, "Swarm": {"create 60": curve}}, target)
    assert target.read_bytes().startswith(b"\x89PNG")


@pytest.mark.thorough
def test_what_a_process_spent_is_counted() -> None:
    found: dict[str, dict[str, float]] = {}
    before = busy()
    with Costs({"agent-1": os.getpid(), "agent-2": None}).into(found, "work"):
        until = time.process_time() + 0.25
        while time.process_time() < until:
            pass
    assert 0.2 <= found["work"]["agent"] <= 0.6
    assert busy() > before
