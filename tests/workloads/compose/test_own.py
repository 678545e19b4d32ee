"""`x-berth` of a service."""

from __future__ import annotations

from typing import Any

import pytest

from console.workloads.compose import Affinity, GenericResource, Spread, canonical, load
from tests.workloads.compose.helpers import problems, project, service, told

GIB = 1024**3
NODE_KEY = "is not a node's key such as node.zone or node.labels.rack"


def own(text: str) -> Any:
    return service(f"x-berth: {text}")


def test_plain_values() -> None:
    found = own("{priority: -1000, exclusive: true, disk: 1gb}")
    assert (found.priority, found.exclusive, found.resources.disk, found.x) == (-1000, True, GIB, {})


def test_left_out() -> None:
    found = own("{}")
    assert (found.priority, found.exclusive, found.resources.disk) == (0, False, 0)
    assert found == service("x-berth:") == service("")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("manage.py migrate --noinput", ("manage.py", "migrate", "--noinput")),
        ("[sh, -c, 'a && b']", ("sh", "-c", "a && b")),
        ("sh -c 'a && b'", ("sh", "-c", "a && b")),
    ],
)
def test_a_release_command(text: str, words: tuple[str, ...]) -> None:
    found = load(
        f"services:\n  web:\n    image: busybox\n    x-berth:\n      release_command: {text}\n"
        "    entrypoint: [/run]\n    ports: [80]\n    volumes: ['data:/d']\n    environment: {A: b}\n"
        "    depends_on: [db]\n    deploy: {replicas: 5, placement: {max_replicas_per_node: 1}}\n"
        "  db: {image: redis}\nvolumes: {data: }\n"
    )
    web = found.services["web"]
    assert web.release_command == words
    [command] = found.commands.values()
    assert found.find("web.release") == command
    assert (command.name, command.command, command.entrypoint) == ("web.release", words, ("/run",))
    assert (command.image, command.environment, command.volumes) == (web.image, {"A": "b"}, web.volumes)
    assert (command.mode, command.replicas, command.restart.condition) == ("replicated-job", 1, "no")
    assert (command.ports, command.placement.max_per_node, command.depends_on) == ((), 0, web.depends_on)
    assert command.release_command is None
    assert canonical(found)["services"]["web"]["x-berth"] == {"release_command": list(words)}
    assert list(canonical(found)["services"]) == ["web", "db"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("''", "a release command needs a program to run"),
        ("[]", "a release command needs a program to run"),
        ("['']", "a release command needs a program to run"),
        ("a && b", "& needs a shell: put it in quotes, or write ['sh', '-c', '…']"),
        ("{a: b}", "must be a single value, not a mapping"),
    ],
)
def test_what_is_no_release_command(text: str, message: str) -> None:
    assert (2, "x-berth.release_command", "invalid", message) in told(f"x-berth:\n  release_command: {text}")


def test_a_release_command_needs_its_name() -> None:
    found = problems(
        "services:\n  web:\n    image: busybox\n    x-berth:\n      release_command: 'true'\n"
        "  web.release: {image: busybox}\n"
    )
    assert [(one.line, one.service, one.key, one.message) for one in found] == [
        (
            5,
            "web",
            "services.web.x-berth.release_command",
            "its containers are named 'web.release', and the file has a service of this name",
        )
    ]


def test_a_release_command_is_not_inherited() -> None:
    """A worker that extends the web service must not run the migrations a second time."""
    found = load(
        "services:\n  web: {image: busybox, x-berth: {release_command: migrate, priority: 3}}\n"
        "  worker: {extends: web, command: work}\n"
    )
    assert list(found.commands) == ["web.release"]
    assert found.services["worker"].priority == 3


def test_spread_comes_after_what_compose_prefers() -> None:
    found = service(
        "x-berth: {spread: [{over: node.labels.rack, weight: 2.5}, {over: node.zone}]}\n"
        "deploy: {placement: {preferences: [{spread: node.zone}, {spread: node.labels.row}]}}"
    ).placement
    assert found.spread == ("node.zone", "node.labels.row")
    assert found.weighted == (Spread(key="node.labels.rack", weight=2.5), Spread(key="node.zone"))
    assert found.spreads == (
        Spread(key="node.zone"),
        Spread(key="node.labels.row", weight=1e-3),
        *found.weighted,
    )


def test_affinity() -> None:
    found = own(
        "{affinity: [{service: web}, {service: '*', over: node.zone, required: true}],"
        " anti_affinity: [{service: web, over: node.labels.rack, weight: 100}]}"
    )
    assert found.placement.affinity == (
        Affinity(service="web"),
        Affinity(service="*", over="node.zone", required=True),
        Affinity(service="web", over="node.labels.rack", anti=True, weight=100.0),
    )


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("{gpu: 2}", GenericResource(kind="gpu", units=2)),
        ("{gpu: {units: 2}}", GenericResource(kind="gpu", units=2)),
        ("{gpu: {share: 0.5}}", GenericResource(kind="gpu", share=500)),
        ("{gpu: {share: '0.0014'}}", GenericResource(kind="gpu", share=1)),
        ("{resources: {fpga: 3}}", GenericResource(kind="fpga", units=3)),
        ("{resources: {nic: {share: 0.25}}}", GenericResource(kind="nic", share=250)),
    ],
)
def test_generic_resources(text: str, wanted: GenericResource) -> None:
    assert own(text).resources.generic == (wanted,)


def test_a_weight_beside_required_is_noted() -> None:
    found = project("x-berth: {affinity: [{service: web, required: true, weight: 5}]}")
    assert [(one.code, one.key) for one in found.warnings] == [
        ("note", "services.web.x-berth.affinity[0].weight")
    ]


def test_the_normal_form() -> None:
    text = (
        "x-berth: {priority: 3, exclusive: true, disk: 1gb, gpu: {share: 0.5}, resources: {fpga: 1},"
        " spread: [{over: node.zone, weight: 2}], affinity: [{service: web, required: true}],"
        " anti_affinity: [{service: '*', weight: 7}]}"
    )
    found = canonical(project(text))["services"]["web"]
    assert found["x-berth"] == {
        "priority": 3,
        "exclusive": True,
        "disk": str(GIB),
        "resources": {"gpu": {"share": 0.5}},
        "spread": [{"over": "node.zone", "weight": 2.0}],
        "affinity": [{"service": "web", "over": "node.id", "required": True}],
        "anti_affinity": [{"service": "*", "over": "node.id", "weight": 7.0}],
    }
    assert found["deploy"]["resources"]["reservations"]["generic_resources"] == [
        {"discrete_resource_spec": {"kind": "fpga", "value": 1}}
    ]


PROBLEMS: list[tuple[str, tuple[int, str, str, str]]] = [
    ("5", (1, "", "invalid", "must be a mapping (key: value)")),
    ("\n  priorty: 5", (2, ".priorty", "invalid", "unknown key 'priorty'; did you mean priority?")),
    ("\n  domains: []", (2, ".domains", "unsupported", "domains is not supported yet")),
    ("\n  priority: 1001", (2, ".priority", "invalid", "1001 is out of range (-1000 to 1000)")),
    ("{priority: 1.5}", (1, ".priority", "invalid", "must be a whole number, not '1.5'")),
    ("{exclusive: maybe}", (1, ".exclusive", "invalid", "must be true or false, not 'maybe'")),
    ("{disk: 0}", (1, ".disk", "invalid", "must be at least 1m")),
    ("{disk: 1.5}", (1, ".disk", "invalid", "must be a size such as 64m, not '1.5'")),
    ("{spread: {over: node.zone}}", (1, ".spread", "invalid", "must be a list")),
    (
        "\n  spread:\n    - weight: 2",
        (3, ".spread[0]", "missing", "a spread needs over: a node's key such as node.labels.rack"),
    ),
    ("{spread: [{over: zone}]}", (1, ".spread[0].over", "invalid", f"'zone' {NODE_KEY}")),
    (
        "\n  spread:\n    - over: node.zone\n      weight: 0",
        (4, ".spread[0].weight", "invalid", "0 is out of range (1 to 100)"),
    ),
    (
        "{spread: [{over: node.zone, wight: 2}]}",
        (1, ".spread[0].wight", "invalid", "unknown key 'wight'; did you mean weight?"),
    ),
    ("{affinity: [{over: node.zone}]}", (1, ".affinity[0]", "missing", "needs a service of this file, or *")),
    (
        "\n  affinity:\n    - service: gone",
        (3, ".affinity[0].service", "missing", "there is no service 'gone' in this file"),
    ),
    (
        "{affinity: [{service: web, weight: 101}]}",
        (1, ".affinity[0].weight", "invalid", "101 is out of range (1 to 100)"),
    ),
    (
        "{affinity: [{service: web, weight: much}]}",
        (1, ".affinity[0].weight", "invalid", "must be a number, not 'much'"),
    ),
    (
        "{affinity: [{servce: web}, {service: web}]}",
        (1, ".affinity[0].servce", "invalid", "unknown key 'servce'; did you mean service?"),
    ),
    (
        "{anti_affinity: [{service: web, over: rack}]}",
        (1, ".anti_affinity[0].over", "invalid", f"'rack' {NODE_KEY}"),
    ),
    (
        "{anti_affinity: [{service: web, required: perhaps}]}",
        (1, ".anti_affinity[0].required", "invalid", "must be true or false, not 'perhaps'"),
    ),
    ("{gpu: 0}", (1, ".gpu", "invalid", "0 is out of range (1 to 10000)")),
    ("{gpu: [1]}", (1, ".gpu", "invalid", "must be a single value, not a list")),
    ("{gpu: {}}", (1, ".gpu", "invalid", "needs one of units and share")),
    ("{gpu: {units: 1, share: 0.5}}", (1, ".gpu", "invalid", "needs one of units and share")),
    ("{gpu: {share: 1}}", (1, ".gpu.share", "invalid", "1 is out of range (0.001 to 0.999)")),
    ("{gpu: {share: half}}", (1, ".gpu.share", "invalid", "must be a number, not 'half'")),
    ("{resources: [gpu]}", (1, ".resources", "invalid", "must be a mapping (key: value)")),
    ("{resources: {gpu: 1.5}}", (1, ".resources.gpu", "invalid", "must be a whole number, not '1.5'")),
    (
        "{resources: {g p u: 1}}",
        (1, ".resources.g p u", "invalid", "'g p u' is not a kind of resource such as gpu"),
    ),
    ("{gpu: 1, resources: {GPU: 1}}", (1, ".resources.GPU", "invalid", "GPU is asked for twice")),
]


@pytest.mark.parametrize(("text", "wanted"), PROBLEMS, ids=[text for text, _ in PROBLEMS])
def test_problem(text: str, wanted: tuple[int, str, str, str]) -> None:
    line, key, code, message = wanted
    assert (line, f"x-berth{key}", code, message) in told(f"x-berth: {text}")
