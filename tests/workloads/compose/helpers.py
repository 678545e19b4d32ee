"""Short ways to load a file and to say what is wrong with one."""

from __future__ import annotations

from textwrap import dedent, indent
from typing import Any

import pytest

from console.workloads.compose import ComposeError, Problem, Project, Service, load

TOP = "volumes: {data: , other: }\nconfigs: {conf: {content: hello}}\n"


def service(body: str, **options: Any) -> Service:
    """The service `web` with an image and these further keys (block style)."""
    return project(body, **options).services["web"]


def project(body: str, **options: Any) -> Project:
    return load(_file(body), **options)


def problems(text: str, **options: Any) -> tuple[Problem, ...]:
    """Problems of a whole file, which must have some."""
    with pytest.raises(ComposeError) as caught:
        load(dedent(text), **options)
    assert caught.value.problems
    return caught.value.problems


def problem(body: str, **options: Any) -> Problem:
    """The only problem of a service `web` with these keys."""
    (only,) = problems(_file(body), **options)
    return only


def told(body: str) -> list[tuple[int, str, str, str]]:
    """All problems of a service `web` with these keys: line of the keys, key below the service, code, message."""
    found = problems(_file(body))
    return [(one.line - 3, one.key.removeprefix("services.web."), one.code, one.message) for one in found]


def _file(body: str) -> str:
    keys = indent(dedent(body).strip("\n"), "    ")
    return f"services:\n  web:\n    image: busybox\n{keys}\n{TOP}"
