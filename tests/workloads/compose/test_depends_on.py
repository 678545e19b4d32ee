"""`depends_on`: its forms, and what must hold between the services of a file."""

from __future__ import annotations

import pytest

from console.workloads.compose import Dependency, load
from tests.workloads.compose.helpers import problems, told

FILE = """
services:
  web:
    image: busybox
    depends_on: %s
  db: {image: busybox, healthcheck: {test: x}}
  cache: {image: busybox}
  quiet: {image: busybox, healthcheck: {disable: true}}
  task: {image: busybox, restart: on-failure}
  job: {image: busybox, deploy: {mode: replicated-job}}
"""


def found(depends_on: str) -> tuple[Dependency, ...]:
    return load(FILE % depends_on).services["web"].depends_on


def warnings(depends_on: str) -> list[tuple[int, str, str]]:
    return [(one.line, one.key, one.message) for one in load(FILE % depends_on).warnings]


@pytest.mark.parametrize(
    ("depends_on", "wanted"),
    [
        ("[db, cache]", (Dependency(service="cache"), Dependency(service="db"))),
        ("{cache: {condition: service_started}}", (Dependency(service="cache"),)),
        (
            "{db: {condition: service_healthy, restart: true, required: false}}",
            (Dependency(service="db", condition="healthy", restart=True, required=False),),
        ),
        (
            "{task: {condition: service_completed_successfully}}",
            (Dependency(service="task", condition="completed"),),
        ),
        (
            "{job: {condition: service_completed_successfully}}",
            (Dependency(service="job", condition="completed"),),
        ),
        ("[]", ()),
    ],
)
def test_forms(depends_on: str, wanted: tuple[Dependency, ...]) -> None:
    assert found(depends_on) == wanted
    assert warnings(depends_on) == []


def test_what_is_not_required_may_be_missing() -> None:
    text = "{gone: {condition: service_started, required: false}}"
    assert found(text) == (Dependency(service="gone", required=False),)
    told = "there is no service 'gone' in this file: nothing waits for it"
    assert warnings(text) == [(5, "services.web.depends_on.gone", told)]


def test_health_may_come_from_the_image() -> None:
    told = "cache has no healthcheck here: if its image has none either, it never gets healthy"
    assert warnings("{cache: {condition: service_healthy}}") == [(5, "services.web.depends_on.cache", told)]


@pytest.mark.parametrize(
    ("depends_on", "key", "code", "message"),
    [
        (
            "{cache: {condition: service_completed_successfully}}",
            "cache",
            "invalid",
            "cache never completes: it is always restarted. Make it a job (deploy.mode: replicated-job), "
            "or give it restart: on-failure or 'no'",
        ),
        (
            "{quiet: {condition: service_healthy}}",
            "quiet",
            "invalid",
            "quiet never gets healthy: its healthcheck is switched off",
        ),
        (
            "{gone: {condition: service_started}}",
            "gone",
            "missing",
            "there is no service 'gone' in this file",
        ),
    ],
)
def test_what_can_never_be(depends_on: str, key: str, code: str, message: str) -> None:
    (one,) = problems(FILE % depends_on)
    assert (one.line, one.key, one.code, one.message) == (5, f"services.web.depends_on.{key}", code, message)


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ("depends_on: 5", (1, "depends_on", "invalid", "must be a mapping (key: value)")),
        ("depends_on:\n  - gone", (2, "depends_on[0]", "missing", "there is no service 'gone' in this file")),
        ("depends_on:\n  - 5", (2, "depends_on[0]", "invalid", "must be text; put '5' in quotes")),
        (
            "depends_on: [web]",
            (1, "depends_on[0]", "invalid", "services wait for each other in a circle: web -> web"),
        ),
    ],
)
def test_wrong_forms(body: str, wanted: tuple[int, str, str, str]) -> None:
    assert told(body) == [wanted]


@pytest.mark.parametrize(
    ("given", "key", "code", "message"),
    [
        ("{}", "", "missing", "a dependency written as a mapping needs a condition"),
        (
            "{condition: started}",
            ".condition",
            "invalid",
            "'started' is none of service_started, service_healthy, service_completed_successfully",
        ),
        (
            "{condition: service_started, restart: maybe}",
            ".restart",
            "invalid",
            "must be true or false, not 'maybe'",
        ),
        (
            "{condition: service_started, require: true}",
            ".require",
            "invalid",
            "unknown key 'require'; did you mean required?",
        ),
    ],
)
def test_wrong_conditions(given: str, key: str, code: str, message: str) -> None:
    (one,) = problems(FILE % f"{{db: {given}}}")
    assert (one.line, one.key, one.code, one.message) == (
        5,
        f"services.web.depends_on.db{key}",
        code,
        message,
    )


def test_one_service_twice() -> None:
    (one,) = problems(FILE % "[db, cache, db]")
    assert (one.key, one.message) == ("services.web.depends_on[2]", "'db' is there twice")


def test_a_circle_is_named_where_it_closes() -> None:
    text = """
    services:
      a:
        image: x
        depends_on: [b, c]
      b:
        image: x
        depends_on:
          c: {condition: service_started}
      c:
        image: x
        depends_on:
          - d
          - a
      d: {image: x}
    """
    told = [(one.line, one.key, one.message) for one in problems(text)]
    assert told == [
        (14, "services.c.depends_on[1]", "services wait for each other in a circle: a -> b -> c -> a")
    ]


def test_extends_adds_to_the_base_in_either_form() -> None:
    text = """
services:
  base: {image: x, depends_on: {db: {condition: service_healthy, restart: true}}}
  web: {extends: base, depends_on: [db, cache]}
  db: {image: x, healthcheck: {test: x}}
  cache: {image: x}
"""
    assert load(text).services["web"].depends_on == (
        Dependency(service="cache"),
        Dependency(service="db", restart=True),
    )
