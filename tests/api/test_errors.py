"""Whatever goes wrong, a client of the API sees one shape."""

from __future__ import annotations

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from tests.api.caller import BASE, Caller, People

APPS = "/teams/home/apps"


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_an_unknown_address(people: People, method: str) -> None:
    answer = people.owner.send(method, "/nothing")
    assert (answer.status, answer.error["code"]) == (404, "not_found")


def test_pages_keep_their_own_errors(db: None) -> None:
    response = Client().get("/no/such/page")
    assert (response.status_code, response.headers["Content-Type"].split(";")[0]) == (404, "text/html")


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS"])
def test_a_wrong_method(people: People, method: str) -> None:
    answer = people.owner.send(method, APPS)
    assert (answer.status, answer.error["code"]) == (405, "method_not_allowed")
    assert answer.headers["Allow"] == "GET, HEAD, POST"


@pytest.mark.parametrize(
    "body",
    [b'{"name": ', b"\xff", b'{"name": NaN}', b"[" * 100_000, b"[" * 100_000 + b"]" * 100_000, b"9" * 5000],
    ids=["cut", "not-utf8", "nan", "deep", "deep-and-closed", "huge-number"],
)
def test_malformed_json(people: People, body: bytes) -> None:
    answer = people.owner.send("POST", APPS, body)
    assert (answer.status, answer.error["code"]) == (400, "parse_error")


@pytest.mark.parametrize("body", [b"[]", b'"text"', b"7", b"null"])
def test_json_that_is_no_object(people: People, body: bytes) -> None:
    answer = people.owner.send("POST", APPS, body)
    assert (answer.status, answer.error["code"], list(answer.error["fields"])) == (400, "invalid", ["body"])


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
)
def test_a_wrong_content_type(people: People, kind: str) -> None:
    answer = people.owner.send("POST", APPS, b"name=shop", kind=kind)
    assert (answer.status, answer.error["code"]) == (415, "unsupported_media_type")


def test_a_body_that_is_too_large(people: People, settings: Settings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    answer = people.owner.post(APPS, {"name": "shop", "compose": "x" * 1000})
    assert (answer.status, answer.error["code"]) == (413, "too_large")


def test_a_body_of_unknown_length(people: People) -> None:
    headers = {**people.owner.headers, "transfer-encoding": "chunked"}
    response = people.owner.client.post(
        BASE + APPS, {"name": "x"}, "application/json", headers=headers, CONTENT_LENGTH=""
    )
    assert (response.status_code, response.json()["error"]["code"]) == (411, "length_required")


def test_an_answer_that_we_do_not_speak(people: People) -> None:
    answer = people.owner.get("/me", {"accept": "text/html"})
    assert (answer.status, answer.error["code"]) == (406, "not_acceptable")


def test_a_wrong_host(people: People) -> None:
    answer = people.owner.get("/me", {"host": "evil.example"})
    assert (answer.status, answer.error["code"]) == (400, "invalid")


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [("broken", 500, "internal"), ("throttled", 429, "throttled"), ("busy", 503, "unavailable")],
)
def test_failures_of_ours(db: None, settings: Settings, path: str, status: int, code: str) -> None:
    settings.ROOT_URLCONF = "tests.api.error_urls"
    answer = Caller().get(f"/test/{path}")
    assert (answer.status, answer.error["code"]) == (status, code)
    assert "secret" not in str(answer.body)
    assert answer.headers.get("Retry-After") == {"throttled": "3", "busy": "1"}.get(path)


def test_request_ids(people: People) -> None:
    mine = people.owner.get("/me", {"x-request-id": "build-42.a"})
    assert mine.headers["X-Request-Id"] == "build-42.a"
    for given in ("with space", "x" * 65, ""):
        answer = people.anonymous.get("/me", {"x-request-id": given})
        assert len(answer.error["request_id"]) == 16
    assert people.owner.get("/me").headers["X-Request-Id"] != people.owner.get("/me").headers["X-Request-Id"]


def test_names_that_no_database_would_take(people: People) -> None:
    for name in ("a%00b", "a%20b", "-", "x" * 101, "%F0%9F%9A%A2"):
        assert people.owner.get(f"{APPS}/{name}").status == 404


def test_other_kinds_of_credentials_are_no_token(db: None) -> None:
    for header in ("Basic YTpi", "Token x", "Bearer"):
        response = Client().get(f"{BASE}/me", headers={"authorization": header})
        assert response.status_code == 401


def test_reads_are_asked_for_again_and_writes_are_not_kept(people: People) -> None:
    assert people.owner.get("/me").headers["Cache-Control"] == "private, no-cache"
    made = people.owner.post("/teams/home/tokens", {"name": "ci"})
    assert made.headers["Cache-Control"] == "no-store"
