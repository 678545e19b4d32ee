"""`deploy`: modes, updates, restarts; what each key may say, and which problem it is else."""

from __future__ import annotations

from typing import Any

import pytest

from console.workloads.compose import Restart, Update
from tests.workloads.compose.helpers import project, service, told

FULL = (
    "{parallelism: 2, delay: 1m30s, failure_action: continue, monitor: 500ms,"
    " max_failure_ratio: 0.25, order: start-first}"
)
WHOLE = Update(
    parallelism=2,
    delay=90.0,
    failure_action="continue",
    monitor=0.5,
    max_failure_ratio=0.25,
    order="start-first",
)

VALUES: list[tuple[str, str, Any]] = [
    ("deploy: {mode: replicated}", "mode", "replicated"),
    ("deploy: {mode: global}", "mode", "global"),
    ("deploy: {mode: replicated-job, replicas: 3}", "mode", "replicated-job"),
    ("deploy: {mode: global-job}", "mode", "global-job"),
    ("deploy: {mode: replicated-job}", "restart", Restart(condition="on-failure")),
    (
        "deploy: {mode: global-job, restart_policy: {max_attempts: 2}}",
        "restart",
        Restart(condition="on-failure", max_attempts=2),
    ),
    ("restart: 'no'\ndeploy: {mode: replicated-job}", "restart", Restart(condition="no")),
    ("deploy: {restart_policy: {delay: 5s, window: 1m}}", "restart", Restart(delay=5, window=60)),
    (
        "deploy: {restart_policy: {condition: on-failure, delay: 5s, max_attempts: 3, window: 2m}}",
        "restart",
        Restart(condition="on-failure", max_attempts=3, delay=5, window=120),
    ),
    ("deploy: {restart_policy: {condition: any, max_attempts: 5}}", "restart", Restart()),
    ("deploy: {update_config: {}}", "update", Update()),
    (f"deploy: {{update_config: {FULL}}}", "update", WHOLE),
    (f"deploy: {{rollback_config: {FULL}}}", "rollback", WHOLE),
    (
        "deploy: {update_config: {failure_action: rollback, parallelism: 0}}",
        "update",
        Update(parallelism=0, failure_action="rollback"),
    ),
    (
        "deploy: {update_config: {parallelism: '3', max_failure_ratio: '1'}}",
        "update",
        Update(parallelism=3, max_failure_ratio=1.0),
    ),
    ("deploy: {labels: {a: 1}}", "deploy_labels", {"a": "1"}),
    ("deploy: {labels: [b, a=1]}", "deploy_labels", {"a": "1", "b": ""}),
    ("deploy: {labels: {a: 1}}", "labels", {}),
]


@pytest.mark.parametrize(
    ("body", "field", "wanted"), VALUES, ids=[f"{field} {body}" for body, field, _ in VALUES]
)
def test_value(body: str, field: str, wanted: object) -> None:
    assert getattr(service(body), field) == wanted


CHECKED = "healthcheck: {test: [CMD, check]}"


@pytest.mark.parametrize(
    ("body", "replicas", "wanted"),
    [
        ("", 1, Update(parallelism=1, order="start-first", monitor=5.0)),
        ("", 7, Update(parallelism=1, order="start-first", monitor=5.0)),
        ("", 200, Update(parallelism=50, order="start-first", monitor=5.0)),
        (CHECKED, 8, Update(parallelism=2, order="start-first")),
        ("healthcheck: {disable: true}", 8, Update(parallelism=2, order="start-first", monitor=5.0)),
        (
            "deploy: {update_config: {parallelism: 0}}",
            8,
            Update(parallelism=0, order="start-first", monitor=5.0),
        ),
        (f"{CHECKED}\ndeploy: {{update_config: {FULL}}}", 9, WHOLE),
        (
            "deploy: {update_config: {order: stop-first}}",
            1,
            Update(parallelism=1, order="stop-first", monitor=5.0),
        ),
    ],
)
def test_what_is_left_open_is_decided_by_what_the_service_is(
    body: str, replicas: int, wanted: Update
) -> None:
    found = service(body)
    assert found.filled_in(found.update, replicas) == wanted


@pytest.mark.parametrize(
    ("body", "order"),
    [
        ("ports: [80]", "start-first"),
        ("ports: ['8080:80']", "stop-first"),
        ("volumes: ['data:/d']", "stop-first"),
        ("volumes: [{type: tmpfs, target: /t}]", "start-first"),
        ("tmpfs: /t", "start-first"),
        ("x-berth: {exclusive: true}", "stop-first"),
        ("deploy: {mode: global}", "stop-first"),
        ("deploy: {mode: replicated-job}", "stop-first"),
        ("ports: ['8080:80']\ndeploy: {update_config: {order: start-first}}", "start-first"),
    ],
)
def test_the_new_one_starts_first_where_nothing_keeps_two_from_being_there(body: str, order: str) -> None:
    found = service(body)
    assert found.filled_in(found.update, 1).order == order


@pytest.mark.parametrize(
    ("body", "key"),
    [
        ("deploy: {restart_policy: {condition: none, delay: 5s}}", "deploy.restart_policy.delay"),
        ("deploy: {restart_policy: {condition: none, window: 5s}}", "deploy.restart_policy.window"),
        (
            "deploy: {restart_policy: {condition: none, max_attempts: 5}}",
            "deploy.restart_policy.max_attempts",
        ),
        ("deploy: {endpoint_mode: vip}", "deploy.endpoint_mode"),
        ("deploy: {labels: {a: 1}}", "deploy.labels"),
        ("x-berth: {exclusive: true}\ndeploy: {update_config: {order: start-first}}", "deploy.update_config"),
    ],
)
def test_what_has_no_effect_is_said(body: str, key: str) -> None:
    assert [(one.code, one.key) for one in project(body).warnings] == [("note", f"services.web.{key}")]


def test_an_endpoint_by_names_is_what_berth_does() -> None:
    assert project("deploy: {endpoint_mode: dnsrr}").warnings == ()


ACTIONS = "is none of pause, continue, rollback"
PROBLEMS: list[tuple[str, tuple[int, str, str, str]]] = [
    ("deploy: {mod: global}", (1, "deploy.mod", "invalid", "unknown key 'mod'; did you mean mode?")),
    (
        "deploy: {mode: bogus}",
        (1, "deploy.mode", "invalid", "'bogus' is none of replicated, global, replicated-job, global-job"),
    ),
    ("deploy: {mode: [a]}", (1, "deploy.mode", "invalid", "must be a single value, not a list")),
    (
        "deploy:\n  mode: global\n  replicas: 3",
        (3, "deploy.replicas", "invalid", "replicas has no place in mode global: there is one on every node"),
    ),
    (
        "deploy: {mode: global-job}\nscale: 2",
        (2, "scale", "invalid", "scale has no place in mode global-job: there is one on every node"),
    ),
    (
        "deploy:\n  mode: global\n  placement:\n    max_replicas_per_node: 2",
        (
            4,
            "deploy.placement",
            "invalid",
            "max_replicas_per_node has no place in mode global: there is one on every node",
        ),
    ),
    ("deploy: {endpoint_mode: x}", (1, "deploy.endpoint_mode", "invalid", "'x' is none of vip, dnsrr")),
    (
        "deploy: {labels: {berth.x: 1}}",
        (1, "deploy.labels.berth.x", "refused", "labels below berth. are Berth's own"),
    ),
    (
        "deploy:\n  update_config:\n    paralelism: 2",
        (
            3,
            "deploy.update_config.paralelism",
            "invalid",
            "unknown key 'paralelism'; did you mean parallelism?",
        ),
    ),
    ("deploy: {update_config: 3}", (1, "deploy.update_config", "invalid", "must be a mapping (key: value)")),
    (
        "deploy:\n  update_config:\n    parallelism: -1",
        (3, "deploy.update_config.parallelism", "invalid", "-1 is out of range (0 to 100000)"),
    ),
    (
        "deploy: {update_config: {delay: 5}}",
        (1, "deploy.update_config.delay", "invalid", "must be text; put '5' in quotes"),
    ),
    (
        "deploy: {update_config: {failure_action: stop}}",
        (1, "deploy.update_config.failure_action", "invalid", f"'stop' {ACTIONS}"),
    ),
    (
        "deploy: {update_config: {monitor: soon}}",
        (1, "deploy.update_config.monitor", "invalid", "'soon' is not a duration such as 1m30s"),
    ),
    (
        "deploy: {update_config: {max_failure_ratio: 1.5}}",
        (1, "deploy.update_config.max_failure_ratio", "invalid", "1.5 is out of range (0 to 1)"),
    ),
    (
        "deploy: {update_config: {max_failure_ratio: lots}}",
        (1, "deploy.update_config.max_failure_ratio", "invalid", "must be a number, not 'lots'"),
    ),
    (
        "deploy: {update_config: {order: any}}",
        (1, "deploy.update_config.order", "invalid", "'any' is none of stop-first, start-first"),
    ),
    (
        "deploy:\n  rollback_config:\n    failure_action: rollback",
        (
            3,
            "deploy.rollback_config.failure_action",
            "invalid",
            "a rollback cannot be rolled back: use pause or continue",
        ),
    ),
    (
        "restart: always\ndeploy: {mode: replicated-job}",
        (
            1,
            "restart",
            "invalid",
            "a job runs to its end, so it cannot always be restarted: use on-failure, or none",
        ),
    ),
    (
        "deploy: {mode: global-job, restart_policy: {condition: any}}",
        (
            1,
            "deploy.restart_policy",
            "invalid",
            "a job runs to its end, so it cannot always be restarted: use on-failure, or none",
        ),
    ),
    (
        "deploy: {restart_policy: {delay: 5}}",
        (1, "deploy.restart_policy.delay", "invalid", "must be text; put '5' in quotes"),
    ),
    (
        "deploy: {restart_policy: {condition: x}}",
        (1, "deploy.restart_policy.condition", "invalid", "'x' is none of none, on-failure and any"),
    ),
]


@pytest.mark.parametrize(("body", "wanted"), PROBLEMS, ids=[body for body, _ in PROBLEMS])
def test_problem(body: str, wanted: tuple[int, str, str, str]) -> None:
    assert told(body) == [wanted]


@pytest.mark.parametrize(
    "body",
    [
        "deploy: {mode: global, update_config: {order: start-first}}",
        "volumes: ['data:/d']\ndeploy: {update_config: {order: start-first}}",
    ],
)
def test_start_first_needs_the_host_port_to_be_left_open_where_the_node_is_given(body: str) -> None:
    (found,) = told(f"{body}\nports: ['8080:80']")
    assert found[1:3] == ("deploy.update_config", "invalid")
    assert service(f"{body}\nports: [80]").update.order == "start-first"
