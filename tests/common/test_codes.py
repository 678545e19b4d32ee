"""Every error that the API may give is explained."""

from __future__ import annotations

import re
from pathlib import Path

from django.test import Client

from console.common.codes import MEANINGS

CONSOLE = Path(__file__).parents[2] / "console"
CODE = re.compile(r'\b(?:default_)?code(?:: str)? ?= ?"([a-z_]+)"|Failure\(\d+, "([a-z_]+)"')
NOT_OF_THE_API = {"backup_unusable", "dump_failed", "secret_key_changed", "poison"}
"""Of commands, and of agents' results."""


def test_every_code_has_a_meaning() -> None:
    used = {
        found[1] or found[2]
        for path in CONSOLE.rglob("*.py")
        if "compose" not in path.parts
        for found in CODE.finditer(path.read_text())
    }
    assert {"invalid", "internal", "app_deleting"} < used
    assert used - NOT_OF_THE_API - {"unsupported"} <= set(MEANINGS)


def test_the_page_has_a_line_for_each(db: None) -> None:
    answer = Client().get("/help/errors/")
    assert answer.status_code == 200
    for code in MEANINGS:
        assert f'id="{code}"' in answer.content.decode()
