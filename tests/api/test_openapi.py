from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import pytest
import yaml
from django.core.management import call_command
from django.test import Client
from drf_spectacular.generators import SchemaGenerator
from pytest_django import DjangoAssertNumQueries

from console.api.urls import urlpatterns
from tests.api.caller import BASE


@pytest.mark.thorough
def test_the_schema_is_valid_without_a_warning(tmp_path: Path) -> None:
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(tmp_path / "schema.yml"))
    schema = yaml.safe_load((tmp_path / "schema.yml").read_text())
    assert schema["openapi"] == "3.1.1"
    assert len(schema["paths"]) == len(urlpatterns) - 1
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            assert operation.get("description"), f"{method} {path} says nothing"
            error = operation["responses"]["default"]["content"]["application/json"]["schema"]
            assert error == {"$ref": "#/components/schemas/Error"}
            assert ({"token": []} in operation.get("security", [])) is (path != f"{BASE}/join")


def test_the_schema_is_there_for_everybody(db: None) -> None:
    response = Client().get(f"{BASE}/schema")
    assert response.status_code == 200
    assert response.json()["info"]["title"] == "Berth"
    logs = response.json()["paths"][f"{BASE}/teams/{{team}}/apps/{{app}}/logs"]["get"]
    kinds = {"application/x-ndjson", "text/event-stream", "text/plain"}
    assert set(logs["responses"]["200"]["content"]) == kinds


def test_it_is_made_once_and_known_again(db: None, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    first = Client().get(f"{BASE}/schema")
    with (
        django_assert_num_queries(0),
        patch.object(SchemaGenerator, "get_schema", side_effect=AssertionError),
    ):
        again = Client().get(f"{BASE}/schema", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert Client().post(f"{BASE}/schema").status_code == 405
