from __future__ import annotations

from pathlib import Path

import yaml
from django.core.management import call_command
from django.test import Client

from console.api.urls import urlpatterns
from tests.api.caller import BASE


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
