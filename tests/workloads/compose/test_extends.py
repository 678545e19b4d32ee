"""`extends` within the file. How single keys merge is judged by Compose itself, on corpus/extends.yml."""

from __future__ import annotations

from console.workloads.compose import load
from tests.workloads.compose.helpers import problems


def test_a_service_inherits_and_overrides() -> None:
    services = load(
        """
        services:
          base: {image: a, user: base, labels: [a=1, b=1], environment: {A: 1}}
          web: {extends: {service: base}, user: web, labels: {b: 2}, environment: [B=2, A]}
        """,
        variables={"A": "from outside"},
    ).services
    web = services["web"]
    assert (web.image, web.user, web.labels) == ("a", "web", {"a": "1", "b": "2"})
    assert web.environment == {"A": "1", "B": "2"}
    assert services["base"].user == "base"


def test_a_problem_of_the_base_is_told_of_each_that_has_it() -> None:
    found = problems("services:\n  base: {image: a, pid: host}\n  web: {extends: base}\n")
    assert [(one.line, one.service, one.code) for one in found] == [
        (2, "base", "refused"),
        (2, "web", "refused"),
    ]


def test_a_circle_is_told_once() -> None:
    found = problems("services:\n  a: {image: x, extends: b}\n  b: {image: x, extends: a}\n")
    assert [(one.key, one.message) for one in found] == [
        ("services.b.extends", "services extend each other in a circle")
    ]


def test_what_cannot_merge_is_told_where_it_stands() -> None:
    found = problems("services:\n  base: {image: a, labels: [5]}\n  web: {extends: base, labels: {a: b}}\n")
    assert [(one.line, one.service, one.key) for one in found] == [(2, "base", "services.base.labels[0]")]


def test_extends_needs_a_service() -> None:
    assert [one.code for one in problems("services: {a: {image: x, extends: {}}}")] == ["missing"]
    assert [one.code for one in problems("services: {a: {image: x, extends: [b]}}")] == ["invalid"]
