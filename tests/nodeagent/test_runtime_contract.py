"""What every runtime must do; run against the fake and against a real engine."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from nodeagent.errors import Refused
from nodeagent.facts import identity_of
from nodeagent.protocol import LABEL_SLOT, Mount, PortBinding
from nodeagent.runtime.base import (
    Conflict,
    Endpoint,
    EngineError,
    ImageMissing,
    InUse,
    Invalid,
    NotFound,
    PortTaken,
    RegistryUnreachable,
    Runtime,
    StillRunning,
)
from tests.nodeagent.builders import CLUSTER, DEMO, identity, shell, spec


def settle(condition: Callable[[], bool], timeout: float = 10.0) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)


def state(runtime: Runtime, name: str) -> str:
    facts = runtime.inspect(name)
    return facts.state if facts else "absent"


def test_a_container_is_created_started_stopped_and_removed(runtime: Runtime) -> None:
    wanted = identity()
    name = wanted.engine_name
    created = runtime.create(wanted, shell("sleep 1000"))
    assert (created.name, created.state, created.exit_code) == (name, "created", None)
    assert identity_of(created.labels) == wanted
    runtime.start(name)
    assert state(runtime, name) == "running"
    runtime.stop(name, 0.0)
    assert state(runtime, name) == "exited"
    runtime.remove(name)
    assert state(runtime, name) == "absent"


def test_everything_may_be_done_twice(runtime: Runtime) -> None:
    wanted = identity()
    name = wanted.engine_name
    first = runtime.create(wanted, shell("sleep 1000"))
    assert runtime.create(wanted, shell("sleep 1000")).engine_id == first.engine_id
    runtime.start(name)
    runtime.start(name)
    assert runtime.create(wanted, shell("sleep 1000")).engine_id == first.engine_id
    runtime.stop(name, 0.0)
    runtime.stop(name, 0.0)
    runtime.remove(name)
    runtime.remove(name)
    runtime.stop(name, 0.0)


def test_another_container_of_the_same_name_is_a_conflict(runtime: Runtime) -> None:
    runtime.create(identity(), shell("sleep 1000"))
    with pytest.raises(Conflict) as caught:
        runtime.create(identity(digest="other"), shell("sleep 1000"))
    assert caught.value.fatal


def test_a_missing_image_is_named(runtime: Runtime) -> None:
    with pytest.raises(ImageMissing) as caught:
        runtime.create(identity(), spec(image="berth/absent:1"))
    assert "berth/absent:1" in caught.value.message
    assert runtime.image("berth/absent:1") is None


def test_a_harmful_container_never_reaches_the_engine(runtime: Runtime) -> None:
    mount = Mount(kind="volume", source="/etc", target="/data")
    with pytest.raises(Refused):
        runtime.create(identity(), shell("sleep 1000", mounts=(mount,)))
    assert state(runtime, identity().engine_name) == "absent"


def test_an_ended_container_shows_its_exit_code_and_log(runtime: Runtime) -> None:
    name = identity().engine_name
    runtime.create(identity(), shell("echo one; echo two >&2; exit 3"))
    runtime.start(name)
    settle(lambda: state(runtime, name) == "exited")
    facts = runtime.inspect(name)
    assert facts is not None
    assert (facts.ended, facts.exit_code, facts.restarts) == (True, 3, 0)
    assert facts.finished_at == pytest.approx(time.time(), abs=10)
    lines = list(runtime.logs(name, follow=False, tail=-1, since=0.0))
    assert sorted((line.source, line.text) for line in lines) == [("stderr", "two"), ("stdout", "one")]
    assert [line.text for line in runtime.logs(name, follow=False, tail=1, since=0.0)] == [lines[-1].text]


def test_a_program_that_is_not_there_is_the_users_mistake(runtime: Runtime) -> None:
    name = identity().engine_name
    runtime.create(identity(), spec(command=("/missing/program",)))
    with pytest.raises(Invalid) as caught:
        runtime.start(name)
    assert "Check the command" in caught.value.message
    facts = runtime.inspect(name)
    assert facts is not None
    assert (facts.state, facts.ended, bool(facts.error)) == ("created", True, True)


def test_a_taken_port_is_said_and_may_become_free(runtime: Runtime) -> None:
    runtime.ensure_network("berth-a1", CLUSTER, "a1")
    ports = (PortBinding(host=31999, container=80),)
    for slot in ("s1", "s2"):
        runtime.create(identity(slot), shell("sleep 1000", network="berth-a1", ports=ports))
    runtime.start(identity("s1").engine_name)
    with pytest.raises(PortTaken) as caught:
        runtime.start(identity("s2").engine_name)
    assert not caught.value.fatal
    facts = runtime.inspect(identity("s1").engine_name)
    assert facts is not None
    assert facts.ports == ports


def test_starting_what_is_not_there(runtime: Runtime) -> None:
    with pytest.raises(NotFound):
        runtime.start("berth-none-g1")
    with pytest.raises(NotFound):
        runtime.logs("berth-none-g1", follow=False, tail=1, since=0.0)


def test_a_running_container_is_not_removed(runtime: Runtime) -> None:
    name = identity().engine_name
    runtime.create(identity(), shell("sleep 1000"))
    runtime.start(name)
    with pytest.raises(StillRunning):
        runtime.remove(name)
    assert state(runtime, name) == "running"


def test_only_ones_own_cluster_is_listed(runtime: Runtime) -> None:
    runtime.create(identity("mine"), shell("sleep 1"))
    runtime.create(identity("theirs", cluster="other"), shell("sleep 1"))
    listing = runtime.list_managed(CLUSTER)
    assert [facts.labels[LABEL_SLOT] for facts in listing.own] == ["mine"]
    assert listing.foreign == 1


def test_what_is_listed_in_another_state_than_it_was_known_in_is_looked_at(runtime: Runtime) -> None:
    runtime.create(identity("same"), shell("sleep 1000"))
    runtime.create(identity("started"), shell("sleep 1000"))
    before = {facts.engine_id: facts for facts in runtime.list_managed(CLUSTER).own}
    runtime.start(identity("started").engine_name)
    after = runtime.list_managed(CLUSTER, before).own
    assert {facts.labels[LABEL_SLOT]: facts.state for facts in after} == {
        "same": "created",
        "started": "running",
    }


def test_an_app_network_lives_while_it_is_used(runtime: Runtime) -> None:
    runtime.ensure_network("berth-a1", CLUSTER, "a1")
    runtime.ensure_network("berth-a1", CLUSTER, "a1")
    assert runtime.network_exists("berth-a1", CLUSTER)
    name = identity().engine_name
    runtime.create(identity(), shell("sleep 1000", network="berth-a1", aliases=("web",)))
    runtime.start(name)
    assert runtime.remove_network_if_unused("berth-a1", CLUSTER) is False
    runtime.stop(name, 0.0)
    runtime.remove(name)
    assert runtime.remove_network_if_unused("berth-a1", CLUSTER) is True
    assert runtime.remove_network_if_unused("berth-a1", CLUSTER) is True
    assert not runtime.network_exists("berth-a1", CLUSTER)


def test_a_container_leaves_a_network_and_joins_it_again_at_its_address(runtime: Runtime) -> None:
    runtime.ensure_network("berth-a1", CLUSTER, "a1", steady=True)
    name = identity().engine_name
    runtime.create(identity(), shell("sleep 1000", network="berth-a1", aliases=("web",)))
    runtime.start(name)
    before = endpoint(runtime, name, "berth-a1")
    assert "web" in before.names
    runtime.join(name, "berth-a1", ("other",))
    assert endpoint(runtime, name, "berth-a1") == before
    for _ in range(2):
        runtime.leave(name, "berth-a1")
    facts = runtime.inspect(name)
    assert facts is not None
    assert "berth-a1" not in facts.networks
    runtime.join(name, "berth-a1", (), before.address)
    after = endpoint(runtime, name, "berth-a1")
    assert (after.address, "web" in after.names) == (before.address, False)
    runtime.leave(name, "berth-none")


def endpoint(runtime: Runtime, name: str, network: str) -> Endpoint:
    facts = runtime.inspect(name)
    assert facts is not None
    return facts.networks[network]


def test_an_address_that_cannot_be_asked_for_is_another_one(runtime: Runtime) -> None:
    runtime.ensure_network("berth-a1", CLUSTER, "a1")
    name = identity().engine_name
    runtime.create(identity(), shell("sleep 1000", network="berth-a1", aliases=("web",)))
    runtime.start(name)
    address = endpoint(runtime, name, "berth-a1").address
    runtime.leave(name, "berth-a1")
    runtime.join(name, "berth-a1", ("web",), address)
    assert "web" in endpoint(runtime, name, "berth-a1").names


def test_another_apps_network_is_a_conflict(runtime: Runtime) -> None:
    runtime.ensure_network("berth-a1-back", CLUSTER, "a2")
    with pytest.raises(Conflict):
        runtime.network_exists("berth-a1-back", CLUSTER, "a1")
    with pytest.raises(Conflict):
        runtime.ensure_network("berth-a1-back", CLUSTER, "a1")
    assert runtime.network_exists("berth-a1-back", CLUSTER, "a2")


def test_networks_and_volumes_of_others_are_not_touched(runtime: Runtime) -> None:
    runtime.ensure_network("berth-x", "other", "a1")
    mounts = (Mount(kind="volume", source="data-x", target="/data"),)
    runtime.create(identity(cluster="other"), shell("sleep 1", mounts=mounts))
    runtime.remove(identity().engine_name)
    with pytest.raises(Conflict):
        runtime.ensure_network("berth-x", CLUSTER, "a1")
    with pytest.raises(Conflict):
        runtime.network_exists("berth-x", CLUSTER)
    with pytest.raises(Conflict):
        runtime.check_volume("data-x", CLUSTER)
    runtime.check_volume("data-x", "other")
    runtime.check_volume("not-there-yet", CLUSTER)
    with pytest.raises(Conflict):
        runtime.remove_network_if_unused("berth-x", CLUSTER)
    with pytest.raises(Conflict):
        runtime.remove_volume("data-x", CLUSTER)
    runtime.remove_volume("data-x", "other")


def test_a_volume_goes_once_nothing_uses_it(runtime: Runtime) -> None:
    mounts = (Mount(kind="volume", source="a1-data", target="/data"),)
    runtime.create(identity(), shell("sleep 1", mounts=mounts))
    with pytest.raises(InUse):
        runtime.remove_volume("a1-data", CLUSTER)
    runtime.remove(identity().engine_name)
    runtime.remove_volume("a1-data", CLUSTER)
    runtime.remove_volume("a1-data", CLUSTER)


def test_events_tell_of_a_whole_life(runtime: Runtime) -> None:
    stream = runtime.events()
    seen: list[str] = []

    def read() -> None:
        try:
            for event in stream:
                if event.labels.get(LABEL_SLOT) == "s1":
                    seen.append(event.action)
        except EngineError:
            seen.append("end")

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    name = identity().engine_name
    runtime.create(identity(), shell("exit 0"))
    runtime.start(name)
    settle(lambda: state(runtime, name) == "exited")
    runtime.remove(name)
    settle(lambda: "destroy" in seen)
    assert seen == ["create", "start", "die", "destroy"]
    stream.close()
    reader.join(5)
    assert not reader.is_alive()


def test_a_followed_log_ends_with_its_container_or_when_closed(runtime: Runtime) -> None:
    name = identity().engine_name
    runtime.create(identity(), shell("sleep 1000"))
    runtime.start(name)
    for end_it in ("close", "stop"):
        lines = runtime.logs(name, follow=True, tail=0, since=0.0)
        reader = threading.Thread(target=list, args=(lines,), daemon=True)
        reader.start()
        time.sleep(0.1)
        assert reader.is_alive()
        if end_it == "close":
            lines.close()
        else:
            runtime.stop(name, 0.0)
        reader.join(5)
        assert not reader.is_alive()


def test_an_image_has_an_identity(runtime: Runtime) -> None:
    fact = runtime.image(DEMO)
    assert fact is not None
    assert DEMO in fact.tags
    assert runtime.image(fact.id) == fact
    assert fact.id in {found.id for found in runtime.images()}


def test_an_image_that_no_registry_has(runtime: Runtime) -> None:
    with pytest.raises((ImageMissing, RegistryUnreachable)) as caught:
        runtime.pull("registry.invalid/absent:1", None, lambda *_: None, 30.0)
    assert "registry.invalid/absent:1" in caught.value.message
    assert "heck the name" in caught.value.message
    with pytest.raises(RegistryUnreachable):
        runtime.resolve("registry.invalid/absent:1", None, 10.0)


def test_what_the_host_has(runtime: Runtime) -> None:
    info = runtime.info()
    assert info.cpu >= 1000
    assert info.memory > 1 << 28
    assert info.engine.os == "linux"


def test_numbers_of_a_running_container(runtime: Runtime) -> None:
    name = identity().engine_name
    runtime.create(identity(), shell("sleep 1000"))
    runtime.start(name)
    usage = runtime.stats(name)
    assert usage.memory > 0
    assert usage.cpu_ns > 0
    assert usage.pids >= 1


def test_an_image_that_a_container_is_made_from_stays(runtime: Runtime) -> None:
    demo = runtime.image(DEMO)
    assert demo is not None
    assert demo.id not in runtime.used_images()
    runtime.create(identity(), shell("exit 0"))
    assert demo.id in runtime.used_images()
    with pytest.raises(InUse):
        runtime.remove_image(DEMO)
    assert runtime.image(DEMO) == demo
    runtime.start(identity().engine_name)
    settle(lambda: state(runtime, identity().engine_name) == "exited")
    assert demo.id in runtime.used_images()


def test_an_image_that_is_not_there_is_removed_already(runtime: Runtime) -> None:
    runtime.remove_image("registry.example.org/gone@sha256:" + "0" * 64)
