"""What a container's row and its service become for the agent."""

from __future__ import annotations

import pytest

from console.controller.specs import build
from console.workloads.compose import load
from console.workloads.models import Container
from nodeagent import protocol


def spec(service: str, **columns: object) -> protocol.Spec:
    text = f"services: {{web: {{image: busybox, {service}}}}}"
    return build(Container(app_id="a1", image="sha256:1", **columns), load(text).services["web"])


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
