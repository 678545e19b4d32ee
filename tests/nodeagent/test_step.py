from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nodeagent.assignment import Assignment
from nodeagent.errors import AgentError, Refused, Stale, Unsettled, Waiting
from nodeagent.fence import Fence
from nodeagent.protocol import Attachment, File, Healthcheck, Mount, Remove, Stop, Sync, Welcome
from nodeagent.runtime.base import (
    Conflict,
    ContainerFacts,
    EngineTimeout,
    ImageMissing,
    PortTaken,
    StillRunning,
)
from nodeagent.session import Session
from nodeagent.step import Act, NeedsPull, Seen, Stepper, Wanted, decide
from nodeagent.vault import Vault
from tests.nodeagent.builders import CLUSTER, ensure, identity, shell, spec
from tests.nodeagent.fake import FakeRuntime


def facts(state: Any, error: str = "") -> ContainerFacts:
    return ContainerFacts(engine_id="x", name="x", labels={}, state=state, error=error)


LIVE = ("running", "paused", "restarting")
ENDED = ("exited", "dead", "removing")


def test_the_whole_table_of_decisions() -> None:
    nothing = Seen(None)
    assert decide(Wanted.RUNNING, Seen(None, network=False)) is Act.NETWORK
    assert decide(Wanted.RUNNING, nothing) is Act.CREATE
    assert decide(Wanted.RUNNING, Seen(facts("created"), joined=False, files=False)) is Act.JOIN
    assert decide(Wanted.RUNNING, Seen(facts("created"), files=False)) is Act.FILES
    assert decide(Wanted.RUNNING, Seen(facts("created"))) is Act.START
    assert decide(Wanted.RUNNING, Seen(facts("created", "no such program"))) is Act.DONE
    for state in LIVE + ENDED:
        assert decide(Wanted.RUNNING, Seen(facts(state), network=False, files=False)) is Act.DONE
    for wanted in (Wanted.STOPPED, Wanted.GONE):
        assert decide(wanted, nothing) is Act.DONE
        assert decide(wanted, Seen(facts("created"))) is Act.REMOVE
        assert {decide(wanted, Seen(facts(state))) for state in LIVE} == {Act.STOP}
    assert {decide(Wanted.STOPPED, Seen(facts(state))) for state in ENDED} == {Act.DONE}
    assert {decide(Wanted.GONE, Seen(facts(state))) for state in ENDED} == {Act.REMOVE}


class House:
    """A stepper with all that belongs to it, on one state folder."""

    def __init__(self, runtime: FakeRuntime, folder: Path) -> None:
        self.runtime = runtime
        self.session = Session(folder)
        self.session.begin(Welcome(node="n1", cluster=CLUSTER, session=1))
        self.fence = Fence(folder / "fence.json")
        vault = Vault(folder / "vault")
        self.stepper = Stepper(runtime, self.fence, self.session, vault)
        self.logs_of: list[tuple[str, int]] = []
        self.assignment = Assignment(runtime, self.stepper, self.fence, self.session, self.keep_log, vault)

    def keep_log(self, slot: str, generation: int, patience: float = 60.0) -> None:
        found = self.runtime.containers.get(f"berth-{slot}-g{generation}")
        assert found is None or found.facts.ended
        self.logs_of.append((slot, generation))

    def states(self) -> dict[str, str]:
        return {name: item.facts.state for name, item in self.runtime.containers.items()}

    def sync(self, *keep: tuple[str, int], session: int = 1, forget: tuple[str, ...] = ()) -> int:
        strangers = self.assignment.accept(Sync(id="sync", session=session, keep=keep, forget=forget))
        self.assignment.clear(strangers)
        return len(strangers)


@pytest.fixture
def house(fake: FakeRuntime, tmp_path: Path) -> House:
    return House(fake, tmp_path)


def test_a_sync_has_the_fence_forget_what_the_engine_has_nothing_of(house: House) -> None:
    house.fence.close(("gone", 3))
    house.stepper.ensure(ensure("mine"))
    house.stepper.ensure(ensure("stranger"))
    house.session.begin(Welcome(node="n1", cluster=CLUSTER, session=2))
    assert house.sync(("mine", 1), session=2, forget=("gone", "mine", "stranger")) == 1
    assert dict(house.fence.generations()) == {"mine": 1, "stranger": 1}
    assert house.sync(("mine", 1), session=2, forget=("gone", "stranger")) == 0
    assert dict(house.fence.generations()) == {"mine": 1}


def test_no_lock_of_a_slot_outlives_its_use(house: House) -> None:
    house.stepper.ensure(ensure())
    house.stepper.stop(Stop(id="x", slot="s1", generation=1))
    with pytest.raises(Stale):
        house.stepper.ensure(ensure())
    assert house.stepper._locks == {}


def test_ensure_brings_a_container_up_once(house: House) -> None:
    job = ensure(wanted=shell("sleep 1000", network="berth-a1", files=(File(target="/x", content=b"1"),)))
    for _ in range(3):
        house.stepper.ensure(job)
    assert house.states() == {"berth-s1-g1": "running"}
    assert house.runtime.networks == {"berth-a1": CLUSTER}
    assert house.runtime.containers["berth-s1-g1"].files == {"/x": b"1"}
    acts = [call for call in house.runtime.calls if call in {"network", "create", "files", "start"}]
    assert acts == ["network", "create", "files", "start"]


def test_a_start_asks_the_engine_nothing_that_is_known(house: House) -> None:
    for slot in ("s1", "s2"):
        house.runtime.calls.clear()
        house.stepper.ensure(ensure(slot, wanted=shell("sleep 1000", network="berth-a1")))
    assert house.runtime.calls == ["network_exists", "create", "start"]


def test_a_start_whose_container_is_there_takes_it_over(house: House, tmp_path: Path) -> None:
    """The fence was lost, so that it counts as new; the engine's refusal leads to what there is."""
    (tmp_path / "lost").mkdir()
    for prepare, acts in ((lambda _name: None, ["create", "start"]), (house.runtime.start, ["create"])):
        house.runtime.containers.clear()
        house.runtime.create(identity(), shell("sleep 1000"))
        prepare("berth-s1-g1")
        house.runtime.calls.clear()
        fence = Fence(tmp_path / "lost" / f"{len(acts)}.json")
        Stepper(house.runtime, fence, house.session, Vault(tmp_path / "vault")).ensure(ensure())
        assert (house.runtime.calls, house.states()) == (acts, {"berth-s1-g1": "running"})


class Notes:
    """What an observer would know; `lines` are what it was told and asked."""

    def __init__(self, runtime: FakeRuntime) -> None:
        self.runtime, self.lines = runtime, list[str]()
        self.stale: ContainerFacts | None = None

    def find(self, slot: str, generation: int) -> ContainerFacts | None:
        found = self.runtime.containers.get(f"berth-{slot}-g{generation}")
        return self.stale or (found.facts if found else None)

    def await_end(self, slot: str, generation: int) -> ContainerFacts | None:
        found = self.runtime.containers.get(f"berth-{slot}-g{generation}")
        return found.facts if found and found.facts.ended else None

    def removed(self, container: ContainerFacts) -> None:
        self.lines.append(container.name)

    def on_network(self, network: str) -> bool:
        return any(network in one.facts.networks for one in self.runtime.containers.values())


@pytest.fixture
def notes(house: House, tmp_path: Path) -> Notes:
    made = Notes(house.runtime)
    house.stepper = Stepper(house.runtime, house.fence, house.session, Vault(tmp_path / "vault"), made)
    return made


def test_what_is_known_is_stopped_and_removed_with_one_call_each(house: House, notes: Notes) -> None:
    for slot in ("s1", "s2"):
        house.stepper.ensure(ensure(slot, wanted=shell("sleep 1000", network="berth-a1")))
    for slot, calls in (("s1", ["stop", "remove"]), ("s2", ["stop", "remove", "remove_network"])):
        house.runtime.calls.clear()
        ended = house.stepper.stop(Stop(id="stop", slot=slot, generation=1))
        assert ended is not None
        assert ended.exit_code == 143
        house.stepper.remove(Remove(id="remove", slot=slot, generation=1, network="berth-a1"))
        assert house.runtime.calls == calls
    assert notes.lines == ["berth-s1-g1", "berth-s2-g1"]
    assert (house.states(), house.runtime.networks) == ({}, {})


def test_what_was_wrongly_known_does_no_harm(house: House, notes: Notes) -> None:
    """It ended, it never ended, it is gone: the engine's word counts."""
    house.stepper.ensure(ensure(wanted=shell("sleep 1000")))
    running = house.runtime.containers["berth-s1-g1"].facts
    notes.stale = replace(running, state="exited")
    with pytest.raises(StillRunning):
        house.stepper.remove(Remove(id="remove", slot="s1", generation=1))
    stopped = house.stepper.stop(Stop(id="stop", slot="s1", generation=1))
    assert (stopped is not None and stopped.state, house.states()) == ("exited", {"berth-s1-g1": "exited"})
    notes.stale = running
    assert house.stepper.stop(Stop(id="stop", slot="s1", generation=1)) is not None
    house.runtime.containers.clear()
    assert house.stepper.stop(Stop(id="stop", slot="s1", generation=1)) is None
    house.stepper.remove(Remove(id="remove", slot="s1", generation=1))


TWO = (
    Attachment(network="berth-a1", aliases=("web",)),
    Attachment(network="berth-a1-_back", aliases=("web", "store"), internal=True),
)


def test_every_network_is_joined_before_the_start(house: House) -> None:
    job = ensure(wanted=shell("sleep 1000", networks=TWO))
    for _ in range(2):
        house.stepper.ensure(job)
    networks = house.runtime.containers["berth-s1-g1"].facts.networks
    assert {name: one.names for name, one in networks.items()} == {
        "berth-a1": {"web"},
        "berth-a1-_back": {"web", "store"},
    }
    acts = [call for call in house.runtime.calls if call in {"network", "create", "join", "start"}]
    assert acts == ["network", "network", "create", "join", "start"]


@pytest.mark.parametrize(
    "network", ["berth-a2", "berth-a1x", "berth-a1.x", "their-net", "berth-", "berth-a2-a1"]
)
def test_another_apps_network_is_not_joined(house: House, network: str) -> None:
    for wanted in (
        shell("sleep 1", network=network),
        shell("sleep 1", networks=(TWO[0], Attachment(network=network))),
    ):
        with pytest.raises(Refused):
            house.stepper.ensure(ensure(wanted=wanted))
    assert house.runtime.calls == []


def test_names_follow_health(house: House) -> None:
    check = Healthcheck(test=("CMD", "true"))
    house.stepper.ensure(ensure(wanted=shell("sleep 1000", networks=TWO, healthcheck=check)))
    name = "berth-s1-g1"

    def names() -> list[set[str]]:
        found = house.runtime.containers[name].facts.networks
        return [set(found[one.network].names) for one in TWO]

    addresses = [one.address for one in house.runtime.containers[name].facts.networks.values()]
    for health, wanted in (
        ("starting", [set(), set()]),
        ("healthy", [{"web"}, {"web", "store"}]),
        ("unhealthy", [set(), set()]),
        ("healthy", [{"web"}, {"web", "store"}]),
        ("starting", [set(), set()]),
    ):
        house.runtime.change(name, health=health)
        house.stepper.name(identity())
        assert names() == wanted, health
        before = len(house.runtime.calls)
        house.stepper.name(identity())
        assert house.runtime.calls[before:] == ["inspect"]
    assert {one.address for one in house.runtime.containers[name].facts.networks.values()} == set(addresses)


def test_a_container_that_was_left_off_its_network_joins_it_again(house: House) -> None:
    house.stepper.ensure(ensure(wanted=shell("sleep 1000", networks=TWO)))
    house.runtime.leave("berth-s1-g1", "berth-a1")
    house.stepper.name(identity())
    assert house.runtime.containers["berth-s1-g1"].facts.networks["berth-a1"].names == {"web"}


def test_between_leaving_and_joining_the_others_come_to_know(house: House) -> None:
    check = Healthcheck(test=("CMD", "true"))
    house.stepper.ensure(ensure(wanted=shell("sleep 1000", networks=TWO[:1], healthcheck=check)))
    house.runtime.change("berth-s1-g1", health="healthy")
    before = len(house.runtime.calls)
    house.stepper.name(identity())
    assert house.runtime.calls[before:] == ["inspect", "leave", "await_parted", "join"]


def test_a_container_whose_join_failed_half_way_joins_again(house: House) -> None:
    house.stepper.ensure(ensure(wanted=shell("sleep 1000", networks=TWO)))
    container = house.runtime.containers["berth-s1-g1"]
    half = replace(container.facts.networks["berth-a1"], address="")
    house.runtime.change("berth-s1-g1", networks={**container.facts.networks, "berth-a1": half})
    house.stepper.name(identity())
    assert house.runtime.calls[-2:] == ["inspect", "join"]
    assert house.runtime.containers["berth-s1-g1"].facts.networks["berth-a1"].address


def test_the_last_container_takes_all_its_networks_along(house: House) -> None:
    house.stepper.ensure(ensure(wanted=shell("exit 0", networks=TWO)))
    house.stepper.remove(Remove(id="remove", slot="s1", generation=1, network="berth-a1"))
    assert house.runtime.networks == {}


def test_ensure_survives_a_cut_after_every_engine_call(tmp_path: Path) -> None:
    """Cut before and after the n-th call, start a new agent, repeat: the end is always the same."""
    job = ensure(wanted=shell("sleep 1000", network="berth-a1", files=(File(target="/x", content=b"1"),)))
    for cut in itertools.count(1):
        runtime = FakeRuntime("berth/demo:latest")
        folder = tmp_path / str(cut)
        folder.mkdir()
        count = itertools.count(1)

        def fail(call: str, cut: int = cut, count: Any = count) -> None:
            if next(count) == cut:
                raise EngineTimeout(f"{call} was cut")

        runtime.before = fail
        try:
            House(runtime, folder).stepper.ensure(job)
        except EngineTimeout:
            House(runtime, folder).stepper.ensure(job)
            assert [item.facts.state for item in runtime.containers.values()] == ["running"]
            assert runtime.containers["berth-s1-g1"].files == {"/x": b"1"}
        else:
            assert cut > 6
            return


def test_a_missing_image_is_left_to_the_caller(house: House) -> None:
    with pytest.raises(NeedsPull):
        house.stepper.ensure(ensure(wanted=spec(image="registry.example.org/app:1")))
    assert house.states() == {}


def test_a_refused_container_touches_nothing(house: House) -> None:
    with pytest.raises(Refused):
        house.stepper.ensure(ensure(wanted=spec(memory=0)))
    with pytest.raises(Refused):
        house.stepper.ensure(ensure(cluster="other"))
    with pytest.raises(Refused):
        house.stepper.ensure(ensure(slot="../x"))
    with pytest.raises(Refused):
        house.stepper.ensure(ensure(generation=0))
    assert house.runtime.calls == []
    assert house.fence.generations() == {}


def test_an_older_generation_is_never_started(house: House) -> None:
    house.stepper.ensure(ensure(generation=2))
    with pytest.raises(Stale) as caught:
        house.stepper.ensure(ensure(generation=1))
    assert (caught.value.code, caught.value.fatal) == ("stale", True)
    assert house.states() == {"berth-s1-g2": "running"}


def test_an_ended_container_is_not_started_again(house: House) -> None:
    job = ensure(wanted=shell("exit 3"))
    house.stepper.ensure(job)
    house.stepper.ensure(job)
    assert house.states() == {"berth-s1-g1": "exited"}
    assert house.runtime.calls.count("start") == 1


def test_another_content_under_the_same_name_is_a_conflict(house: House) -> None:
    house.stepper.ensure(ensure())
    with pytest.raises(Conflict):
        house.stepper.ensure(ensure(digest="other"))


def test_stop_keeps_a_late_ensure_from_starting(house: House) -> None:
    stop = Stop(id="stop", slot="s1", generation=1, grace=0.0)
    house.stepper.stop(stop)
    with pytest.raises(Stale):
        house.stepper.ensure(ensure())
    assert house.states() == {}
    house.stepper.ensure(ensure(generation=2))
    house.stepper.stop(stop)
    assert house.states() == {"berth-s1-g2": "running"}


def test_stop_and_remove_end_a_container(house: House) -> None:
    house.stepper.ensure(ensure())
    with pytest.raises(StillRunning):
        house.stepper.remove(Remove(id="remove", slot="s1", generation=1))
    for _ in range(2):
        house.stepper.stop(Stop(id="stop", slot="s1", generation=1, grace=0.0))
        assert house.states() == {"berth-s1-g1": "exited"}
    for _ in range(2):
        house.stepper.remove(Remove(id="remove", slot="s1", generation=1))
    assert house.states() == {}


def test_stop_of_a_container_that_never_ran_leaves_nothing(house: House) -> None:
    house.runtime.create(identity(), shell("sleep 1"))
    house.stepper.stop(Stop(id="stop", slot="s1", generation=1))
    assert house.states() == {}


def test_remove_takes_volumes_and_the_unused_network_along(house: House) -> None:
    mounts = (Mount(kind="volume", source="a1-data", target="/data"),)
    wanted = shell("exit 0", network="berth-a1", mounts=mounts)
    house.stepper.ensure(ensure("s1", wanted=wanted))
    house.stepper.ensure(ensure("s2", wanted=shell("sleep 1000", network="berth-a1")))
    remove = Remove(id="remove", slot="s1", generation=1, volumes=("a1-data",), network="berth-a1")
    house.stepper.remove(remove)
    assert (house.runtime.volumes, house.runtime.networks) == ({}, {"berth-a1": CLUSTER})
    house.stepper.stop(Stop(id="stop", slot="s2", generation=1))
    house.stepper.remove(Remove(id="remove", slot="s2", generation=1, network="berth-a1"))
    assert house.runtime.networks == {}


@pytest.mark.parametrize(("volumes", "network"), [(("../x",), ""), (("/etc",), ""), ((), "host")])
def test_remove_names_only_volumes_and_networks_of_apps(house: House, volumes: Any, network: str) -> None:
    with pytest.raises(Refused):
        house.stepper.remove(Remove(id="r", slot="s1", generation=1, volumes=volumes, network=network))
    assert house.runtime.calls == []


def test_another_clusters_container_is_not_touched(house: House) -> None:
    house.runtime.create(identity(cluster="other"), shell("sleep 1"))
    house.runtime.start("berth-s1-g1")
    with pytest.raises(Conflict):
        house.stepper.stop(Stop(id="stop", slot="s1", generation=1))
    with pytest.raises(Conflict):
        house.stepper.remove(Remove(id="remove", slot="s1", generation=1))
    assert house.sync() == 0
    assert house.states() == {"berth-s1-g1": "running"}


@pytest.mark.parametrize("owner", ["other", ""])
def test_a_network_or_volume_of_others_is_not_joined_or_mounted(house: House, owner: str) -> None:
    house.runtime.networks["berth-a1-back"] = owner
    house.runtime.volumes["their-data"] = owner
    mounts = (Mount(kind="volume", source="their-data", target="/data"),)
    for wanted in (shell("sleep 1", network="berth-a1-back"), shell("sleep 1", mounts=mounts)):
        with pytest.raises(Conflict):
            house.stepper.ensure(ensure(wanted=wanted))
    assert house.states() == {}


@pytest.mark.parametrize("grace", [1e300, float("inf"), float("nan"), -1.0])
def test_no_stop_waits_for_ever(house: House, grace: float, monkeypatch: pytest.MonkeyPatch) -> None:
    house.stepper.ensure(ensure())
    waits: list[float] = []

    def stop(name: str, grace: float) -> None:
        waits.append(grace)
        house.runtime.end(name, 0)

    monkeypatch.setattr(house.runtime, "stop", stop)
    house.stepper.stop(Stop(id="stop", slot="s1", generation=1, grace=grace))
    assert 0.0 <= waits[0] <= 3600.0


def test_a_generation_that_no_report_could_carry_is_refused(house: House) -> None:
    for generation in (0, 1 << 31, 10**30):
        with pytest.raises(Refused):
            house.stepper.stop(Stop(id="stop", slot="s1", generation=generation))
    assert house.fence.generations() == {}


def test_a_start_that_fails_is_told_and_not_tried_again(house: House) -> None:
    job = ensure(wanted=spec(command=("/missing/program",)))
    with pytest.raises(AgentError) as caught:
        house.stepper.ensure(job)
    assert (caught.value.code, caught.value.fatal) == ("invalid", True)
    house.stepper.ensure(job)
    assert house.runtime.calls.count("start") == 1


def test_an_engine_that_never_gets_there_is_given_up(house: House) -> None:
    house.runtime.join = lambda *_: None  # type: ignore[method-assign]
    with pytest.raises(Unsettled) as caught:
        house.stepper.ensure(ensure(wanted=shell("sleep 1", networks=TWO)))
    assert not caught.value.fatal


def test_sync_keeps_what_is_ours_and_clears_the_rest(house: House) -> None:
    for slot in ("s1", "s2", "s3"):
        house.runtime.create(identity(slot), shell("sleep 1000"))
        house.runtime.start(f"berth-{slot}-g1")
    house.runtime.stop("berth-s3-g1", 0.0)
    with pytest.raises(Waiting):
        house.session.require(house.session.ticket())
    assert house.sync(("s1", 1)) == 2
    assert sorted(house.logs_of) == [("s2", 1), ("s3", 1)]
    house.session.require(house.session.ticket())
    assert house.states() == {"berth-s1-g1": "running"}
    with pytest.raises(Stale):
        house.stepper.ensure(ensure("s2"))


def test_a_newer_generation_leaves_the_older_one_alone(house: House) -> None:
    """An update that starts first: both run until the older one is stopped by its own job."""
    house.stepper.ensure(ensure(generation=1))
    house.runtime.calls.clear()
    house.stepper.ensure(ensure(generation=2))
    assert house.states() == {"berth-s1-g1": "running", "berth-s1-g2": "running"}
    assert not {"stop", "remove"} & set(house.runtime.calls)
    house.stepper.stop(Stop(id="x", slot="s1", generation=1))
    house.stepper.ensure(ensure(generation=2))
    assert house.states() == {"berth-s1-g1": "exited", "berth-s1-g2": "running"}


def test_a_newer_generation_that_fails_goes_without_the_older_one(house: House) -> None:
    house.stepper.ensure(ensure(generation=1))
    house.stepper.ensure(ensure(generation=2))
    house.stepper.stop(Stop(id="x", slot="s1", generation=2))
    house.stepper.remove(Remove(id="y", slot="s1", generation=2))
    house.stepper.ensure(ensure(generation=3))
    assert house.states() == {"berth-s1-g1": "running", "berth-s1-g3": "running"}


@pytest.mark.parametrize("kept", [(1, 2), (1,), (2,)])
def test_sync_keeps_each_generation_that_it_names(house: House, kept: tuple[int, ...]) -> None:
    house.stepper.ensure(ensure(generation=1))
    house.stepper.ensure(ensure(generation=2))
    house.session.begin(Welcome(node="n1", cluster=CLUSTER, session=2))
    house.sync(*(("s1", generation) for generation in kept), session=2)
    assert house.states() == {f"berth-s1-g{generation}": "running" for generation in kept}


def test_a_late_sync_spares_what_was_ensured_after_it(house: House) -> None:
    house.sync()
    house.stepper.ensure(ensure("s1"))
    assert house.sync() == 0
    assert house.states() == {"berth-s1-g1": "running"}


def test_a_sync_of_another_session_changes_nothing(house: House) -> None:
    house.runtime.create(identity(), shell("sleep 1000"))
    with pytest.raises(Stale) as caught:
        house.sync(session=2)
    assert not caught.value.fatal
    assert house.session.waiting
    assert house.states() == {"berth-s1-g1": "created"}


def test_a_sync_whose_session_ends_meanwhile_does_not_open_the_next_ones_gate(house: House) -> None:
    house.runtime.create(identity(), shell("sleep 1000"))

    def lose_the_link(call: str) -> None:
        if call == "list":
            house.session.end()
            house.session.begin(Welcome(node="n1", cluster=CLUSTER, session=2))

    house.runtime.before = lose_the_link
    with pytest.raises(Stale):
        house.sync()
    assert house.session.waiting
    house.runtime.before = lambda call: None
    assert house.sync(("s1", 1), session=2) == 0
    house.stepper.ensure(ensure())
    assert house.states() == {"berth-s1-g1": "running"}


def test_a_sync_that_comes_after_its_link_was_lost_opens_nothing(house: House) -> None:
    house.session.end()
    with pytest.raises(Stale):
        house.sync()
    assert house.session.waiting


def test_an_ensure_ends_with_its_session(house: House) -> None:
    """The link is lost between its steps: the next assignment was made without it."""
    house.sync()
    ticket = house.session.ticket()

    def lose_the_link(call: str) -> None:
        if call == "create":
            house.session.end()
            house.session.begin(Welcome(node="n1", cluster=CLUSTER, session=2))

    house.runtime.before = lose_the_link
    with pytest.raises(Waiting):
        house.stepper.ensure(ensure(), ticket)
    assert house.states() == {"berth-s1-g1": "created"}
    assert house.sync(session=2) == 1
    assert house.states() == {}


def test_sync_tries_every_stranger_before_it_fails(house: House) -> None:
    for slot in ("s1", "s2"):
        house.runtime.create(identity(slot), shell("sleep 1000"))
        house.runtime.start(f"berth-{slot}-g1")
    calls = itertools.count(1)

    def fail_first_stop(call: str) -> None:
        if call == "stop" and next(calls) == 1:
            raise EngineTimeout("slow")

    house.runtime.before = fail_first_stop
    with pytest.raises(EngineTimeout):
        house.sync()
    assert len(house.runtime.containers) == 1
    assert house.sync() == 1
    assert house.states() == {}


def test_a_session_gate_shuts_with_the_link_and_remembers_its_cluster(tmp_path: Path) -> None:
    session = Session(tmp_path)
    assert session.begin(Welcome(node="n1", cluster="c1", session=1)) is True
    session.open_gate(1)
    ticket = session.ticket()
    session.require(ticket)
    session.end()
    assert session.waiting
    with pytest.raises(Waiting):
        session.require(ticket)
    again = Session(tmp_path)
    assert again.cluster == "c1"
    assert again.begin(Welcome(node="n1", cluster="c1", session=2)) is False
    assert again.begin(Welcome(node="n1", cluster="c2", session=3)) is True
    with pytest.raises(Refused):
        again.begin(Welcome(node="n1", cluster="../x", session=4))


def test_a_taken_port_passes_through_and_an_image_that_is_gone_is_pulled(house: House) -> None:
    house.runtime.before = lambda call: _raise(PortTaken("taken")) if call == "start" else None
    with pytest.raises(PortTaken):
        house.stepper.ensure(ensure())
    house.runtime.before = lambda call: _raise(ImageMissing("gone")) if call == "create" else None
    with pytest.raises(NeedsPull) as caught:
        house.stepper.ensure(ensure("s2"))
    assert caught.value.missing.message == "gone"


def _raise(error: Exception) -> None:
    raise error
