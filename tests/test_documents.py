"""What the documents say of the code is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scheduler import lifecycle, rollout_moves

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


def test_the_state_diagrams_are_the_tables() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    assert re.findall(r"```mermaid\n(.*?)```", text, re.DOTALL) == [
        lifecycle.mermaid(),
        rollout_moves.mermaid(),
    ]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_make_targets_exist(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|^|\s)make ([a-z-]+)\b", _commands(document.read_text()), re.MULTILINE))
    assert named <= targets


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_and_named_files_exist(document: Path) -> None:
    text = document.read_text()
    linked = [
        document.parent / target.partition("#")[0]
        for target in re.findall(r"\]\(([^)\s]+)\)", text)
        if "://" not in target and not target.startswith("#")
    ]
    roots = "console|nodeagent|scheduler|tests|ops|lab|bench"
    named = [ROOT / name for name in re.findall(rf"`((?:{roots})/[\w/.-]+\.(?:py|sh))", text)]
    assert [str(path) for path in [*linked, *named] if not path.exists()] == []


def test_the_operators_variables_are_read_somewhere() -> None:
    sources = "".join(
        path.read_text() for name in ("console", "ops", "lab") for path in (ROOT / name).rglob("*.py")
    )
    table = re.findall(
        r"^\| (`[A-Z_`, ]+) \|", (ROOT / "docs" / "operator-guide.md").read_text(), re.MULTILINE
    )
    variables = {name for row in table for name in re.findall(r"[A-Z_]+", row)}
    assert variables
    assert {name for name in variables if f'"{name}"' not in sources} == set()


def _commands(text: str) -> str:
    """Inline code and code blocks: where a command is a command."""
    return "\n".join(
        [*re.findall(r"```sh[^\n]*\n(.*?)```", text, re.DOTALL), *re.findall(r"`[^`\n]+`", text)]
    )
