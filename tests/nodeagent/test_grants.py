"""Generic resources: what a container is told, what the engine is asked for, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.engine import Engine
from nodeagent.errors import Refused
from nodeagent.grants import check_engine, environment
from nodeagent.hardening import assert_safe, check_spec
from nodeagent.protocol import Grant, Spec
from nodeagent.runtime import payload
from nodeagent.runtime.base import Invalid, Runtime
from nodeagent.runtime.engine import DockerRuntime
from tests.nodeagent.builders import identity, spec

TWO_GPUS = Grant(kind="gpu", units=(0, 3))
HALF_GPU = Grant(kind="gpu", units=(1,), share=500)
FPGA = Grant(kind="my-fpga", units=(2,))


def body(wanted: Spec, default_runtime: str = "runc") -> dict[str, Any]:
    return payload.create_body(identity(), wanted, 20000, default_runtime)


@pytest.mark.parametrize(
    ("grants", "told", "asked"),
    [
        ((), [], []),
        ((FPGA,), ["BERTH_RESOURCE_MY_FPGA=2"], []),
        (
            (TWO_GPUS, FPGA),
            ["BERTH_RESOURCE_GPU=0,3", "BERTH_RESOURCE_MY_FPGA=2", "NVIDIA_VISIBLE_DEVICES=0,3"],
            [{"Driver": "nvidia", "DeviceIDs": ["0", "3"], "Capabilities": [["gpu"]]}],
        ),
        (
            (HALF_GPU,),
            ["BERTH_RESOURCE_GPU=1", "BERTH_RESOURCE_GPU_SHARE=0.5", "NVIDIA_VISIBLE_DEVICES=1"],
            [{"Driver": "nvidia", "DeviceIDs": ["1"], "Capabilities": [["gpu"]]}],
        ),
    ],
)
def test_what_a_container_gets(
    grants: tuple[Grant, ...], told: list[str], asked: list[dict[str, Any]]
) -> None:
    wanted = spec(resources=grants)
    made = body(wanted)
    assert (sorted(made["Env"]), made["HostConfig"]["DeviceRequests"]) == (told, asked)
    assert_safe(wanted, made["HostConfig"])


def test_a_users_own_variables_do_not_reach_further() -> None:
    own = {"NVIDIA_VISIBLE_DEVICES": "all", "BERTH_RESOURCE_GPU": "7", "A": "1"}
    assert body(spec(environment=own, resources=(HALF_GPU,)))["Env"] == [
        "NVIDIA_VISIBLE_DEVICES=1",
        "BERTH_RESOURCE_GPU=1",
        "A=1",
        "BERTH_RESOURCE_GPU_SHARE=0.5",
    ]


def test_under_a_runtime_that_obeys_variables_nobody_takes_a_gpu_that_was_not_given() -> None:
    own = {"NVIDIA_VISIBLE_DEVICES": "all"}
    assert body(spec(environment=own), "nvidia")["Env"] == ["NVIDIA_VISIBLE_DEVICES=void"]
    assert body(spec(), "nvidia")["Env"] == ["NVIDIA_VISIBLE_DEVICES=void"]
    assert body(spec(environment=own), "runc")["Env"] == ["NVIDIA_VISIBLE_DEVICES=all"]


HOSTILE_GRANTS: dict[str, tuple[Grant, ...]] = {
    "no units": (Grant(kind="gpu", units=()),),
    "one unit twice": (Grant(kind="gpu", units=(1, 1)),),
    "a unit below zero": (Grant(kind="gpu", units=(-1,)),),
    "a unit beyond reason": (Grant(kind="gpu", units=(10_000,)),),
    "a share of two": (Grant(kind="gpu", units=(0, 1), share=500),),
    "a negative share": (Grant(kind="gpu", units=(0,), share=-1),),
    "a share of all": (Grant(kind="gpu", units=(0,), share=1000),),
    "no kind": (Grant(kind="", units=(0,)),),
    "a kind that sets another variable": (Grant(kind="gpu=1\nA", units=(0,)),),
    "a kind twice": (TWO_GPUS, HALF_GPU),
    "a kind twice, spelt otherwise": (Grant(kind="a-b", units=(0,)), Grant(kind="A_b", units=(1,))),
}


@pytest.mark.parametrize("grants", HOSTILE_GRANTS.values(), ids=HOSTILE_GRANTS.keys())
def test_hostile_grants_are_refused(grants: tuple[Grant, ...]) -> None:
    with pytest.raises(Refused) as caught:
        check_spec(spec(resources=grants))
    assert caught.value.fatal


ALLOWED = {"Driver": "nvidia", "DeviceIDs": ["0", "3"], "Capabilities": [["gpu"]]}
HOSTILE_REQUESTS: dict[str, Any] = {
    "none of them": [],
    "nothing at all": None,
    "all by number": [{**ALLOWED, "Count": -1}],
    "a number beside the names": [{**ALLOWED, "Count": 0}],
    "another one": [{**ALLOWED, "DeviceIDs": ["0", "1"]}],
    "one more": [{**ALLOWED, "DeviceIDs": ["0", "3", "4"]}],
    "one less": [{**ALLOWED, "DeviceIDs": ["0"]}],
    "all by name": [{**ALLOWED, "DeviceIDs": ["all"]}],
    "another driver": [{**ALLOWED, "Driver": "cdi"}],
    "any driver": [{**ALLOWED, "Driver": ""}],
    "more capabilities": [{**ALLOWED, "Capabilities": [["gpu", "display"]]}],
    "other capabilities besides": [{**ALLOWED, "Capabilities": [["gpu"], ["nic"]]}],
    "options": [{**ALLOWED, "Options": {"a": "b"}}],
    "a second request": [ALLOWED, ALLOWED],
    "something else": ["gpu"],
}


@pytest.mark.parametrize("requests", HOSTILE_REQUESTS.values(), ids=HOSTILE_REQUESTS.keys())
def test_no_other_device_is_asked_for(requests: Any) -> None:
    wanted = spec(resources=(TWO_GPUS,))
    config = body(wanted)["HostConfig"]
    assert config["DeviceRequests"] == [ALLOWED]
    with pytest.raises(Refused):
        assert_safe(wanted, {**config, "DeviceRequests": requests})


def test_without_a_grant_no_device_is_asked_for() -> None:
    for wanted in (spec(), spec(resources=(FPGA,))):
        with pytest.raises(Refused):
            assert_safe(wanted, {**body(wanted)["HostConfig"], "DeviceRequests": [ALLOWED]})


KINDS = st.one_of(st.sampled_from(["gpu", "GPU", "fpga", "a-b", "A_B", ""]), st.text(max_size=5))
UNITS = st.lists(st.integers(-2, 12000), max_size=4).map(tuple)
GRANTS = st.lists(st.builds(Grant, kind=KINDS, units=UNITS, share=st.integers(-1, 1001)), max_size=3).map(
    tuple
)
REQUESTS = st.lists(
    st.dictionaries(
        st.sampled_from(["Driver", "DeviceIDs", "Capabilities", "Count", "Options"]),
        st.one_of(
            *(st.just("nvidia"), st.just([["gpu"]]), st.just(["0"]), st.just(["0", "1"]), st.integers(-1, 2)),
            st.lists(st.text(max_size=2), max_size=2),
        ),
    ),
    max_size=2,
)


@given(GRANTS)
def test_what_passes_the_check_asks_for_exactly_its_gpus(grants: tuple[Grant, ...]) -> None:
    wanted = spec(resources=grants)
    try:
        check_spec(wanted)
    except Refused:
        return
    made = body(wanted)
    assert_safe(wanted, made["HostConfig"])
    given_gpus = [str(unit) for grant in grants if grant.kind == "gpu" for unit in grant.units]
    asked = [name for request in made["HostConfig"]["DeviceRequests"] for name in request["DeviceIDs"]]
    assert asked == given_gpus
    assert len(made["Env"]) == len({line.partition("=")[0] for line in made["Env"]})


@given(
    st.sampled_from([(), (Grant(kind="gpu", units=(0,)),), (Grant(kind="gpu", units=(0, 1)),), (FPGA,)]),
    REQUESTS,
)
def test_no_other_request_gets_past(grants: tuple[Grant, ...], requests: list[dict[str, Any]]) -> None:
    wanted = spec(resources=grants)
    config = body(wanted)["HostConfig"]
    if requests == config["DeviceRequests"]:
        return
    with pytest.raises(Refused):
        assert_safe(wanted, {**config, "DeviceRequests": requests})


def test_a_gpu_needs_an_engine_that_can_give_one() -> None:
    check_engine(spec(resources=(FPGA,)), {"runc"})
    check_engine(spec(resources=(TWO_GPUS,)), {"runc", "nvidia"})
    with pytest.raises(Refused, match="has no nvidia runtime"):
        check_engine(spec(resources=(TWO_GPUS,)), {"runc"})


def test_a_runtime_without_gpus_says_so_and_makes_nothing(runtime: Runtime) -> None:
    with pytest.raises(Refused, match="has no nvidia runtime"):
        runtime.create(identity(), spec(resources=(TWO_GPUS,)))
    assert runtime.inspect(identity().engine_name) is None


def test_other_kinds_need_nothing_of_the_engine(runtime: Runtime) -> None:
    assert runtime.create(identity(), spec(resources=(FPGA,))).state == "created"


@pytest.mark.engine
def test_the_engine_takes_the_request_and_names_what_it_lacks(
    docker_runtime: DockerRuntime, engine: Engine
) -> None:
    """As far as a machine without GPUs can show: the request is stored as it was made, and the start fails."""
    wanted = spec(resources=(TWO_GPUS, FPGA))
    with engine.client() as client:
        api: Any = client.api
        api.create_container_from_config(body(wanted), identity().engine_name)
        data = api.inspect_container(identity().engine_name)
    (request,) = data["HostConfig"]["DeviceRequests"]
    assert {key: value for key, value in request.items() if value} == ALLOWED
    assert {line for line in data["Config"]["Env"] if line.startswith("BERTH")} == {
        f"{name}={value}" for name, value in environment(wanted).items() if name.startswith("BERTH")
    }
    with pytest.raises(Invalid, match="install the NVIDIA Container Toolkit"):
        docker_runtime.start(identity().engine_name)
