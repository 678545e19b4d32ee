"""A bounded run of the fuzzer. `make fuzz CASES=10000` is the long one."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from lab import requirements
from tests.conftest import require


@pytest.mark.slow
@pytest.mark.redis
@pytest.mark.timeout(600)
def test_no_answer_differs_from_the_schema() -> None:
    require(requirements.redis())
    command = [sys.executable, "-m", "tests.fuzz", "--cases", "2500", "--seconds", "120"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    assert done.stdout, done.stderr
    said = json.loads(done.stdout[done.stdout.index("{") :])
    assert said["failures"] == []
    assert said["cases"] >= 500
