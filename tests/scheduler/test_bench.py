"""The benchmark's cases at a size at which they take no time: what they print, not how fast they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scheduler import bench
from scheduler.benchmark import changing, placing, quality, world
from scheduler.benchmark.lines import Aim, judged
from scheduler.benchmark.world import Size

pytestmark = pytest.mark.thorough

TINY = Size(nodes=20, running=200)
FIELDS = ["case", "nodes", "running", "batch", "policy", "placements_per_s", "p50_us", "p99_us", "peak_mib"]


@pytest.mark.parametrize("aim", [Aim("speed", ">=", 10), Aim("speed", "<=", 9)])
def test_a_line_says_whether_its_aim_is_met(aim: Aim) -> None:
    assert judged({"speed": 10}, aim) == {"speed": 10, "aim": str(aim), "ok": aim.sign == ">="}


def test_every_aim_of_a_line_must_be_met() -> None:
    line = judged({"a": 1, "b": 5}, Aim("a", "<=", 2), Aim("b", "<=", 4))
    assert (line["aim"], line["ok"]) == ("a <= 2, b <= 4", False)


def test_different_requests_all_differ() -> None:
    for affinity in ((), (world.ANTI,), (world.ANTI, world.NEAR)):
        wants = world.different(300, "x", *affinity)
        assert len({want.request for want in wants}) == 300
        assert {len(want.request.affinity) for want in wants} == {len(affinity)}


def test_what_runs_is_as_many_as_said() -> None:
    machines = world.nodes(TINY.nodes)
    held = list(world.running(machines, TINY.running))
    assert len({each.container for each in held}) == TINY.running
    assert {each.node for each in held} == {node.id for node in machines}


def test_different_also_says_how_much_slower_affinity_is() -> None:
    plain, anti, near = placing.different(TINY)
    assert [*plain][:9] == [*anti][:9] == FIELDS
    assert near["aim"] == "times_slower <= 2"


def test_the_loss_of_nodes_places_all_that_ran_there() -> None:
    size = Size(nodes=20)
    million, loss = placing.million(size)
    assert (million["batch"], loss["running"]) == (2000, 2000)
    assert loss["placed"] == loss["batch"] == 100


def test_a_changed_app_gets_all_its_containers_anew() -> None:
    (line,) = changing.changed(TINY)
    assert line["placed"] == changing.CHANGES * changing.REPLICAS * changing.SERVICES


@pytest.mark.parametrize("policy", ["random", "bestfit", "fgd"])
def test_quality_on_a_small_trace(policy: str, tmp_path: Path) -> None:
    (tmp_path / quality.NODES).write_text(
        "sn,cpu_milli,memory_mib,gpu,model\na,8000,8000,2,G2\nb,8000,8000,2,G2\n"
    )
    header = "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec\n"
    (tmp_path / quality.PODS["default"]).write_text(header + "p,100,100,1,500,\n")
    line = quality.allocation(tmp_path, "default", policy, seeds=2)
    assert (line["allocated"], line["seeds"]) == (1.0, 2)
    assert ("ok" in line) is (policy == "fgd")


def test_cases_run_each_in_a_process_of_its_own(capfd: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["--nodes", "20", "--running", "100", "changed"]) == 0
    (line,) = capfd.readouterr().out.splitlines()
    assert [*json.loads(line)][:9] == FIELDS


def test_openb_cases_without_the_trace_say_that_they_are_skipped(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert bench.main(["--openb", str(tmp_path), "openb-default-fgd"]) == 0
    assert capfd.readouterr() == (
        "",
        "openb-default-fgd: skipped: --openb or BERTH_OPENB names no folder with the openb trace\n",
    )


def test_an_unknown_case_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["nonsense"]) == 2
    assert "there are identical," in capfd.readouterr().err
