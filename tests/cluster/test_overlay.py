"""Networks across hosts on real engines: three in the swarm, and a fourth whose live-restore keeps it out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import docker
import pytest

from lab import requirements
from lab.api import ApiError
from lab.lab import Lab
from lab.processes import wait_until
from lab.state import Run
from tests.cluster.failing import serves
from tests.cluster.inside import Inside, Seen, other_team
from tests.conftest import require

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(280)]

SPREAD = """
services:
  client: {image: berth/demo, deploy: {placement: {constraints: [node.hostname == node-1]}}}
  web:
    image: berth/demo
    networks: {default: {aliases: [store]}}
    healthcheck: {test: test ! -e /tmp/sick, interval: 1s, retries: 1, start_period: 0s}
    deploy: {replicas: 3, placement: {max_replicas_per_node: 1}}
"""
TIERS = """
services:
  web:
    image: berth/demo
    ports: ["80"]
    networks: [front, back]
    deploy: {placement: {constraints: [node.hostname == node-1]}}
  db:
    image: berth/demo
    networks: [back]
    deploy: {placement: {constraints: [node.hostname == node-2]}}
networks:
  front:
  back: {internal: true}
"""
PAIR = """
services:
  web: {image: berth/demo, deploy: {placement: {constraints: [node.hostname == node-1]}}}
  db: {image: berth/demo, deploy: {placement: {constraints: [node.hostname == node-2]}}}
"""
OUTSIDE = (
    "services: {web: {image: berth/demo, deploy: {placement: {constraints: [node.hostname == node-4]}}}}"
)


@pytest.fixture(scope="module")
def _overlay_lab() -> Iterator[Lab]:
    require(requirements.engine() or requirements.redis())
    with Run.create() as run:
        lab = Lab(run, nodes=4, overlay=(1, 2, 3))
        try:
            lab.start(90.0)
            yield lab
        finally:
            lab.stop()


@pytest.fixture
def inside(_overlay_lab: Lab) -> Iterator[Inside]:
    lab = _overlay_lab
    lab.restart_all()
    assert wait_until(lambda: managers(lab) == 3, 60.0, every=0.5), (overlay(lab), lab.report())
    yield Inside(lab)
    lab.restart_all()
    lab.remove_apps()


def overlay(lab: Lab) -> dict[str, Any]:
    nodes = lab.api.get("/nodes")["items"]
    return {node["name"]: node["observed"]["overlay"] for node in nodes}


def managers(lab: Lab) -> int:
    """How many nodes are on the overlay and manage it, if three are on it."""
    found = [one for one in overlay(lab).values() if one["reached"]]
    return sum(one["manager"] for one in found) if len(found) == 3 else 0


def test_a_name_leads_to_the_healthy_replicas_on_all_hosts(inside: Inside) -> None:
    app = inside.deploy(inside.lab.api, "wide", SPREAD, 4)
    found = inside.containers(app)
    webs = [found[f"wide/web.{number}"] for number in (1, 2, 3)]
    assert {web.node for web in webs} == {"node-1", "node-2", "node-3"}
    network = f"berth-{app}_default"
    addresses = [web.addresses[network] for web in webs]
    client = found["wide/client.1"]
    for at in (client, *webs):
        assert resolves_to(inside, at, set(addresses))
    assert inside.resolves(client, "store") == set(addresses)
    assert all(inside.reaches(client, address) for address in addresses)

    inside.run(webs[2], "touch /tmp/sick")
    others = set(addresses[:2])
    assert resolves_to(inside, client, others, 15.0), inside.lab.report()
    # It is back at its address in a moment, and reaches the others.
    assert inside.is_at(app, "wide/web.3", webs[2].addresses)
    assert inside.reaches(webs[2], "client")
    inside.run(webs[2], "rm /tmp/sick")
    assert resolves_to(inside, client, set(addresses), 15.0)


def test_tiers_across_hosts_and_a_published_port(inside: Inside) -> None:
    app = inside.deploy(inside.lab.api, "tiers", TIERS, 2)
    found = inside.containers(app)
    web, db = found["tiers/web.1"], found["tiers/db.1"]
    assert inside.resolves(web, "db") == {db.addresses[f"berth-{app}__back"]}
    assert inside.reaches(web, "db")
    assert inside.reaches(db, "web")
    published = urlsplit(inside.lab.api.get("/apps/tiers")["app"]["urls"][0])
    host, port = str(published.hostname), published.port or 80
    assert host == inside.lab.hosts[0].host.address
    assert wait_until(lambda: serves(f"http://{host}:{port}"), 5.0)
    # Its own network is internal: there is no way out, not even to that port.
    assert not inside.reaches(db, host, port)
    inside.lab.remove_apps()
    assert wait_until(lambda: networks_of(inside.lab, app) == set(), 60.0, every=0.5), networks_of(
        inside.lab, app
    )


def resolves_to(inside: Inside, at: Seen, wanted: set[str], timeout: float = 5.0) -> bool:
    """Whether `web` comes to lead there from that container: engines tell each other with a little delay."""
    return wait_until(lambda: inside.resolves(at, "web") == wanted, timeout, every=0.2)


def networks_of(lab: Lab, app: str) -> set[str]:
    with closing(docker.DockerClient(base_url=lab.hosts[0].engine.docker_host, timeout=20)) as client:
        return {str(one.name) for one in client.networks.list() if str(one.name).startswith(f"berth-{app}")}


def test_teams_cannot_reach_each_other_across_hosts(inside: Inside) -> None:
    stranger = other_team(inside.lab, "strangers")
    ours = inside.deploy(inside.lab.api, "ours", PAIR, 2)
    theirs = inside.deploy(stranger, "theirs", PAIR, 2)
    try:
        mine, other = inside.containers(ours), inside.containers(theirs)
        for at, peer, foreign in (
            (mine["ours/web.1"], mine["ours/db.1"], other),
            (other["theirs/web.1"], other["theirs/db.1"], mine),
        ):
            assert inside.resolves(at, "db") == set(peer.addresses.values())
            assert inside.reaches(at, "db")
            for neighbour in foreign.values():
                for address in neighbour.addresses.values():
                    assert not inside.reaches(at, address)
    finally:
        stranger.delete("/apps/theirs")
        assert wait_until(lambda: stranger.get("/apps")["items"] == [], 60.0, every=0.3)


def test_a_node_without_the_overlay_is_passed_over_and_that_is_explained(inside: Inside) -> None:
    why = "is not on the overlay: its engine has live-restore, which swarm mode refuses"
    assert overlay(inside.lab)["node-4"] == {
        "wanted": True,
        "reached": False,
        "manager": False,
        "reason": why,
    }
    operation = inside.lab.api.post("/apps", {"name": "outside", "compose": OUTSIDE})["operation"]
    app = operation["app"]["id"]

    def explained() -> str:
        try:
            return str(inside.lab.api.get("/apps/outside/services/web/slots/1"))
        except ApiError as error:
            return str(error)

    assert wait_until(lambda: "live-restore" in explained(), 20.0, every=0.5), explained()
    assert inside.containers(app) == {}


def test_a_lost_manager_stops_neither_names_nor_new_containers(inside: Inside) -> None:
    app = inside.deploy(inside.lab.api, "stays", SPREAD.replace("node-1", "node-2"), 4)
    found = inside.containers(app)
    client = found["stays/client.1"]
    rest = {
        web.addresses[f"berth-{app}_default"] for web in found.values() if web.node in {"node-2", "node-3"}
    }
    inside.lab.kill("engine-1")
    rest -= set(client.addresses.values())
    assert rest <= inside.resolves(client, "web")
    assert all(inside.reaches(client, address) for address in rest)
    more = PAIR.replace("node-1", "node-2").replace("== node-2]}}}\n  db", "== node-3]}}}\n  db")
    inside.deploy(inside.lab.api, "more", more, 2, timeout=90.0)
