"""What the user guide shows is a file that Berth takes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from console.workloads.compose import load

GUIDE = Path(__file__).parents[3] / "docs" / "user-guide.md"
EXAMPLES = re.findall(r"```yaml\n(.*?)```", GUIDE.read_text(), re.DOTALL)


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 2


@pytest.mark.parametrize("text", EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_deploys_without_a_warning(text: str) -> None:
    assert load(text).warnings == ()
