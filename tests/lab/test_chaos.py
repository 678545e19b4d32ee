"""The plan of a chaos run is the seed's alone; its checker finds each kind of wrong."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import pytest

from chaos import checker
from chaos.plan import FIRST, Planned, plan
from chaos.users import KINDS, VERBS, Wanted, compose, deeds
from console.workloads.compose import load
from lab.look import Seen
from lab.runs import FOREVER, Run
from nodeagent import protocol


def faults(seed: int, minutes: float = 3) -> list[Planned]:
    return plan(seed, minutes=minutes, per_minute=20, hosts=3, postgres=True)


def shape(planned: Sequence[Planned]) -> list[tuple[float, float, str, int, int]]:
    return [(one.at, one.seconds, one.kind.name, one.host, one.pick) for one in planned]


def test_a_seed_plans_the_same_faults_and_requests_each_time() -> None:
    assert shape(faults(7)) == shape(faults(7))
    assert shape(faults(7)) != shape(faults(8))
    assert deeds(7, minutes=3, per_minute=15) == deeds(7, minutes=3, per_minute=15)
    assert deeds(7, minutes=3, per_minute=15) != deeds(8, minutes=3, per_minute=15)


@pytest.mark.parametrize("seed", range(20))
def test_each_minute_has_its_faults_and_no_part_two_at_once(seed: int) -> None:
    planned = faults(seed)
    for minute in range(3):
        begun = FIRST + 60 * minute
        assert all(begun <= one.at <= begun + 60 for one in planned[20 * minute : 20 * (minute + 1)])
    assert len(planned) == 60
    for one, other in combinations(planned, 2):
        if one.kind.parts(one.host) & other.kind.parts(other.host):
            first, second = sorted((one, other), key=lambda each: each.at)
            assert first.at + first.seconds < second.at


def test_every_kind_of_fault_comes_up() -> None:
    names = {one.kind.name for seed in range(20) for one in faults(seed)}
    assert len(names) == 22
    assert {"Cut", "PowerCut", "DiskFull", "ConsoleStopped", "RedisWiped", "Stopped postgres"} <= names


def test_a_lab_without_postgres_is_spared_its_faults() -> None:
    planned = [
        one for seed in range(20) for one in plan(seed, minutes=3, per_minute=20, hosts=3, postgres=False)
    ]
    assert not any("postgres" in one.kind.name for one in planned)


def test_people_make_every_app_first_and_then_do_everything() -> None:
    todo = deeds(1, minutes=60, per_minute=15)
    assert [(one.app, one.verb) for one in todo[: len(KINDS)]] == [(app, "create") for app in KINDS]
    assert {(one.app, one.verb) for one in todo} == {
        (app, verb) for app, kind in KINDS.items() for verb in VERBS[kind]
    }


@pytest.mark.parametrize("app", KINDS)
def test_what_people_deploy_is_a_good_compose_file(app: str) -> None:
    project = load(compose(app, 3, 9))
    assert project.services["it"].replicas == (3 if KINDS[app] == "stateless" else 1)
    assert dict(project.services["it"].environment)["MESSAGE"] == "version 9"


# -- the checker

SHOP = {"shop": Wanted(there=True, replicas=2, version=3), "blog": Wanted(), "solo": Wanted(there=True)}


def seen(name: str, *, running: bool = True, version: int = 3, id_: str = "c") -> Seen:
    labels = {protocol.LABEL_NAME: name}
    return Seen(id_, labels, running, 1.0, 0.0 if running else 2.0, (f"MESSAGE=version {version}",))


GOOD = {"n1": [seen("shop/it.1"), seen("solo/it.1", version=0)], "n2": [seen("shop/it.2")]}


def kinds(there: dict[str, list[Seen]]) -> list[str]:
    return [line.partition(":")[0] for line in checker.amiss(checker.expected(SHOP), there)]


def test_what_is_wanted_is_good() -> None:
    assert kinds(GOOD) == []


@pytest.mark.parametrize(
    ("there", "problems"),
    [
        ({**GOOD, "n2": []}, ["lost"]),
        ({**GOOD, "n2": [seen("shop/it.2", running=False)]}, ["lost", "left over"]),
        ({**GOOD, "n2": [seen("shop/it.2", version=2)]}, ["old"]),
        ({**GOOD, "n3": [seen("shop/it.1", id_="d")]}, ["twice"]),
        ({**GOOD, "n3": [seen("shop/it.3")]}, ["orphan"]),
        ({**GOOD, "n3": [seen("blog/it.1", running=False)]}, ["orphan"]),
        ({}, ["lost", "lost", "lost"]),
    ],
)
def test_each_kind_of_wrong_is_found(there: dict[str, list[Seen]], problems: list[str]) -> None:
    assert kinds(there) == problems


def run(app: str, began: float, ended: float, node: str = "n1", slot: str = "s") -> Run:
    return Run(f"{app}/it.1", slot, 1, f"{node}-{began}", node, began, ended)


def test_what_may_never_be_twice_is_found_and_what_may_is_not() -> None:
    for app in ("solo", "base"):
        found = checker.broken([run(app, 1, 5), run(app, 4, FOREVER)])
        assert [line.partition(":")[0] for line in found] == ["at once"]
        assert checker.broken([run(app, 1, 5), run(app, 5, FOREVER)]) == []
    assert checker.broken([run("shop", 1, 5), run("shop", 4, FOREVER)]) == []


def test_a_bound_one_that_leaves_its_volume_is_found() -> None:
    moved = [run("base", 1, 2), run("base", 3, 4, "n2")]
    assert [line.partition(":")[0] for line in checker.broken(moved)] == ["left its volume"]
    assert checker.broken([run("solo", 1, 2), run("solo", 3, 4, "n2")]) == []
    assert checker.broken([run("base", 1, 2), run("base", 3, 4, "n2", slot="another app's")]) == []
