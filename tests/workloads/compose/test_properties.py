"""Whatever the text is: a project or a `ComposeError`, and a project survives its JSON."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from console.workloads.compose import ComposeError, Project, canonical, load, spec_digest
from console.workloads.compose.keys import DEPLOY, SERVICE, SERVICE_REFUSED, SERVICE_UNSUPPORTED, X_BERTH
from tests.workloads.compose.oracle import CORPUS, FILES, VARIABLES

TEXTS = [path.read_text() for path in sorted(CORPUS.glob("*.yml"))]
SPLINTERS = st.sampled_from(
    [
        *"\n\t :,-[]{}&*!|>%@`'\"#?$\\\0",
        "<<: *a",
        "${",
        "}",
        "&a",
        "*a",
        "!!str",
        "null",
        "-1",
        "1e9",
        "0x",
        "\ud800",
        "x-berth",
    ]
)
QUICK = settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def loaded(text: str) -> Project | None:
    """The project, after checks that hold for each; None for a refused text. Any other exception fails the test."""
    try:
        project = load(text, variables=VARIABLES, files=FILES)
    except ComposeError as error:
        problems = error.problems
        project = None
    if project is None:
        assert problems
        assert all(one.message and one.code and one.line >= 0 for one in problems)
        msgspec.json.encode(problems)
        return None
    stored = json.loads(json.dumps(msgspec.to_builtins(project)))
    assert msgspec.convert(stored, Project) == project
    json.dumps(canonical(project), allow_nan=False)
    assert all(len(spec_digest(service, image="x")) == 64 for service in project.services.values())
    return project


@QUICK
@given(st.text())
def test_any_text(text: str) -> None:
    loaded(text)


@pytest.mark.thorough
@QUICK
@given(st.data())
def test_a_damaged_file(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from(TEXTS))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        cut = data.draw(st.integers(0, 12))
        text = text[:at] + data.draw(SPLINTERS | st.text(max_size=3)) + text[at + cut :]
    loaded(text)


@pytest.mark.thorough
@QUICK
@given(
    st.dictionaries(
        st.sampled_from(sorted(SERVICE | SERVICE_REFUSED.keys() | SERVICE_UNSUPPORTED.keys())),
        VALUES,
        max_size=4,
    )
)
def test_any_value_for_any_key(keys: dict[str, object]) -> None:
    text = json.dumps({"services": {"web": {"image": "a", **keys}}})
    project = loaded(text)
    assert project is None or not (keys.keys() & (SERVICE_REFUSED.keys() | SERVICE_UNSUPPORTED.keys()))


WORDS = (
    *("over", "weight", "service", "required", "units", "share", "parallelism", "order", "max_failure_ratio"),
    *("discrete_resource_spec", "kind", "value", "capabilities", "count", "reservations", "devices"),
    *("generic_resources", "condition", "restart", "web", "db", "*", "gpu", "node.zone", "service_healthy"),
)
NESTED = st.recursive(
    st.sampled_from(WORDS) | SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, min_size=1, max_size=3)
    ),
    max_leaves=8,
)


@pytest.mark.thorough
@QUICK
@given(
    st.dictionaries(st.sampled_from(sorted(DEPLOY)), NESTED, max_size=3),
    st.dictionaries(st.sampled_from(sorted(X_BERTH)), NESTED, max_size=3),
    NESTED,
)
def test_any_value_below_deploy_x_berth_and_depends_on(
    deploy: dict[str, object], own: dict[str, object], depends_on: object
) -> None:
    services = {"web": {"image": "a", "deploy": deploy, "x-berth": own, "depends_on": depends_on}}
    loaded(json.dumps({"services": {**services, "db": {"image": "a"}}}))


@pytest.mark.thorough
@QUICK
@given(st.dictionaries(st.sampled_from(sorted(SERVICE)), VALUES, max_size=3), VALUES, VALUES)
def test_any_value_extended(keys: dict[str, object], volumes: object, configs: object) -> None:
    services = {"base": {"image": "a", **keys}, "web": {"extends": "base", "environment": ["A=1"], **keys}}
    loaded(json.dumps({"services": services, "volumes": volumes, "configs": configs}))


def test_the_corpus_survives_its_json() -> None:
    for text in TEXTS:
        assert loaded(text) is not None
