"""Old images on a real engine that others use as well."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.engine import Engine
from lab.processes import RECORD_SUFFIX, Process, wait_until
from nodeagent.fetched import Fetched
from nodeagent.protocol import ImageFact, Tidy
from nodeagent.pulls import Images
from nodeagent.runtime.base import InUse, RegistryUnreachable
from nodeagent.runtime.engine import DockerRuntime
from nodeagent.seal import NodeKey
from nodeagent.tidy import Tidier
from tests.nodeagent.builders import DEMO, identity, spec
from tests.nodeagent.registry import Image

pytestmark = pytest.mark.engine

PORT = 5999
DAY = 86400.0


def name(letter: str) -> str:
    return f"127.0.0.1:{PORT}/{letter}@{Image.tiny(letter).digest}"


class Node:
    """The agent's parts that matter here, and a clock."""

    def __init__(self, runtime: DockerRuntime, folder: Path) -> None:
        self.runtime = runtime
        self.now = 1e9
        self.fetched = Fetched(folder / "fetched.json", lambda: self.now)
        self.images = Images(runtime, NodeKey(folder), self.fetched)
        self.tidier = Tidier(runtime, self.fetched, lambda: self.now)

    def fetch(self, letter: str) -> ImageFact:
        return self.images.pull(name(letter), None, lambda *_: None, 30.0).result(30)

    def tidy(self, *images: ImageFact) -> list[str]:
        job = Tidy(id="t", images=tuple(image.id for image in images), unused=DAY)
        result = self.tidier.run(job, lambda: None)
        assert result.ok
        return [image.id for image in result.removed]


@pytest.fixture
def registry(engine: Engine, tmp_path: Path) -> Iterator[None]:
    """Beside the engine, on its host's loopback."""
    argv = [sys.executable, "-m", "tests.nodeagent.registry", str(PORT)]
    record = tmp_path / f"registry{RECORD_SUFFIX}"
    process = Process(record, argv, log=tmp_path / "registry.log", netns=engine.netns)
    process.start()
    yield
    process.stop()


@pytest.fixture
def node(engine: Engine, docker_runtime: DockerRuntime, registry: None, tmp_path: Path) -> Iterator[Node]:
    node = Node(docker_runtime, tmp_path)

    def answers() -> bool:
        try:
            return bool(docker_runtime.resolve(name("a"), None, 5.0))
        except RegistryUnreachable:
            return False

    assert wait_until(answers, 10.0)
    yield node
    engine.remove_containers()
    with engine.client() as client:
        for image in client.images.list(all=True):
            if DEMO not in image.tags:
                client.images.remove(str(image.id), force=True, noprune=True)


def test_what_is_old_goes_and_all_that_others_have_to_do_with_stays(engine: Engine, node: Node) -> None:
    old, wanted, used, ended, tagged, base = (node.fetch(letter) for letter in "abcdef")
    assert all(fact.size > 0 and not fact.tags for fact in (old, wanted))
    node.runtime.create(identity("s1"), spec(image=name("c")))
    with engine.client() as client:
        # Somebody else's container, image, name and build on this engine.
        client.api.create_container(name("d"))
        theirs = client.api.pull(f"127.0.0.1:{PORT}/g@{Image.tiny('g').digest}") and node.runtime.image(
            name("g")
        )
        assert client.api.tag(tagged.id, "theirs", "1")
        built, _log = client.images.build(
            fileobj=io.BytesIO(f"FROM {name('f')}\nLABEL a=b\n".encode()), tag="built:1", network_mode="none"
        )
    demo = node.runtime.image(DEMO)
    assert theirs is not None
    assert demo is not None
    listed = {fact.id: fact.pulled for fact in node.fetched.marked(node.runtime.images())}
    assert listed == {
        **dict.fromkeys((fact.id for fact in (old, wanted, used, ended, base)), True),
        **dict.fromkeys((tagged.id, theirs.id, demo.id, str(built.id)), False),
    }
    node.now += DAY
    everything = (old, used, ended, tagged, base, theirs, demo)
    assert node.tidy(*everything) == [old.id]
    left = {fact.id for fact in node.runtime.images()}
    assert left == {wanted.id, used.id, ended.id, tagged.id, base.id, theirs.id, demo.id, built.id}
    assert node.tidy(*everything) == []
    # It comes again as if it had never been here.
    assert node.fetch("a").id == old.id
    assert node.tidy(old) == []


def test_once_its_container_is_gone_an_image_may_go(node: Node) -> None:
    fact = node.fetch("h")
    made = node.runtime.create(identity(), spec(image=name("h")))
    node.now += 2 * DAY
    assert node.tidy(fact) == []
    # Had the look come too early for the container, the engine itself refuses.
    with pytest.raises(InUse):
        node.runtime.remove_image(name("h"))
    assert node.runtime.image(name("h")) == fact
    node.runtime.remove(made.name)
    node.now += DAY
    assert node.tidy(fact) == [fact.id]
    assert node.runtime.image(name("h")) is None
