"""`/metrics`: who may read it, that Prometheus' own parser takes it, and that its numbers are right."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse
from pytest_django.fixtures import Settings

from console.accounts.enums import Verb
from console.accounts.tokens import create_token
from console.cluster import looks
from console.cluster.models import Job
from console.common import redis as keys
from console.controller.models import Cursor, Lease
from console.controller.pulse import Pulse
from lab.redis_server import RedisServer
from tests import factories
from tests.api.caller import Caller, People
from tests.live.conftest import with_redis
from tests.workloads.metrics.helpers import MIB, keep, sample

__all__ = ["with_redis"]

TOKEN = "a-token-of-at-least-16-characters"


def scrape(token: str, accept: str = "") -> Any:
    return Client().get("/metrics", headers={"authorization": f"Bearer {token}", "accept": accept})


@pytest.fixture
def token(settings: Settings) -> str:
    settings.METRICS_TOKEN = TOKEN
    return TOKEN


def numbers(text: str) -> dict[str, list[tuple[dict[str, str], float]]]:
    """By name, each sample's labels and value."""
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in parse(text):
        for one in family.samples:
            found.setdefault(one.name, []).append((one.labels, one.value))
    return found


def test_it_opens_to_the_token_and_to_administrators_alone(
    people: People, administrator: Caller, token: str
) -> None:
    def status(caller: Caller) -> int:
        return int(Client().get("/metrics", headers=caller.headers).status_code)

    assert scrape(token).status_code == 200
    assert status(administrator) == 200
    assert (status(people.owner), status(people.revoked), status(people.anonymous)) == (403, 401, 401)
    assert scrape("wrong").status_code == 401
    assert Client().get("/metrics").headers["WWW-Authenticate"].startswith("Bearer")
    assert Client().post("/metrics").status_code == 405


def test_an_administrators_token_of_some_rights_opens_nothing(people: People) -> None:
    access = factories.make_member(people.access.team, administrator=True)
    app = factories.make_app(access, "shop")
    some_verbs = create_token(access, name="reads", verbs=[Verb.READ])[1]
    one_app = create_token(access, name="shop", apps=[app.pk])[1]
    assert [scrape(secret).status_code for secret in (some_verbs, one_app)] == [403, 403]


def test_without_a_token_set_an_empty_one_opens_nothing(people: People, settings: Settings) -> None:
    settings.METRICS_TOKEN = ""
    assert scrape("").status_code == 401
    assert Client().get("/metrics").status_code == 401


def test_containers_use_is_told_with_their_names(people: People, with_redis: RedisServer, token: str) -> None:
    app, node = factories.make_app(people.access, "shop"), factories.make_node("n1")
    old = factories.make_container(app, node)
    new = factories.make_container(app, node, restarts=2, oom_events=1)
    now = looks.now()
    counted = {"net_rx": 700, "block_write": 30, "pids": 4, "cpu_total": 5_000_000_000}
    keep(
        node.id, now - 1, sample(old.slot_id, 1, cpu=1), sample(new.slot_id, 2, cpu=1500, **counted), cpu=750
    )
    found = numbers(scrape(token).content.decode())
    labels = {"team": "home", "app": "shop", "service": "web", "slot": "1", "node": "n1"}
    assert {
        name.removeprefix("berth_container_"): value
        for name, samples in found.items()
        for known, value in samples
        if name.startswith("berth_container_") and known == labels
    } == {
        "cpu_cores": 1.5,
        "memory_bytes": 50 * MIB,
        "memory_limit_bytes": 64 * MIB,
        "processes": 4,
        "cpu_seconds_total": 5,
        "network_received_bytes_total": 700,
        "network_sent_bytes_total": 0,
        "disk_read_bytes_total": 0,
        "disk_written_bytes_total": 30,
        "restarts_total": 2,
        "out_of_memory_kills_total": 1,
    }
    assert found["berth_node_cpu_cores"] == [({"node": "n1"}, 0.75)]
    assert found["berth_node_cpu_capacity_cores"] == [({"node": "n1"}, 4)]
    assert found["berth_node_cpu_reserved_cores"] == [({"node": "n1"}, 2)]
    assert ({"team": "home", "state": "running"}, 2) in found["berth_containers"]


def test_the_loop_the_outbox_and_the_queues_are_told(
    people: People, with_redis: RedisServer, token: str
) -> None:
    node, now = factories.make_node("n1"), timezone.now()
    Lease.objects.update_or_create(
        id=1, defaults={"holder": "a:1", "term": 7, "expires_at": now + timedelta(seconds=5)}
    )
    pulse = Pulse("a:1")
    pulse.steps.failures = 3
    for seconds in (0.004, 0.3, 20.0):
        pulse.took(seconds)
    pulse._told = 0.0
    pulse.tell()
    Job.objects.create(node=node, kind="ensure", payload={}, created_at=now - timedelta(seconds=40))
    keys.client().rpush(f"node:{node.id}:jobs", "one", "two")
    keys.client().xadd(keys.REPORTS, {"poke": "1"}, id="9000-0")
    Cursor.objects.update_or_create(id=1, defaults={"position": "6500-3"})
    found = numbers(scrape(token).content.decode())
    assert found["berth_leader"] == [({"controller": "a:1"}, 1)]
    assert found["berth_leader_terms_total"] == [({}, 7)]
    assert found["berth_controller_step_seconds_count"] == [({"controller": "a:1"}, 3)]
    steps = {labels["le"]: value for labels, value in found["berth_controller_step_seconds_bucket"]}
    assert (steps["0.005"], steps["0.25"], steps["0.5"], steps["+Inf"]) == (1, 1, 2, 3)
    assert found["berth_controller_step_failures_total"] == [({"controller": "a:1"}, 3)]
    assert found["berth_jobs_open"] == [({"kind": "ensure", "received": "no"}, 1)]
    assert 40 <= found["berth_job_oldest_seconds"][0][1] < 60
    assert found["berth_node_queue_length"] == [({"node": "n1"}, 2)]
    assert found["berth_reports_lag_seconds"] == [({}, 2.5)]
    assert ({"state": "ready"}, 1) in found["berth_nodes"]
    assert found["berth_redis_up"] == [({}, 1)]


def test_a_leader_whose_lease_is_over_leads_no_more(people: People, token: str) -> None:
    over = timezone.now() - timedelta(seconds=1)
    Lease.objects.update_or_create(id=1, defaults={"holder": "a:1", "term": 7, "expires_at": over})
    assert "berth_leader" not in numbers(scrape(token).content.decode())


def test_without_redis_the_database_still_speaks(people: People, token: str) -> None:
    factories.make_app(people.access, "shop")
    found = numbers(scrape(token).content.decode())
    assert found["berth_redis_up"] == [({}, 0)]
    assert ({"team": "home", "state": "deploying"}, 1) in found["berth_apps"]


def test_openmetrics_is_spoken_too(people: People, with_redis: RedisServer, token: str) -> None:
    answer = scrape(token, "application/openmetrics-text; version=1.0.0")
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
    assert "berth_nodes" in {family.name for family in openmetrics(answer.content.decode())}  # type: ignore[no-untyped-call]
