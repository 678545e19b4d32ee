from __future__ import annotations

import time

from bench.pace import Pace


def test_the_pace_is_the_processors_time_and_not_the_clocks() -> None:
    pace = Pace()
    begun = time.process_time()
    with pace.watched():
        time.sleep(0.05)
    assert 0 < pace.milliseconds / 1000 <= time.process_time() - begun
