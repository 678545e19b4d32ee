"""The simulator end to end on small clusters, and the measures it prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from scheduler.model import Decision, Grant, Request, Resource, Want
from scheduler.scores import SPREAD
from scheduler.simulate import main
from scheduler.simulation import linear
from scheduler.simulation.compact import compact
from scheduler.simulation.measures import Ledger, Room, shape_of, skew
from scheduler.simulation.moving import Moves, moves
from scheduler.simulation.play import fits, play
from scheduler.simulation.policies import NAMES
from scheduler.simulation.traces import Trace, TraceError
from scheduler.simulation.workload import Synthetic, arriving, multiplied
from tests.scheduler.builders import GIB, node, request

SMALL = Synthetic(nodes=12, zones=3, replicas=4, load=1.3)


def _gpu(name: str, *, units: int = 0, share: int = 0) -> Request:
    return request(name, resources=(Resource("gpu", units=units, share=share),))


def _put(asked: Request, where: str | None, unit: int = 0) -> Decision:
    gpu = asked.resources[0]
    units = tuple(range(unit, unit + max(gpu.units, 1)))
    return Decision(Want(asked, "s"), where, grants=(Grant("gpu", units, gpu.share),) if where else ())


@pytest.mark.parametrize("policy", NAMES)
def test_a_run_is_the_same_but_for_its_times(policy: str) -> None:
    runs = [play(SMALL.trace(7), policy, 7, clock=lambda: 0.0) for _ in range(2)]
    assert runs[0] == runs[1]
    assert runs[0].placed + runs[0].refused == SMALL.trace(7).wants
    assert runs[0].refused > 0


def test_another_seed_is_another_workload_and_another_draw() -> None:
    assert SMALL.trace(1) != SMALL.trace(2)
    assert play(SMALL.trace(1), "random", 1).curve != play(SMALL.trace(1), "random", 2).curve


def test_times_are_those_of_the_clock() -> None:
    ticks = iter(range(100_000))
    trace = Trace((node("n1"),), ((Want(request(), "a"),), tuple(Want(request(), name) for name in "bcde")))
    result = play(trace, "spread", 1, clock=lambda: float(next(ticks)))
    assert (result.per_second, result.p50_us) == (2.5, 250_000.0)


def test_a_rebalance_counts_the_moves_that_were_worth_it() -> None:
    nodes = tuple(node(name, cpu=4000) for name in ("n1", "n2"))
    trace = Trace(nodes, tuple((Want(request(name, cpu=400), name),) for name in "abcdefgh"))
    uneven = [Decision(want, "n1") for (want,) in trace.batches]
    found = moves(nodes, uneven, SPREAD, budget=9)
    assert found.number == 4
    assert 0.1 < found.gain < 0.2
    assert play(trace, "spread", 1, budget=9).moves == Moves(0, 0.0)
    assert play(trace, "spread", 1).moves is None


def test_shares_are_of_the_gpus_when_any_is_asked_for() -> None:
    whole, half, two = _gpu("whole", units=1), _gpu("half", share=500), _gpu("two", units=2)
    decisions = [_put(whole, "n1"), _put(half, "n1", unit=1), _put(two, None), _put(half, "n1", unit=1)]
    ledger = Ledger([node("n1", resources={"gpu": 4})], decisions)
    assert ledger.asked.tolist() == [0.25, 0.375, 0.875, 1.0]
    assert ledger.held.tolist() == [0.25, 0.375, 0.375, 0.5]


def test_fragmented_is_what_the_average_request_cannot_use() -> None:
    half, whole = _gpu("half", share=500), _gpu("whole", units=1)
    ledger = Ledger([node("n1", resources={"gpu": 2})], [_put(half, "n1"), _put(whole, None)])
    asks_for_whole = 1000 / (500 + 1000)
    assert ledger.fragmented() == pytest.approx(asks_for_whole * 500 / 1500)


def test_without_gpus_fragmented_is_of_the_cpu() -> None:
    small, large = request("small", cpu=1000), request("large", cpu=4000)
    decisions = [Decision(Want(small, "s"), "n1"), Decision(Want(large, "l"), None)]
    assert Ledger([node("n1")], decisions).fragmented() == 0.5


def test_what_is_not_there_cannot_be_taken() -> None:
    room, decision = Room([node("n1", resources={"gpu": 1})]), _put(_gpu("a", share=600), "n1")
    room.take(decision)
    with pytest.raises(ValueError, match="not there"):
        room.take(decision)


def test_skew_is_the_mean_over_services_of_most_less_fewest() -> None:
    nodes = [node("n1", zone="a"), node("n2", zone="b")]
    even, odd, one = request("even"), request("odd"), request("one")
    places = [(even, "n1"), (even, "n2"), (odd, "n1"), (odd, "n1"), (odd, None), (one, "n1")]
    decisions = [Decision(Want(asked, "s"), where) for asked, where in places]
    assert skew(nodes, decisions) == 1.0
    assert skew([node("n1"), node("n2")], decisions) is None


def test_pods_arrive_each_once_then_again_until_enough_was_asked() -> None:
    batches = tuple((Want(request(name, cpu=1000), name),) for name in "abcd")
    trace = Trace((node("n1", cpu=4000),), batches)
    names = [want.slot for (want,) in arriving(trace, 3, 1.5).batches]
    assert sorted(names[:4]) == ["a", "b", "c", "d"]
    assert len(names) == 6
    assert len(arriving(trace, 3, 0.5).batches) == 2
    assert len(arriving(trace, 3, 0.0).batches) == 4


def test_nodes_are_cloned_with_names_of_their_own() -> None:
    cloned = multiplied((node("n1"), node("n2")), 1, 5)
    assert len({each.id for each in cloned}) == 5
    assert sorted(each.id for each in cloned[2:4]) == ["n1~2", "n2~2"]


@pytest.mark.thorough
def test_compaction_finds_what_fits_and_no_less_than_the_bound() -> None:
    pytest.importorskip("scipy")
    batches = tuple((Want(request(f"s{index}", cpu=3000), f"s{index}"),) for index in range(4))
    trace = Trace((node("n1"), node("n2"), node("n3")), batches)
    found = compact(trace, "binpack", 1)
    assert found is not None
    assert (found.nodes, found.bound) == (4, 3)


def test_what_no_node_can_take_has_no_compaction() -> None:
    pytest.importorskip("scipy")
    trace = Trace((node("n1"),), ((Want(request(memory=9 * GIB), "a"),),))
    assert compact(trace, "binpack", 1) is None


def test_the_bound_keeps_gpus_to_the_nodes_that_have_them() -> None:
    pytest.importorskip("scipy")
    nodes = [node("n1"), node("n2", resources={"gpu": 1}), node("n3", resources={"gpu": 1})]
    shape = shape_of(_gpu("a", share=600))
    wants = tuple((Want(_gpu("a", share=600), f"a{index}"),) for index in range(3))
    assert (shape.units, shape.share) == (0, 600)
    assert linear.smallest(Trace(tuple(nodes), wants), nodes) == 3


def test_fits_only_when_all_is_placed() -> None:
    want = Want(request(cpu=3000), "a")
    assert fits(Trace((node("n1"),), ((want,),)), "spread", 1)
    assert not fits(Trace((node("n1"),), ((want,), (want,))), "spread", 1)


def test_the_table_has_a_line_for_each_policy(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--synthetic", "nodes=6,load=0.5", "--policy", "spread,random"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["policy", "spread", "random"]


def test_a_trace_from_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "n.csv").write_text("name,cpu_milli,memory_mib\nn1,1000,1024\n")
    (tmp_path / "s.csv").write_text("app,service,replicas,cpu_milli,memory_mib\nshop,web,3,400,64\n")
    files = ["--nodes", str(tmp_path / "n.csv"), "--pods", str(tmp_path / "s.csv")]
    assert main([*files, "--policy", "binpack"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[:3] == ["binpack", "2", "1"]


@pytest.mark.thorough
def test_a_plot_is_a_png(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    file = tmp_path / "out.png"
    assert main(["--synthetic", "nodes=6", "--policy", "spread", "--plot", str(file)]) == 0
    assert file.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([], "give --nodes and --pods, or --synthetic"),
        (["--synthetic", "nodes=0"], "'nodes=0' is too small"),
        (["--synthetic", "planets=3"], "'planets=3' is none of nodes=…"),
        (["--nodes", "nowhere.csv", "--pods", "nowhere.csv"], "No such file"),
    ],
)
def test_what_cannot_run_says_why(
    arguments: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert problem in capsys.readouterr().err


def test_synthetic_names_its_numbers() -> None:
    assert Synthetic.parse("nodes=5,load=0.7") == Synthetic(nodes=5, load=0.7)
    with pytest.raises(TraceError):
        Synthetic.parse("nodes=five")
