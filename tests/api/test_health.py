from __future__ import annotations

from typing import Any, NoReturn

from django.db import OperationalError, connection
from django.test import Client


def test_it_is_well_without_redis(db: None) -> None:
    response = Client().get("/healthz")
    assert (response.status_code, response.json()) == (200, {"database": "ok"})


def test_it_is_not_well_without_the_database(db: None) -> None:
    def fail(*_arguments: Any) -> NoReturn:
        raise OperationalError("gone")

    with connection.execute_wrapper(fail):
        response = Client().get("/healthz")
    assert (response.status_code, response.json()) == (503, {"database": "unavailable"})


def test_it_only_reads(db: None) -> None:
    assert Client().post("/healthz").status_code == 405
