"""An app's networks as its containers see them, each app on bridges of one node: the default."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from lab.lab import PORT, Lab
from lab.processes import wait_until
from tests.cluster.inside import Inside, Seen, other_team

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(240)]

HERE = "deploy: {placement: {constraints: [node.hostname == node-1]}}"
TIERS = f"""
services:
  web: {{image: berth/demo, networks: [front, back], {HERE}}}
  db: {{image: berth/demo, networks: {{back: {{aliases: [store]}}}}, {HERE}}}
  edge: {{image: berth/demo, networks: [front], {HERE}}}
networks:
  front:
  back: {{internal: true}}
"""
PAIR = f"services:\n  web: {{image: berth/demo, {HERE}}}\n  db: {{image: berth/demo, {HERE}}}\n"
CHECKED = """
services:
  client: {image: berth/demo, deploy: {placement: {constraints: [node.hostname == node-1]}}}
  web:
    image: berth/demo
    deploy: {replicas: 2, placement: {constraints: [node.hostname == node-1]}}
    healthcheck: {test: test ! -e /tmp/sick, interval: 1s, retries: 1, start_period: 0s}
"""


@pytest.fixture
def inside(lab3: Lab) -> Inside:
    return Inside(lab3)


def test_services_reach_each_other_on_the_networks_that_they_share(inside: Inside) -> None:
    app = inside.deploy(inside.lab.api, "tiers", TIERS, 3)
    found = inside.containers(app)
    web, db, edge = (found[f"tiers/{name}.1"] for name in ("web", "db", "edge"))
    front, back = f"berth-{app}-front", f"berth-{app}-_back"
    assert set(web.addresses) == {front, back}
    assert inside.resolves(web, "db") == inside.resolves(web, "store") == {db.addresses[back]}
    assert inside.resolves(edge, "web") == {web.addresses[front]}
    assert inside.resolves(edge, "db") == set()
    assert inside.reaches(web, "store")
    assert inside.reaches(edge, "web")
    assert not inside.reaches(edge, db.addresses[back])
    # An internal network has no way out: the console, say, is beyond it.
    outside = str(urlsplit(inside.lab.console.url).hostname)
    assert inside.answers(edge, outside, PORT)
    assert not inside.answers(db, outside, PORT)


def test_apps_and_teams_cannot_reach_each_other(inside: Inside) -> None:
    stranger = other_team(inside.lab, "strangers")
    apps = {
        "ours": inside.deploy(inside.lab.api, "ours", PAIR, 2),
        "second": inside.deploy(inside.lab.api, "second", PAIR, 2),
        "theirs": inside.deploy(stranger, "theirs", PAIR, 2),
    }
    try:
        all_found = {name: inside.containers(app) for name, app in apps.items()}
        for name, found in all_found.items():
            web = found[f"{name}/web.1"]
            own = found[f"{name}/db.1"]
            assert inside.resolves(web, "db") == set(own.addresses.values())
            assert inside.reaches(web, "db")
        strangers = [
            (found[f"{name}/web.1"], neighbour)
            for name, found in all_found.items()
            for other in all_found.keys() - {name}
            for neighbour in all_found[other].values()
        ]

        def is_apart(web: Seen, neighbour: Seen) -> bool:
            reached = [address for address in neighbour.addresses.values() if inside.reaches(web, address)]
            return not reached and inside.resolves(web, neighbour.id[:12]) == set()

        # Side by side: each takes as long as a container waits for an answer that never comes.
        with ThreadPoolExecutor(len(strangers)) as pool:
            assert all(pool.map(is_apart, *zip(*strangers, strict=True)))
    finally:
        stranger.delete("/apps/theirs")
        assert wait_until(lambda: stranger.get("/apps")["items"] == [], 60.0, every=0.3)


def test_a_name_leads_to_healthy_containers_alone(inside: Inside) -> None:
    app = inside.deploy(inside.lab.api, "well", CHECKED, 3)
    found = inside.containers(app)
    client, one, two = (found[f"well/{name}"] for name in ("client.1", "web.1", "web.2"))
    [network] = client.addresses
    both = {one.addresses[network], two.addresses[network]}
    # The operation succeeded with both well: they have their names by then.
    assert inside.resolves(client, "web") == both
    inside.run(one, "touch /tmp/sick")
    assert wait_until(lambda: inside.resolves(client, "web") == {two.addresses[network]}, 10.0, every=0.2), (
        inside.lab.report()
    )
    # It is back at its address in a moment, and reaches the others.
    assert inside.is_at(app, "well/web.1", one.addresses)
    assert inside.reaches(one, "client")
    inside.run(one, "rm /tmp/sick")
    assert wait_until(lambda: inside.resolves(client, "web") == both, 10.0, every=0.2), inside.lab.report()


def test_the_names_are_right_again_after_the_agent_was_away(inside: Inside) -> None:
    app = inside.deploy(inside.lab.api, "away", CHECKED.replace("well", "away"), 3)
    found = inside.containers(app)
    client, one, two = (found[f"away/{name}"] for name in ("client.1", "web.1", "web.2"))
    [network] = client.addresses
    inside.lab.kill("agent-1")
    inside.run(one, "touch /tmp/sick")
    assert len(inside.resolves(client, "web")) == 2
    inside.lab.start_one("agent-1")
    assert wait_until(lambda: inside.resolves(client, "web") == {two.addresses[network]}, 15.0, every=0.2), (
        inside.lab.report()
    )
