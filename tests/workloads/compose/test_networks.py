"""`networks`: what is joined, what is refused and why, and what makes another container of it."""

from __future__ import annotations

import pytest

from console.workloads.compose import Attachment, load, spec_digest
from tests.workloads.compose.helpers import problem, problems, service

FILE = """
services:
  web: {image: a, networks: [front, back]}
  db: {image: a, networks: {back: {aliases: [store, db.internal, store]}, default: }}
  lone: {image: a}
networks:
  front:
  back: {internal: true}
"""


def test_networks_are_joined_by_name_those_with_a_way_out_first() -> None:
    found = load(FILE).services
    assert found["web"].networks == (
        Attachment(network="front"),
        Attachment(network="back", internal=True),
    )
    assert found["db"].networks == (
        Attachment(network="default"),
        Attachment(network="back", aliases=("db.internal", "store"), internal=True),
    )
    assert found["lone"].networks == ()
    assert found["lone"].attachments == (Attachment(network="default"),)


@pytest.mark.parametrize(
    "body", ["networks: [default]", "networks: {default: }", "networks: []", "networks:"]
)
def test_the_default_network_may_be_named(body: str) -> None:
    assert service(body).networks == ()


def test_the_default_network_may_be_internal() -> None:
    text = "services: {web: {image: a}}\nnetworks: {default: {internal: true}}"
    assert load(text).services["web"].networks == (Attachment(network="default", internal=True),)


def test_a_release_command_joins_what_its_service_joins() -> None:
    text = "services: {web: {image: a, networks: [back], x-berth: {release_command: x}}}\nnetworks: {back: }"
    assert load(text).commands["web.release"].networks == (Attachment(network="back"),)


@pytest.mark.parametrize(
    ("body", "code", "key", "words"),
    [
        ("networks: [none]", "missing", "networks[0]", "not among the file's top-level networks"),
        ("networks: {none: }", "missing", "networks.none", "not among"),
        ("networks: [default, default]", "invalid", "networks[1]", "twice"),
        ("networks: {default: {aliases: ['a b']}}", "invalid", "networks.default.aliases[0]", "alias"),
        ("networks: {default: {ipv4_address: 10.0.0.2}}", "unsupported", "networks.default.ipv4_address", ""),
        ("networks: {default: {driver_opts: {}}}", "refused", "networks.default.driver_opts", "of the host"),
        ("networks: {default: {color: red}}", "invalid", "networks.default.color", "unknown key"),
        ("networks: 5", "invalid", "networks", "list"),
    ],
)
def test_what_a_service_may_not_ask_of_a_network(body: str, code: str, key: str, words: str) -> None:
    found = problem(body)
    assert (found.code, found.key) == (code, f"services.web.{key}")
    assert words in found.message


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ("{external: true}", "refused", "it reaches a network that is not the app's"),
        ("{driver: macvlan}", "refused", "it can reach networks of the host"),
        ("{driver: host}", "refused", "it can reach networks of the host"),
        ("{driver_opts: {parent: eth0}}", "refused", "they can reach interfaces of the host"),
        ("{ipam: {config: [{subnet: 10.0.0.0/8}]}}", "unsupported", "Berth gives addresses itself"),
        ("{name: other}", "unsupported", "Berth names networks itself"),
        ("{internal: maybe}", "invalid", "true or false"),
    ],
)
def test_what_a_network_may_not_be(body: str, code: str, words: str) -> None:
    (found,) = problems(f"services: {{web: {{image: a}}}}\nnetworks: {{back: {body}}}")
    assert found.code == code
    assert words in found.message
    assert found.line == 2


def test_a_network_needs_a_plain_name_and_there_are_not_too_many() -> None:
    (found,) = problems("services: {web: {image: a}}\nnetworks: {_back: }")
    assert (found.code, found.key) == ("invalid", "networks._back")
    many = ", ".join(f"n{number}: " for number in range(20))
    (found,) = problems(f"services: {{web: {{image: a}}}}\nnetworks: {{{many}}}")
    assert (found.code, found.message) == ("limit", "more than 16 networks")


@pytest.mark.parametrize("driver", ["bridge", "overlay"])
def test_the_driver_is_the_operators_and_that_is_told(driver: str) -> None:
    project = load(f"services: {{web: {{image: a}}}}\nnetworks: {{back: {{driver: {driver}}}}}")
    assert [one.message for one in project.warnings] == [
        "driver has no effect: the operator chooses it for the cluster"
    ]


def test_joining_another_network_is_another_container_and_a_neighbours_is_not() -> None:
    def digest(text: str, name: str = "web") -> str:
        return spec_digest(load(text).services[name], image="x")

    one = digest(FILE)
    assert digest(FILE.replace("[front, back]", "{back: {}, front: {}}")) == one
    assert digest(FILE.replace("store, db.internal", "shop")) == one
    assert digest(FILE.replace("[front, back]", "[front]")) != one
    assert digest(FILE.replace("{internal: true}", "{}")) != one
    assert digest(FILE, "lone") == digest("services: {lone: {image: a}}", "lone")
    assert digest(FILE.replace("store, ", ""), "db") == digest(FILE, "db")
    assert digest(FILE.replace("db.internal", "other"), "db") != digest(FILE, "db")
