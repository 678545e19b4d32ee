"""Secrets on their way to a node: by version in the outbox, sealed to the node alone when they are sent."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from django.core.management import CommandError, call_command
from nacl.public import PrivateKey, SealedBox
from pytest_django.fixtures import Settings

from console.accounts import envelope, keyring
from console.accounts.access import Access
from console.cluster.models import Node
from console.common.models import Event
from console.controller.sealer import Sealer, Told
from console.controller.send import Message
from console.controller.specs import build, identity
from console.images.models import RegistryCredential
from console.images.services import password_of, store_credential
from console.workloads.models import App, Container, Release, SecretVersion, Slot
from console.workloads.secretstore import delete_secret, open_version, store_secret
from console.workloads.services import create_app
from nodeagent import protocol
from tests import factories
from tests.controller.conftest import MakeAgents
from tests.controller.fakes import FakeAgent, World

COMPOSE = """\
services:
  web:
    image: berth/demo
    secrets: [password]
    x-berth: {secret_environment: {TOKEN: token}}
secrets: {password: , token: {environment: TOKEN}}
"""
PASSWORD, TOKEN = "canary-of-the-file", "canary-of-the-variable"


class Scene:
    def __init__(self) -> None:
        self.told = Told()
        self.access = factories.make_member(factories.make_team("home"))
        store_secret(self.access, None, name="password", value=PASSWORD)
        self.app = factories.make_app(self.access, "shop", compose=COMPOSE, variables={"TOKEN": TOKEN})
        self.key = PrivateKey.generate()
        self.node = factories.make_node("n1", public_key=bytes(self.key.public_key))
        self.release = factories.make_ready(Release.objects.get(app=self.app))
        self.container = factories.make_container(self.app, self.node)

    def job(self) -> protocol.Ensure:
        container = Container.objects.select_related("app__team", "slot__service").get(pk=self.container.pk)
        project = self.release.project
        spec = build(container, project.services["web"], project, self.release.secrets)
        return protocol.Ensure(id="j1", identity=identity(container, "c1"), spec=spec)

    def sent(self, job: protocol.Ensure | None = None, node: Node | None = None) -> protocol.Ensure:
        sealed = Sealer(self.told).seal(node or self.node, Message("j1", job or self.job(), ""))
        assert isinstance(sealed, protocol.Ensure)
        return sealed

    def opened(self, job: protocol.Ensure) -> dict[str, bytes]:
        return msgspec.msgpack.decode(SealedBox(self.key).decrypt(job.sealed), type=dict[str, bytes])


@pytest.fixture
def scene(db: None) -> Scene:
    return Scene()


def test_the_outbox_names_versions_and_the_message_holds_sealed_values(scene: Scene) -> None:
    job = scene.job()
    assert "canary" not in json.dumps(msgspec.to_builtins(job))
    assert [(one.name, one.target, one.variable) for one in job.spec.secrets] == [
        ("password", "/run/secrets/password", ""),
        ("token", "", "TOKEN"),
    ]
    sent = scene.sent()
    assert b"canary" not in sent.sealed
    assert scene.opened(sent) == {
        scene.release.secrets["password"]: PASSWORD.encode(),
        scene.release.secrets["token"]: TOKEN.encode(),
    }


def test_a_secret_that_cannot_be_opened_is_left_out_and_told(scene: Scene, settings: Settings) -> None:
    job = scene.job()
    settings.SECRET_KEY = "another-key-" * 4
    assert scene.opened(scene.sent(job)) == {}
    told = Event.objects.filter(kind="secret.unreadable", app_id=scene.app.id, warning=True)
    assert told.count() == 2
    for _again in range(3):
        scene.sent(job)
    assert told.count() == 2
    scene.sent(job, factories.make_node("n2", public_key=bytes(scene.key.public_key)))
    assert told.count() == 4


def test_a_secret_that_can_be_opened_again_and_then_not_is_told_again(
    scene: Scene, settings: Settings
) -> None:
    job, usual = scene.job(), settings.SECRET_KEY
    told = Event.objects.filter(kind="secret.unreadable")
    for key, number in (("another-key-" * 4, 2), (usual, 2), ("another-key-" * 4, 4)):
        settings.SECRET_KEY = key
        scene.sent(job)
        assert told.count() == number


def test_a_job_gets_no_secret_of_another_app_or_team(scene: Scene) -> None:
    stranger = factories.make_member(factories.make_team("away"))
    other = factories.make_app(scene.access, "other")
    store_secret(stranger, None, name="password", value="x")
    store_secret(scene.access, other, name="password", value="x")
    for version in SecretVersion.objects.exclude(pk__in=scene.release.secrets.values()):
        secret = protocol.Secret(name="password", version=version.id, target="/x")
        job = scene.job()
        job = msgspec.structs.replace(job, spec=msgspec.structs.replace(job.spec, secrets=(secret,)))
        assert scene.opened(scene.sent(job)) == {}


def test_an_old_agent_is_not_sent_what_it_does_not_know(scene: Scene) -> None:
    job = scene.job()
    assert protocol.needs(job) == protocol.SECRETS_SINCE
    plain = msgspec.structs.replace(job, spec=msgspec.structs.replace(job.spec, secrets=()))
    assert protocol.needs(plain) == 0


WITH_TOKEN = """\
services:
  web:
    image: berth/demo
    deploy: {replicas: 2}
    x-berth: {secret_environment: {TOKEN: token}}
secrets: {token: {environment: TOKEN}}
"""


def old_agent(agent: FakeAgent) -> str:
    """Its node's name."""
    agent.version = protocol.SECRETS_SINCE - 1
    agent.connect()
    return Node.objects.get(pk=agent.node).name


def create(access: Access, compose: str) -> App:
    return App.objects.get(
        pk=create_app(access, name="shop", compose=compose, variables={"TOKEN": TOKEN}).app_id
    )


def test_a_node_with_an_old_agent_gets_no_container_with_secrets(
    access: Access, world: World, agents: MakeAgents
) -> None:
    old, _new = agents(2)
    name = old_agent(old)
    world.run(2)
    app = create(access, WITH_TOKEN)
    world.run(120, tick=2)
    running = Container.objects.filter(app=app, state="running")
    assert [str(each.node) for each in running] == ["node-2", "node-2"]
    told = Event.objects.filter(kind__in=("node.outdated", "node.unanswered"))
    assert [event.message for event in told] == [
        f"The agent of node {name} is too old for secrets: no container with any is placed there. Update it"
    ]


def test_what_finds_no_other_node_says_so_and_starts_once_the_agent_is_updated(
    access: Access, world: World, agents: MakeAgents
) -> None:
    [agent] = agents(1)
    old_agent(agent)
    world.run(2)
    app = create(access, WITH_TOKEN)
    world.run(5)
    slots = Slot.objects.filter(service__app=app)
    assert {slot.pending for slot in slots} == {
        "0 of 1 node fits: 1 has an agent that is too old for secrets"
    }
    agent.version = protocol.VERSION
    agent.connect()
    world.run(5)
    assert Container.objects.filter(app=app, state="running").count() == 2


def test_what_waits_on_a_node_whose_agent_becomes_an_older_one_goes_elsewhere(
    access: Access, world: World, agents: MakeAgents
) -> None:
    first, second = agents(2)
    first.holding = second.holding = True
    app = create(access, WITH_TOKEN)
    world.run(3)
    assert set(Container.objects.filter(app=app).values_list("state", "node")) == {
        ("assigned", first.node),
        ("assigned", second.node),
    }
    first.held.clear()
    first.holding = second.holding = False
    second.let_go()
    name = old_agent(first)
    world.run(60)
    running = Container.objects.filter(app=app, state="running")
    assert [each.node_id for each in running] == [second.node, second.node]
    assert Event.objects.filter(app_id=app.pk, message__contains=f"agent of node {name} is too old").exists()


def test_the_master_key_is_rotated_in_one_command(scene: Scene, settings: Settings, tmp_path: Path) -> None:
    store_credential(scene.access, host="r.example.com", username="u", password="canary-login")
    settings.MASTER_KEY_FILE = str(tmp_path / "master-key")
    keyring.make_file(tmp_path / "master-key")
    store_secret(scene.access, None, name="later", value="canary-later")
    call_command("rotate_master_key")
    newest = keyring.keyring().newest
    sealed = [bytes(one.sealed) for one in SecretVersion.objects.all()]
    sealed += [bytes(one.sealed_password) for one in RegistryCredential.objects.all()]
    assert {envelope.key_of(one) for one in sealed} == {newest}
    assert len(sealed) == 4
    opened = {open_version(one) for one in SecretVersion.objects.all()}
    assert opened == {PASSWORD.encode(), TOKEN.encode(), b"canary-later"}
    assert password_of(RegistryCredential.objects.get()) == "canary-login"
    call_command("rotate_master_key", "--rewrap-only", "--drop-old")
    assert list(keyring.keyring().keys) == [newest, keyring.DERIVED]


def test_without_a_file_there_is_nothing_to_rotate(db: None) -> None:
    with pytest.raises(CommandError, match="BERTH_MASTER_KEY_FILE"):
        call_command("rotate_master_key")


def test_a_key_that_is_lost_stops_the_rotation_with_its_name(
    scene: Scene, settings: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "master-key"
    settings.MASTER_KEY_FILE = str(path)
    keyring.make_file(path)
    store_secret(scene.access, None, name="later", value="x")
    lost = keyring.keyring().newest
    path.write_text(keyring.new_line())
    with pytest.raises(CommandError, match=lost):
        call_command("rotate_master_key")


def test_what_is_deleted_is_not_sent(scene: Scene) -> None:
    job = scene.job()
    Release.objects.filter(app=scene.app).update(secrets={})
    delete_secret(scene.access, None, "password")
    assert set(scene.opened(scene.sent(job))) == {scene.release.secrets["token"]}
