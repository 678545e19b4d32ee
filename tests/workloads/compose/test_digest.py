"""The spec digest changes with what runs, and with nothing else."""

from __future__ import annotations

import hashlib

import msgspec
import pytest

from console.workloads.compose import Project, Service, Spread, Update, load, spec_digest
from tests.workloads.compose.helpers import project, service

BODY = "environment: {A: 1, B: 2}\nports: [8080:80]\nmem_limit: 64m\nconfigs: [conf]"


def digest(spec: Service, image: str = "sha256:1") -> str:
    return spec_digest(spec, image=image)


def test_it_is_a_fixed_function() -> None:
    """A stored digest is compared with one that a later version computes, so the value itself matters."""
    spec = '{"command":["a"],"resources":{"cpu":1000,"memory":536870912,"pids":256}}'
    wanted = hashlib.sha256(f'{{"image":"sha256:1","spec":{spec}}}'.encode()).hexdigest()
    assert digest(service("command: [a]")) == wanted


@pytest.mark.parametrize(
    "added",
    [
        "scale: 5",
        "deploy: {replicas: 3, placement: {max_replicas_per_node: 1, constraints: [node.id==a]}}",
        "deploy: {placement: {preferences: [{spread: node.labels.a}]}, mode: global, labels: {a: b}}",
        "deploy: {update_config: {parallelism: 5}, rollback_config: {order: start-first}}",
        "x-berth: {priority: 5, spread: [{over: node.zone}]}",
        "x-berth: {affinity: [{service: web}], anti_affinity: [{service: '*'}]}",
        "pull_policy: always",
        "x-note: other",
        "restart: always",
        "init: false",
        *(
            "cpus: 1",
            "stop_grace_period: 10s",
            "shm_size: 64m",
            "logging: {driver: json-file}",
            "pids_limit: 256",
        ),
    ],
)
def test_same(added: str) -> None:
    assert digest(service(f"{BODY}\n{added}")) == digest(service(BODY))


@pytest.mark.parametrize(
    "added",
    [
        *("command: [a]", "entrypoint: []", "labels: [a=1]", "user: root", "working_dir: /a", "hostname: a"),
        *("stop_signal: SIGINT", "stop_grace_period: 1s", "init: true", "tty: true", "stdin_open: true"),
        *("shm_size: 1m", "healthcheck: {test: a}", "volumes: ['data:/d']", "tmpfs: /t"),
        *(
            "x-berth: {gpu: 1}",
            "x-berth: {gpu: {share: 0.5}}",
            "x-berth: {disk: 1gb}",
            "x-berth: {exclusive: true}",
        ),
        "deploy: {resources: {reservations: {generic_resources: [{discrete_resource_spec: {kind: a, value: 1}}]}}}",
        *("ulimits: {nofile: 5}", "logging: {driver: local}", "restart: 'no'", "cpus: 0.5", "pids_limit: 9"),
    ],
)
def test_other(added: str) -> None:
    assert digest(service(f"{BODY}\n{added}")) != digest(service(BODY))


def test_a_read_only_root_counts() -> None:
    assert digest(service("command: [a]\nread_only: true")) != digest(service("command: [a]"))


def test_the_image_is_its_identity_and_not_its_name() -> None:
    one, other = (load(f"services: {{web: {{image: {name}}}}}").services["web"] for name in ("a:1", "b:2"))
    assert digest(one) == digest(other)
    assert digest(one, "sha256:1") != digest(one, "sha256:2")


def test_the_content_of_a_config_counts_and_its_neighbours_do_not() -> None:
    text = "services:\n  web: {{image: a, configs: [c]}}\n  db: {{image: {db}}}\nconfigs: {{c: {{content: {content}}}}}"
    one, neighbour, content = (
        load(text.format(db=db, content=content)).services["web"]
        for db, content in (("a", "x"), ("b", "x"), ("a", "y"))
    )
    assert digest(one) == digest(neighbour)
    assert digest(one) != digest(content)


def test_how_a_file_is_written_does_not_count() -> None:
    other = """
# moved down
configs: [{source: conf, target: /conf}]
mem_limit: 65536k
ports: [{target: 80, published: 8080}]
environment: [B=2, A=1]
"""
    assert digest(service(other)) == digest(service(BODY))


def test_it_survives_storage() -> None:
    stored = msgspec.json.encode(msgspec.to_builtins(project(BODY)))
    assert digest(msgspec.json.decode(stored, type=Project).services["web"]) == digest(service(BODY))


def test_whom_it_waits_for_does_not_count() -> None:
    text = "services: {{web: {{image: a, depends_on: {names}}}, db: {{image: a}}}}"
    assert digest(load(text.format(names="[db]")).services["web"]) == digest(
        load(text.format(names="[]")).services["web"]
    )


STORED = """{"services": {"web": {"name": "web", "line": 2, "image": "busybox", "logging": {"driver": "json-file"},
"restart": {}, "resources": {"cpu": 1000, "memory": 536870912, "pids": 256}, "replicas": 4, "placement":
{"constraints": [{"key": "node.id", "equal": true, "value": "x1"}], "spread": ["node.labels.zone",
"node.labels.rack"], "max_per_node": 2}, "defaults": ["cpu", "memory", "pids"]}}}"""
"""As releases were stored before there were modes, weights and dependencies."""


def test_a_release_of_before_can_be_read_and_keeps_its_digest() -> None:
    found = msgspec.json.decode(STORED, type=Project).services["web"]
    assert digest(found, "x") == "3bec490c15278073ccce611a7d68bfbdf081a8132e3e04099954a30d2025b2c6"
    assert found.placement.spreads == (
        Spread(key="node.labels.zone"),
        Spread(key="node.labels.rack", weight=1e-3),
    )
    assert (found.mode, found.update, found.depends_on, found.resources.generic) == (
        "replicated",
        Update(),
        (),
        (),
    )


def test_what_is_left_open_is_stored_as_before() -> None:
    stored = msgspec.to_builtins(service(""))
    assert stored["placement"] == {}
    assert stored["resources"].keys() == {"cpu", "memory", "pids"}
    assert not stored.keys() & {
        "mode",
        "update",
        "rollback",
        "depends_on",
        "priority",
        "exclusive",
        "deploy_labels",
    }
