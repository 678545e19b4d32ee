"""Every supported key of a service, in each of its forms."""

from __future__ import annotations

from typing import Any

import pytest

from console.workloads.compose import (
    ConfigFile,
    Constraint,
    Healthcheck,
    Logging,
    Mount,
    Placement,
    Policy,
    Port,
    Resources,
    Restart,
    Service,
    Ulimit,
)
from tests.workloads.compose.helpers import project, service

MIB = 1024 * 1024


def test_a_minimal_service_shows_its_defaults() -> None:
    assert service("") == Service(
        name="web",
        line=2,
        image="busybox",
        resources=Resources(cpu=1000, memory=512 * MIB, pids=256),
        defaults=("cpu", "memory", "pids", "restart", "log_max_size", "log_max_file"),
    )


def test_default_limits_come_from_the_policy() -> None:
    policy = Policy(cpu=250, memory=64 * MIB, pids=32)
    assert service("", policy=policy).resources == Resources(cpu=250, memory=64 * MIB, pids=32)


VALUES: list[tuple[str, str, Any]] = [
    ("command: sh -c 'echo a | cat'", "command", ("sh", "-c", "echo a | cat")),
    ("command: [sh, -c, x]", "command", ("sh", "-c", "x")),
    ("command: []", "command", ()),
    ("command:", "command", None),
    ("entrypoint: /bin/sh -e", "entrypoint", ("/bin/sh", "-e")),
    ('entrypoint: ""', "entrypoint", ()),
    (
        "environment: {B: 1.50, A: true, C: '', D: 0x10}",
        "environment",
        {"A": "true", "B": "1.5", "C": "", "D": "16"},
    ),
    ("environment: [A=1, B=, C==x]", "environment", {"A": "1", "B": "", "C": "=x"}),
    ("labels: {a: 1, b: }", "labels", {"a": "1", "b": ""}),
    ("labels: [a=1, b]", "labels", {"a": "1", "b": ""}),
    ("user: '1000:1000'", "user", "1000:1000"),
    ("working_dir: /srv", "working_dir", "/srv"),
    ("hostname: web-1", "hostname", "web-1"),
    ("stop_signal: SIGINT", "stop_signal", "SIGINT"),
    ("stop_grace_period: 1m30s", "stop_grace_period", 90.0),
    ("init: true", "init", True),
    ("init: 'yes'", "init", True),
    ("tty: true", "tty", True),
    ("stdin_open: true", "stdin_open", True),
    ("read_only: true", "read_only", True),
    ("shm_size: 128m", "shm_size", 128 * MIB),
    ("pull_policy: always", "pull_policy", "always"),
    ("pull_policy: if_not_present", "pull_policy", "missing"),
    (
        "healthcheck: {test: x, interval: 5s}",
        "healthcheck",
        Healthcheck(test=("CMD-SHELL", "x"), interval=5.0),
    ),
    (
        "healthcheck: {test: [CMD, a, b], timeout: 1m, retries: 3, start_period: 500ms}",
        "healthcheck",
        Healthcheck(test=("CMD", "a", "b"), timeout=60.0, retries=3, start_period=0.5),
    ),
    ("healthcheck: {disable: true}", "healthcheck", Healthcheck(test=("NONE",))),
    ("healthcheck: {test: [NONE]}", "healthcheck", Healthcheck(test=("NONE",))),
    ("ports: [80]", "ports", (Port(container=80),)),
    ("ports: ['8080:80/udp']", "ports", (Port(container=80, host=8080, protocol="udp"),)),
    ("ports: ['0.0.0.0:8080:80']", "ports", (Port(container=80, host=8080),)),
    ("ports: ['8080-8081:80-81']", "ports", (Port(container=80, host=8080), Port(container=81, host=8081))),
    ("ports: ['80-81']", "ports", (Port(container=80), Port(container=81))),
    ("ports: ['8080:80', '8080:80/tcp']", "ports", (Port(container=80, host=8080),)),
    ("ports: [{target: 80}]", "ports", (Port(container=80),)),
    (
        "ports: [{target: 80, published: '8080', protocol: udp, mode: host}]",
        "ports",
        (Port(container=80, host=8080, protocol="udp"),),
    ),
    ("expose: [80, '90-91', 53/udp]", "expose", ("80", "90-91", "53/udp")),
    ("volumes: ['data:/d']", "volumes", (Mount(kind="volume", source="data", target="/d"),)),
    (
        "volumes: ['data:/d/../e/:ro']",
        "volumes",
        (Mount(kind="volume", source="data", target="/e", read_only=True),),
    ),
    (
        "volumes: [{type: volume, source: data, target: /d, read_only: true}]",
        "volumes",
        (Mount(kind="volume", source="data", target="/d", read_only=True),),
    ),
    (
        "volumes: [{type: tmpfs, target: /t, tmpfs: {size: 1m, mode: 01777}}]",
        "volumes",
        (Mount(kind="tmpfs", target="/t", size=MIB, mode=0o1777),),
    ),
    ("tmpfs: /run", "tmpfs", (Mount(kind="tmpfs", target="/run"),)),
    (
        "tmpfs: ['/run:size=64m,mode=700', /tmp]",
        "tmpfs",
        (Mount(kind="tmpfs", target="/run", size=64 * MIB, mode=0o700), Mount(kind="tmpfs", target="/tmp")),
    ),
    ("configs: [conf]", "configs", (ConfigFile(source="conf", target="/conf", content="hello"),)),
    (
        "configs: [{source: conf, target: /etc/x, uid: '1', gid: '2', mode: 0400}]",
        "configs",
        (ConfigFile(source="conf", target="/etc/x", content="hello", uid=1, gid=2, mode=0o400),),
    ),
    (
        "ulimits: {nofile: 5, nproc: {soft: 1, hard: 2}}",
        "ulimits",
        (Ulimit(name="nofile", soft=5, hard=5), Ulimit(name="nproc", soft=1, hard=2)),
    ),
    (
        "logging: {driver: local, options: {max-size: 1m, max-file: '2'}}",
        "logging",
        Logging(driver="local", max_size=MIB, max_file=2),
    ),
    ("logging: {options: {max-file: 5}}", "logging", Logging(max_file=5)),
    ("restart: 'no'", "restart", Restart(condition="no")),
    ("restart: always", "restart", Restart(condition="unless-stopped")),
    ("restart: on-failure:3", "restart", Restart(condition="on-failure", max_attempts=3)),
    ("deploy: {restart_policy: {condition: none}}", "restart", Restart(condition="no")),
    ("deploy: {restart_policy: {condition: any}}", "restart", Restart()),
    (
        "deploy: {restart_policy: {condition: on-failure, max_attempts: 2}}",
        "restart",
        Restart(condition="on-failure", max_attempts=2),
    ),
    ("scale: 3", "replicas", 3),
    ("deploy: {mode: replicated, replicas: '2'}", "replicas", 2),
    (
        "{cpus: 0.5, mem_limit: 64m, pids_limit: 10, mem_reservation: 32m}",
        "resources",
        Resources(cpu=500, memory=64 * MIB, pids=10, memory_reserved=32 * MIB),
    ),
    (
        "deploy: {resources: {limits: {cpus: '1.5', memory: 1gb, pids: 5}, reservations: {cpus: 0.25, memory: 6m}}}",
        "resources",
        Resources(cpu=1500, memory=1024 * MIB, pids=5, cpu_reserved=250, memory_reserved=6 * MIB),
    ),
    (
        "deploy: {placement: {constraints: ['node.labels.a == b c', node.id!=x],"
        " preferences: [{spread: node.labels.zone}], max_replicas_per_node: 2}}",
        "placement",
        Placement(
            constraints=(
                Constraint(key="node.labels.a", equal=True, value="b c"),
                Constraint(key="node.id", equal=False, value="x"),
            ),
            spread=("node.labels.zone",),
            max_per_node=2,
        ),
    ),
    ("x-note: {a: [1, null]}", "x", {"x-note": {"a": [1, None]}}),
]


@pytest.mark.parametrize(("body", "field", "wanted"), VALUES, ids=[body for body, _, _ in VALUES])
def test_key(body: str, field: str, wanted: object) -> None:
    body = "\n".join(body[1:-1].split(", ")) if body.startswith("{") else body
    assert getattr(service(body), field) == wanted


def test_given_limits_are_no_defaults() -> None:
    body = "cpus: 1\nmem_limit: 64m\npids_limit: 9\nrestart: always\nlogging: {options: {max-size: 1m, max-file: 1}}"
    assert service(body).defaults == ()


def test_a_low_host_port_needs_the_policy() -> None:
    assert service("ports: ['80:80']", policy=Policy(low_ports=True)).ports == (Port(container=80, host=80),)


def test_a_name_without_value_takes_the_variable_or_is_dropped_with_a_warning() -> None:
    found = project("environment: {A: , B: }", variables={"A": "1"})
    assert found.services["web"].environment == {"A": "1"}
    (warning,) = found.warnings
    assert (warning.line, warning.column, warning.service, warning.key, warning.code) == (
        *(4, 24),
        "web",
        "services.web.environment.B",
        "unset",
    )


@pytest.mark.parametrize(
    ("body", "code", "key"),
    [
        ("privileged: false", "note", "services.web.privileged"),
        ("security_opt: ['no-new-privileges:true']", "note", "services.web.security_opt[0]"),
        ("restart: always\ndeploy: {restart_policy: {condition: none}}", "note", "services.web.restart"),
        ("labels: {a: $NOPE}", "unset", "services.web.labels.a"),
        ("environment: [A=1, A=2]", "note", "services.web.environment[1]"),
    ],
)
def test_what_has_no_effect_is_said(body: str, code: str, key: str) -> None:
    assert [(warning.code, warning.key) for warning in project(body).warnings] == [(code, key)]
