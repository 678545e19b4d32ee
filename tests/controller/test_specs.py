"""What a container's row and its service become for the agent."""

from __future__ import annotations

import re

import pytest
from pytest_django.fixtures import Settings

from console.controller.specs import build, network_name
from console.workloads.compose import load
from console.workloads.models import Container
from nodeagent import protocol


def spec(service: str, **columns: object) -> protocol.Spec:
    return whole(f"services: {{web: {{image: busybox, {service}}}}}", **columns)


def whole(text: str, **columns: object) -> protocol.Spec:
    """Of the service `web` of a whole file."""
    project = load(text)
    container = Container(app_id="a1", image="sha256:1", **columns)
    return build(container, project.services["web"], project)


def test_grants_go_along_as_they_were_given() -> None:
    found = spec("x-berth: {gpu: {share: 0.5}}", grants=[["gpu", [1], 500], ["fpga", [0, 2], 0]])
    assert found.resources == (
        protocol.Grant(kind="gpu", units=(1,), share=500),
        protocol.Grant(kind="fpga", units=(0, 2)),
    )
    assert spec("tty: true").resources == ()


@pytest.mark.parametrize(
    ("service", "restart", "most"),
    [
        ("restart: always", "unless-stopped", 0),
        ("restart: 'on-failure:3'", "on-failure", 3),
        ("deploy: {mode: replicated-job}", "on-failure", 0),
        ("restart: 'on-failure:3', x-berth: {exclusive: true}", "no", 0),
        ("x-berth: {exclusive: true}", "no", 0),
    ],
)
def test_the_engine_restarts_what_is_not_exclusive(service: str, restart: str, most: int) -> None:
    found = spec(service)
    assert (found.restart, found.restart_max) == (restart, most)


def test_a_service_that_names_no_network_joins_the_apps_one() -> None:
    found = spec("tty: true")
    assert (found.network, found.aliases) == ("berth-a1", ("web",))
    assert found.attachments == (protocol.Attachment(network="berth-a1", aliases=("web",)),)


def test_several_networks_are_joined_each_under_the_services_names() -> None:
    found = whole(
        "services: {web: {image: a, networks: {back: {aliases: [store, web]}, front: }}}\n"
        "networks: {front: , back: {internal: true}}"
    )
    assert found.attachments == (
        protocol.Attachment(network="berth-a1-front", aliases=("web",)),
        protocol.Attachment(network="berth-a1-_back", aliases=("web", "store"), internal=True),
    )
    # What an agent knows that is one version older.
    assert (found.network, found.aliases) == ("berth-a1-front", ("web",))


def test_addresses_are_kept_where_anybody_has_a_health_check() -> None:
    text = "services: {{web: {{image: a}}, db: {{image: a, healthcheck: {{{check}}}}}}}"
    assert whole(text.format(check="test: 'true'")).attachments[0].steady
    assert not whole(text.format(check="disable: true")).attachments[0].steady


def test_networks_across_hosts_have_names_of_their_own(settings: Settings) -> None:
    settings.NETWORK_DRIVER = "overlay"
    found = whole(
        "services: {web: {image: a, networks: [default, back]}}\nnetworks: {back: {internal: true}}"
    )
    assert [(one.network, one.overlay) for one in found.attachments] == [
        ("berth-a1_default", True),
        ("berth-a1__back", True),
    ]


def test_a_name_that_swarm_does_not_take_becomes_a_digest() -> None:
    odd = ["a.b", "a-", "n" * 63]
    names = [network_name("a" * 16, name, internal=True, overlay=True) for name in odd]
    assert len(set(names)) == 3
    for name in names:
        assert re.fullmatch(r"[A-Za-z0-9](?:[-_]*[A-Za-z0-9]+)*", name)
        assert len(name) <= 63
        assert name.startswith("berth-aaaaaaaaaaaaaaaa__-")
    assert network_name("a1", "back-end", overlay=True) == "berth-a1_back-end"
