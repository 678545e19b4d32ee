from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeagent.errors import Waiting
from nodeagent.fetched import Fetched, plain
from nodeagent.protocol import ImageFact, Result, Tidy
from nodeagent.runtime.base import EngineTimeout, InUse
from nodeagent.tidy import LEAST_UNUSED, Tidier, removable
from tests.nodeagent.builders import identity, spec
from tests.nodeagent.fake import FakeRuntime

DAY = 86400.0


def fact(letter: str, *tags: str, size: int = 1) -> ImageFact:
    digest = f"registry.test/{letter}@sha256:{letter * 64}"
    return ImageFact(id=f"sha256:{letter * 63}0", tags=tags, digests=(digest,), size=size)


class Host:
    """A fake engine, what was fetched to it, and a clock."""

    def __init__(self, runtime: FakeRuntime, folder: Path) -> None:
        self.runtime = runtime
        self.path = folder / "fetched.json"
        self.now = 1e9
        self.restart()

    def restart(self) -> None:
        self.fetched = Fetched(self.path, lambda: self.now)
        self.tidier = Tidier(self.runtime, self.fetched, lambda: self.now)

    def put(self, image: ImageFact) -> ImageFact:
        """Somebody else does."""
        self.runtime.local_images[image.digests[0] if image.digests else image.tags[0]] = image
        return image

    def fetch(self, image: ImageFact) -> ImageFact:
        [name] = image.digests
        with self.fetched.wanted(name):
            self.fetched.fetching(name)
            return self.put(image)

    def run(self, *images: ImageFact, unused: float = DAY, may: Callable[[], None] = lambda: None) -> Result:
        return self.tidier.run(Tidy(id="t", images=tuple(image.id for image in images), unused=unused), may)

    def record(self) -> dict[str, float]:
        record: dict[str, float] = json.loads(self.path.read_bytes())
        return record

    def tidy(self, *images: ImageFact, unused: float = DAY) -> list[ImageFact]:
        result = self.run(*images, unused=unused)
        assert result.ok
        assert not self.here(*result.removed)
        return list(result.removed)

    def here(self, *images: ImageFact) -> bool:
        return any(self.runtime.image(image.id) for image in images)


@pytest.fixture
def host(fake: FakeRuntime, tmp_path: Path) -> Host:
    return Host(fake, tmp_path)


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("docker.io/library/nginx:1.25@sha256:1", "nginx@sha256:1"),
        ("docker.io/team/app@sha256:1", "team/app@sha256:1"),
        ("localhost:5000/app:2@sha256:1", "localhost:5000/app@sha256:1"),
        ("r.test:5000/a/b@sha256:1", "r.test:5000/a/b@sha256:1"),
    ],
)
def test_a_name_is_the_same_however_it_was_written(name: str, same: str) -> None:
    assert plain(name) == same


@given(
    ages=st.lists(st.none() | st.floats(0, 10), max_size=8),
    used=st.sets(st.integers(0, 7)),
    named=st.sets(st.integers(0, 7)),
    unused=st.floats(0, 10),
)
def test_what_goes_was_named_and_fetched_and_is_old_and_unused(
    ages: list[float | None], used: set[int], named: set[int], unused: float
) -> None:
    images = [ImageFact(id=f"i{n}", digests=(f"r/{n}@sha256:{n}",)) for n in range(len(ages))]
    known = {image.id: age for image, age in zip(images, ages, strict=True)}
    found = removable(
        *(images, {f"i{n}" for n in named}, {f"r/{n}@sha256:{n}" for n in used}),
        *(lambda image: known[image.id], unused),
    )
    wanted = {
        n for n, age in enumerate(ages) if n in named and n not in used and age is not None and age >= unused
    }
    assert {image.id for image in found} == {f"i{n}" for n in wanted}
    oldest_first = [known[image.id] or 0.0 for image in found]
    assert oldest_first == sorted(oldest_first, reverse=True)


def test_old_ones_go_and_young_ones_stay(host: Host) -> None:
    old = host.fetch(fact("a", size=5))
    host.now += DAY
    young = host.fetch(fact("b"))
    assert host.tidy(old, young) == [old]
    assert host.here(young)
    assert host.tidy(old, young) == []


def test_what_was_not_named_stays(host: Host) -> None:
    first, second = host.fetch(fact("a")), host.fetch(fact("b"))
    host.now += 2 * DAY
    assert host.tidy(first) == [first]
    assert host.here(second)


def test_what_somebody_else_put_there_stays(host: Host) -> None:
    pulled = host.put(fact("a"))
    loaded = host.put(ImageFact(id="sha256:" + "f" * 64, tags=("berth/own:1",)))
    host.now += 100 * DAY
    assert host.tidy(pulled, loaded) == []
    assert host.here(pulled)
    assert host.here(loaded)
    assert not any(image.pulled for image in host.fetched.marked([pulled, loaded]))


@pytest.mark.parametrize("other", ["tag", "digest"])
def test_what_somebody_gave_another_name_stays(host: Host, other: str) -> None:
    image = host.fetch(fact("a"))
    assert host.fetched.marked([image]) == (msgspec.structs.replace(image, pulled=True),)
    [name] = image.digests
    theirs = (
        msgspec.structs.replace(image, tags=("mine:1",))
        if other == "tag"
        else msgspec.structs.replace(image, digests=(name, "mirror.test/a@sha256:" + "a" * 64))
    )
    host.runtime.local_images[name] = theirs
    host.now += 2 * DAY
    assert host.tidy(theirs) == []
    assert host.here(theirs)
    assert host.fetched.marked([theirs]) == (theirs,)


def test_what_a_container_uses_stays_and_counts_from_its_last_use(host: Host) -> None:
    image = host.fetch(fact("a"))
    made = host.runtime.create(identity(), spec(image=image.digests[0]))
    host.now += 2 * DAY
    assert host.tidy(image) == []
    host.tidier.look()
    host.runtime.remove(made.name)
    host.now += DAY - 1
    assert host.tidy(image) == []
    host.now += 1
    assert host.tidy(image) == [image]


def test_a_restart_of_the_agent_forgets_nothing(host: Host) -> None:
    image = host.fetch(fact("a"))
    host.now += DAY
    host.restart()
    assert host.record() == {plain(image.digests[0]): 1e9}
    assert host.tidy(image) == [image]
    assert host.record() == {}


def test_what_somebody_puts_there_after_its_removal_is_theirs(host: Host) -> None:
    image = host.fetch(fact("a"))
    host.now += DAY
    assert host.tidy(image) == [image]
    host.now += 60
    host.put(image)
    assert host.fetched.marked([image]) == (image,)
    host.restart()
    host.now += DAY
    assert host.tidy(image) == []
    assert host.here(image)


def test_of_an_image_that_keeps_a_name_only_those_that_went_are_forgotten(host: Host) -> None:
    first = fact("a").digests[0]
    second = "mirror.test/a@sha256:" + "a" * 64
    image = msgspec.structs.replace(fact("a"), digests=(first, second))
    for name in image.digests:
        with host.fetched.wanted(name):
            host.fetched.fetching(name)
    host.put(image)
    fetched_at = host.now
    host.now += DAY

    def refuse(call: str) -> None:
        if call == "remove_image" and host.runtime.calls.count("remove_image") == 2:
            raise InUse("a container is using its referenced image")

    host.runtime.before = refuse
    assert host.run(image).removed == ()
    assert host.record() == {second: fetched_at}
    [left] = host.runtime.images()[-1:]
    assert left.digests == (second,)
    assert host.tidy(left) == [left]


def test_it_ends_where_it_may_not_go_on_and_tells_what_went(host: Host) -> None:
    images = [host.fetch(fact(letter)) for letter in "abc"]
    host.now += DAY

    def may() -> None:
        if host.runtime.calls.count("remove_image"):
            raise Waiting("The session is over.")

    result = host.run(*images, may=may)
    assert (result.ok, result.message, result.removed) == (True, "The session is over.", (images[0],))
    assert host.here(images[1])
    assert host.here(images[2])
    with pytest.raises(Waiting):
        host.run(*images, may=may)
    assert host.here(images[1])


def test_a_record_that_cannot_be_read_stops_no_agent(host: Host) -> None:
    image = host.fetch(fact("a"))
    host.path.unlink()
    host.path.mkdir()
    host.restart()
    host.now += 100 * DAY
    assert host.tidy(image) == []
    assert host.here(image)


@pytest.mark.parametrize("content", ["", "[1]", '{"a": "b"}', '{"a": null}'])
def test_without_its_record_everything_stays(host: Host, content: str) -> None:
    image = host.fetch(fact("a"))
    host.path.write_text(content)
    host.restart()
    host.now += 100 * DAY
    assert host.tidy(image) == []
    assert host.here(image)


def test_one_that_came_just_now_stays_whatever_the_console_says(host: Host) -> None:
    image = host.fetch(fact("a"))
    host.now += LEAST_UNUSED - 1
    for unused in (0.0, -5.0, float("nan")):
        assert host.tidy(image, unused=unused) == []
    host.now += 1
    assert host.tidy(image, unused=0.0) == [image]


def test_a_clock_that_was_set_back_makes_nothing_older(host: Host) -> None:
    image = host.fetch(fact("a"))
    host.now -= 10 * DAY
    assert host.tidy(image) == []


def test_what_is_wanted_just_now_stays(host: Host) -> None:
    image = host.fetch(fact("a"))
    host.now += 2 * DAY
    with host.fetched.wanted(image.digests[0]):
        assert host.tidy(image) == []
    # To have wanted it was a use.
    assert host.tidy(image) == []
    host.now += DAY
    assert host.tidy(image) == [image]


def test_a_fetch_waits_for_the_removal_that_is_under_way(host: Host) -> None:
    image = host.fetch(fact("a"))
    host.now += DAY
    removing, go_on, wanted = threading.Event(), threading.Event(), threading.Event()

    def before(call: str) -> None:
        if call == "remove_image":
            removing.set()
            assert go_on.wait(5)

    def fetch() -> None:
        with host.fetched.wanted(image.digests[0]):
            assert not host.here(image)
            wanted.set()

    host.runtime.before = before
    tidying = threading.Thread(target=host.tidy, args=(image,))
    tidying.start()
    assert removing.wait(5)
    fetching = threading.Thread(target=fetch)
    fetching.start()
    assert not wanted.wait(0.1)
    # Nobody who only asks is held up.
    assert host.fetched.marked([image]) == (msgspec.structs.replace(image, pulled=True),)
    go_on.set()
    assert wanted.wait(5)
    tidying.join(5)
    fetching.join(5)


def test_an_image_that_a_look_began_too_early_for_is_not_forgotten(host: Host) -> None:
    image = fact("a")
    began = host.now
    host.now += 1
    host.fetch(image)
    host.fetched.saw((), (), began)
    assert host.fetched.unused_for(image) == 0.0
    host.now += 1
    host.fetched.saw((), (), host.now)
    assert host.fetched.unused_for(image) is None


def test_a_refusal_is_noted_and_the_others_go(host: Host) -> None:
    first, second = host.fetch(fact("a")), host.fetch(fact("b"))
    host.now += DAY

    def refuse(call: str) -> None:
        if call == "remove_image" and host.runtime.calls.count("remove_image") == 1:
            raise InUse("image has dependent child images.")

    host.runtime.before = refuse
    result = host.run(first, second)
    assert (result.ok, result.message) == (True, "image has dependent child images.")
    assert result.removed == (second,)
    assert host.here(first)


def test_with_an_engine_that_goes_away_it_ends_and_tells_what_went(host: Host) -> None:
    images = [host.fetch(fact(letter)) for letter in "abc"]
    host.now += DAY

    def refuse(call: str) -> None:
        if call == "remove_image" and host.runtime.calls.count("remove_image") == 2:
            raise EngineTimeout("no answer in time")

    host.runtime.before = refuse
    result = host.run(*images)
    assert (result.ok, result.message, result.removed) == (True, "no answer in time", (images[0],))


def test_a_pull_by_a_tag_is_not_kept_account_of(host: Host) -> None:
    host.fetched.fetching("registry.test/a:1")
    assert not host.path.exists()
