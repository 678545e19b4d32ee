"""`secrets`: where they come from, how services get them, and that no value enters the model."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from console.workloads.compose import ComposeError, Project, SecretFile, SecretSource, load, spec_digest

VALUE = "correct horse battery staple"


def loaded(service: str, secrets: str, **given: Any) -> Project:
    return load(f"services:\n  web: {{image: busybox, {service}}}\nsecrets: {secrets}\n", **given)


def problems(service: str, secrets: str = "{a: {external: true}}", **given: Any) -> list[tuple[str, str]]:
    with pytest.raises(ComposeError) as refused:
        loaded(service, secrets, **given)
    return [(one.code, one.key) for one in refused.value.problems]


@pytest.mark.parametrize(
    ("top", "source"),
    [
        ("", SecretSource(name="a")),
        ("{}", SecretSource(name="a")),
        ("{external: true}", SecretSource(name="a")),
        ("{external: true, name: real}", SecretSource(name="real")),
        ("{external: {name: real}}", SecretSource(name="real")),
        ("{file: ./a.txt}", SecretSource(name="a", kind="file", key="./a.txt")),
        ("{environment: TOKEN}", SecretSource(name="a", kind="environment", key="TOKEN")),
        ("{environment: TOKEN, name: real}", SecretSource(name="real", kind="environment", key="TOKEN")),
    ],
)
def test_where_a_secret_comes_from(top: str, source: SecretSource) -> None:
    assert loaded("secrets: [a]", f"{{a: {top}}}").secrets == {"a": source}


@pytest.mark.parametrize(
    ("written", "file"),
    [
        ("a", SecretFile(source="a", target="/run/secrets/a")),
        ("{source: a, target: b}", SecretFile(source="a", target="/run/secrets/b")),
        ("{source: a, target: b/c}", SecretFile(source="a", target="/run/secrets/b/c")),
        ("{source: a, target: /etc/b}", SecretFile(source="a", target="/etc/b")),
        (
            "{source: a, uid: '5', gid: '6', mode: 0440}",
            SecretFile(source="a", target="/run/secrets/a", uid=5, gid=6, mode=0o440),
        ),
    ],
)
def test_how_a_service_gets_it(written: str, file: SecretFile) -> None:
    assert loaded(f"secrets: [{written}]", "{a: {external: true}}").services["web"].secrets == (file,)


def test_without_an_owner_it_belongs_to_the_user_of_the_service() -> None:
    (file,) = loaded("user: '1000:1001', secrets: [a]", "{a: }").services["web"].secrets
    assert (file.uid, file.gid, file.mode) == (1000, 1001, 0o400)


def test_a_user_by_name_is_warned_of() -> None:
    (warning,) = loaded("user: app, secrets: [a]", "{a: }").warnings
    assert (warning.key, warning.code) == ("services.web.secrets", "note")


def test_values_never_enter_the_model() -> None:
    given = {"variables": {"TOKEN": VALUE}, "files": {"a.txt": VALUE}}
    project = loaded("secrets: [a, b]", "{a: {file: ./a.txt}, b: {environment: TOKEN}}", **given)
    assert VALUE not in msgspec.json.encode(project).decode()


def test_nothing_else_finds_what_is_a_secret() -> None:
    given = {"variables": {"TOKEN": VALUE}, "files": {"a.txt": VALUE, "b.env": "OTHER=${TOKEN:-none}"}}
    project = loaded(
        "secrets: [a], environment: [TOKEN], env_file: [b.env]", "{a: {environment: TOKEN}}", **given
    )
    assert project.services["web"].environment == {"OTHER": "none"}


@pytest.mark.parametrize("use", ["$TOKEN", "${TOKEN}", "a${TOKEN:-x}", "${OTHER:-$TOKEN}"])
def test_a_variable_that_is_a_secret_is_written_nowhere_else(use: str) -> None:
    given = {"variables": {"TOKEN": VALUE}}
    found = problems(f"labels: {{a: '{use}'}}", "{a: {environment: TOKEN}}", **given)
    assert found == [("refused", "secrets.a")]


@pytest.mark.parametrize("use", ["$$TOKEN", "${TOKENS:-x}", "${TOKEN_FILE:-x}"])
def test_other_names_are_no_use_of_it(use: str) -> None:
    assert loaded(f"labels: {{a: '{use}'}}", "{a: {environment: TOKEN}}").secrets


def test_a_file_that_is_a_secret_is_no_config() -> None:
    text = "services: {web: {image: busybox}}\nsecrets: {a: {file: a.txt}}\nconfigs: {c: {file: ./a.txt}}\n"
    with pytest.raises(ComposeError) as refused:
        load(text, files={"a.txt": VALUE})
    assert [one.key for one in refused.value.problems] == ["configs.c.file"]


@pytest.mark.parametrize(
    ("service", "secrets", "found"),
    [
        ("secrets: [b]", "{a: }", ("missing", "services.web.secrets[0]")),
        (
            "secrets: [{source: a, target: ../../etc/passwd}]",
            "{a: }",
            ("invalid", "services.web.secrets[0].target"),
        ),
        ("secrets: [{source: a, target: /}]", "{a: }", ("invalid", "services.web.secrets[0].target")),
        ("secrets: [a, {source: a, target: /run/secrets/a}]", "{a: }", ("invalid", "services.web.secrets")),
        ("secrets: [{source: a, owner: 0}]", "{a: }", ("invalid", "services.web.secrets[0].owner")),
        ("labels: {}", "{'../a': }", ("invalid", "secrets.../a")),
        ("labels: {}", "{a: {external: true, file: x}}", ("invalid", "secrets.a")),
        ("labels: {}", "{a: {environment: A, file: x}}", ("invalid", "secrets.a")),
        ("labels: {}", "{a: {external: true, name: ../b}}", ("invalid", "secrets.a.name")),
        ("labels: {}", "{a: {driver: vault}}", ("unsupported", "secrets.a.driver")),
        (
            "x-berth: {secret_environment: {A: b}}",
            "{a: }",
            ("missing", "services.web.x-berth.secret_environment.A"),
        ),
        (
            "x-berth: {secret_environment: {'A=B': a}}",
            "{a: }",
            ("invalid", "services.web.x-berth.secret_environment.A=B"),
        ),
        (
            "environment: {A: 1}, x-berth: {secret_environment: {A: a}}",
            "{a: }",
            ("invalid", "services.web.x-berth.secret_environment.A"),
        ),
    ],
)
def test_what_cannot_be(service: str, secrets: str, found: tuple[str, str]) -> None:
    assert problems(service, secrets) == [found]


def test_in_the_environment_it_comes_with_a_warning() -> None:
    project = loaded("x-berth: {secret_environment: {A: a}}", "{a: }")
    assert project.services["web"].secret_environment == {"A": "a"}
    (warning,) = project.warnings
    assert "docker inspect" in warning.message


def test_another_version_is_another_container_and_only_of_who_takes_it() -> None:
    project = load("services: {web: {image: x, secrets: [a]}, db: {image: x}}\nsecrets: {a: , b: }\n")
    web, db = project.services["web"], project.services["db"]

    def digest(of: object, a: str, b: str) -> str:
        return spec_digest(of, image="i", secrets={"a": a, "b": b})  # type: ignore[arg-type]

    assert digest(web, "1", "1") != digest(web, "2", "1")
    assert digest(web, "1", "1") == digest(web, "1", "2")
    assert digest(db, "1", "1") == digest(db, "2", "2") == spec_digest(db, image="i")
