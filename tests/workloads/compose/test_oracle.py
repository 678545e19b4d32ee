"""Where Compose v2 and Berth both accept a file, they mean the same by it."""

from __future__ import annotations

from pathlib import Path

import pytest

from console.workloads.compose import Policy, canonical, load
from console.workloads.compose.keys import DEPLOY, SERVICE, TOP, X_BERTH
from tests.workloads.compose.oracle import CORPUS, FILES, VARIABLES, compose_config, reduced

FILES_OF_CORPUS = sorted(CORPUS.glob("*.yml"))


@pytest.mark.thorough
@pytest.mark.parametrize("path", FILES_OF_CORPUS, ids=lambda path: path.stem)
def test_agrees_with_compose(path: Path) -> None:
    wanted = reduced(compose_config(path))
    project = load(path.read_text(), variables=VARIABLES, files=FILES, policy=Policy(low_ports=True))
    ours = canonical(project)
    ours["name"] = ours["name"] or CORPUS.name
    assert ours["services"].keys() == wanted["services"].keys()
    for service in wanted["services"]:
        ours["services"][service].pop("x-berth", None)  # Compose's output has no x- fields of services
        assert ours["services"][service] == wanted["services"][service], service
    assert {**ours, "services": None} == {**wanted, "services": None}


def test_corpus_has_every_supported_key() -> None:
    written = "\n".join(path.read_text() for path in FILES_OF_CORPUS)
    judged_by_value = {"privileged", "security_opt", "network_mode", "x-berth"}
    for key in (SERVICE | DEPLOY | TOP | X_BERTH) - judged_by_value:
        assert f"{key}:" in written or f'"{key}":' in written, key
