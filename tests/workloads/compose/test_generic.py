"""Generic resources as Compose writes them: `generic_resources` and `devices`."""

from __future__ import annotations

import pytest

from console.workloads.compose import GenericResource
from tests.workloads.compose.helpers import service, told

RESERVED = "deploy: {resources: {reservations: {%s}}}"
ONE_GPU = "generic_resources: [{discrete_resource_spec: {kind: gpu, value: 1}}]"


@pytest.mark.parametrize(
    ("reserved", "wanted"),
    [
        (
            ONE_GPU,
            (GenericResource(kind="gpu", units=1),),
        ),
        (
            "generic_resources: [{discrete_resource_spec: {kind: ssd, value: '1'}},"
            " {discrete_resource_spec: {kind: NVIDIA-GPU, value: 4}}]",
            (GenericResource(kind="NVIDIA-GPU", units=4), GenericResource(kind="ssd", units=1)),
        ),
        ("devices: [{capabilities: [gpu], count: 2}]", (GenericResource(kind="gpu", units=2),)),
        (
            "devices: [{driver: nvidia, capabilities: [gpu], count: '1'}]",
            (GenericResource(kind="gpu", units=1),),
        ),
    ],
)
def test_generic_resources(reserved: str, wanted: tuple[GenericResource, ...]) -> None:
    assert service(RESERVED % reserved).resources.generic == wanted


PROBLEMS: list[tuple[str, tuple[str, str, str]]] = [
    (
        "generic_resources: [{}]",
        (
            "generic_resources[0]",
            "missing",
            "a generic resource needs a discrete_resource_spec",
        ),
    ),
    (
        "generic_resources: [{discrete_resource_spec: {kind: gpu}}]",
        (
            "generic_resources[0].discrete_resource_spec",
            "missing",
            "a discrete_resource_spec needs kind and value",
        ),
    ),
    (
        "generic_resources: [{discrete_resource_spec: {kind: gpu, value: 0}}]",
        (
            "generic_resources[0].discrete_resource_spec.value",
            "invalid",
            "0 is out of range (1 to 10000)",
        ),
    ),
    (
        "generic_resources: [{discrete_resource_spec: {kind: g u, value: 1}}]",
        (
            "generic_resources[0].discrete_resource_spec.kind",
            "invalid",
            "'g u' is not a kind of resource such as gpu",
        ),
    ),
    (
        "devices: [{capabilities: [tpu], count: 1}]",
        (
            "devices[0].capabilities",
            "refused",
            "a container gets no device of its host but GPUs: capabilities must be [gpu]",
        ),
    ),
    (
        "devices: [{count: 1}]",
        (
            "devices[0]",
            "refused",
            "a container gets no device of its host but GPUs: capabilities must be [gpu]",
        ),
    ),
    (
        "devices: [{capabilities: [gpu]}]",
        (
            "devices[0]",
            "missing",
            "a device needs a count: without one Compose means all, and that is no number",
        ),
    ),
    (
        "devices: [{capabilities: [gpu], count: all}]",
        (
            "devices[0].count",
            "invalid",
            "must be a number: how many all are differs from node to node",
        ),
    ),
    (
        "devices: [{capabilities: [gpu], device_ids: ['0']}]",
        (
            "devices[0].device_ids",
            "refused",
            "device_ids is not allowed: the scheduler chooses which ones, so that no two containers get the same; "
            "give a count",
        ),
    ),
    (
        "devices: [{capabilities: [gpu], count: 1, driver: amd}]",
        ("devices[0].driver", "invalid", "must be nvidia"),
    ),
    (
        "devices: [{capabilities: [gpu], count: 1, options: {a: b}}]",
        ("devices[0].options", "unsupported", "options is not supported yet"),
    ),
    (
        f"devices: [{{capabilities: [gpu], count: 1}}], {ONE_GPU}",
        ("devices[0]", "invalid", "gpu is asked for twice"),
    ),
]


@pytest.mark.parametrize(("reserved", "wanted"), PROBLEMS, ids=[reserved for reserved, _ in PROBLEMS])
def test_problem(reserved: str, wanted: tuple[str, str, str]) -> None:
    key, code, message = wanted
    assert told(RESERVED % reserved) == [(1, f"deploy.resources.reservations.{key}", code, message)]
