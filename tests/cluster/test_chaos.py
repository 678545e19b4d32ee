"""Three minutes of random faults under continuous deploys; the engines' own logs say that all held."""

from __future__ import annotations

import pytest

from chaos.play import play
from lab import requirements
from tests.conftest import require

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(600)]

SEED = 7


def test_nothing_is_lost_doubled_or_left_over() -> None:
    require(requirements.engine() or requirements.redis() or requirements.database())
    report = play(SEED, minutes=3, say=lambda _line: None)
    assert report.problems == [], "\n".join([str(report), *report.log])
    assert report.faults == 60
