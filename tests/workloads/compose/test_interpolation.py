"""`${…}` in values: every form of the specification."""

from __future__ import annotations

import pytest

from console.workloads.compose import load
from tests.workloads.compose.helpers import problem, project

VARIABLES = {"SET": "value", "BLANK": ""}

FORMS = [
    ("$SET", "value"),
    ("${SET}", "value"),
    ("${SET}s$SET.", "valuesvalue."),
    ("$$SET $$", "$SET $"),
    ("$$$SET", "$value"),
    ("a$", "a$"),
    ("$1", "$1"),
    ("${BLANK:-d}", "d"),
    ("${BLANK-d}", ""),
    ("${NOPE:-d}", "d"),
    ("${NOPE-d}", "d"),
    ("${NOPE:-}", ""),
    ("${SET:-d}", "value"),
    ("${SET:?no}", "value"),
    ("${BLANK?no}", ""),
    ("${SET:+other}", "other"),
    ("${BLANK:+other}", ""),
    ("${BLANK+other}", "other"),
    ("${NOPE+other}", ""),
    ("${NOPE:-${BLANK:-${SET}}}", "value"),
    ("${NOPE:-a${SET}b$$}", "avalueb$"),
    ('${NOPE:-{"a": {}}}', '{"a": {}}'),
    ("${SET:-${NOPE:?is never asked for}}", "value"),
    ("${SET:+${NOPE:-x}}", "x"),
]


@pytest.mark.parametrize(("written", "wanted"), FORMS)
def test_form(written: str, wanted: str) -> None:
    text = f"services: {{web: {{image: a, environment: {{A: '{written}'}}}}}}"
    assert load(text, variables=VARIABLES).services["web"].environment == {"A": wanted}


@pytest.mark.parametrize(
    ("written", "code", "message"),
    [
        ("${NOPE:?why}", "missing", "variable NOPE is required: why"),
        ("${NOPE?}", "missing", "variable NOPE is required"),
        ("${BLANK:?${SET}}", "missing", "variable BLANK is required: ${SET}"),
        ("${SET", "invalid", "a ${ has no closing brace; write $$ for a plain $"),
        ("${}", "invalid", "this is no valid variable; write $$ for a plain $"),
        ("${1}", "invalid", "this is no valid variable; write $$ for a plain $"),
        ("${SET:x}", "invalid", "this is no valid variable; write $$ for a plain $"),
    ],
)
def test_wrong_form(written: str, code: str, message: str) -> None:
    found = problem(f"environment: {{A: '{written}'}}", variables=VARIABLES)
    assert (found.code, found.message, found.key) == (code, message, "services.web.environment.A")


def test_keys_are_left_alone() -> None:
    web = project("environment: {$SET: 1}", variables=VARIABLES).services["web"]
    assert web.environment == {"$SET": "1"}


def test_an_unset_variable_is_a_warning_with_its_place() -> None:
    found = project("labels:\n  a: x${NOPE}y", variables=VARIABLES)
    assert found.services["web"].labels == {"a": "xy"}
    (warning,) = found.warnings
    assert (warning.line, warning.key, warning.code) == (5, "services.web.labels.a", "unset")
    assert warning.message == "variable NOPE is not set; it counts as empty"


def test_a_substituted_text_becomes_the_type_that_its_key_wants() -> None:
    web = project(
        "init: $FLAG\nscale: ${COUNT}\nmem_limit: $MEM",
        variables={"FLAG": "true", "COUNT": "3", "MEM": "64m"},
    )
    service = web.services["web"]
    assert (service.init, service.replicas, service.resources.memory) == (True, 3, 64 * 1024 * 1024)


def test_a_substituted_text_is_never_read_as_yaml() -> None:
    web = project("environment: {A: $A}", variables={"A": "{b: 1.50}"}).services["web"]
    assert web.environment == {"A": "{b: 1.50}"}
