"""Hostile files × create, update, rollback: none gets past the API, and none that was put into the database past what
reaches an agent."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
import yaml
from django.db import connection

from console.controller.specs import build
from console.workloads.models import App, Container, Operation, Release
from nodeagent.errors import Refused
from nodeagent.hardening import assert_safe, check_spec
from nodeagent.runtime import payload
from tests import factories
from tests.api.caller import People
from tests.hostile import CORPUS, SERVICES
from tests.nodeagent.builders import identity

GOOD = "services: {web: {image: berth/demo}}\n"


def test_there_are_enough() -> None:
    assert len(CORPUS) >= 120


@pytest.mark.thorough
def test_no_app_is_made_of_one(people: People) -> None:
    for name, text in CORPUS.items():
        answer = people.owner.post("/teams/home/apps", {"name": "shop", "compose": text})
        assert 400 <= answer.status < 500, (name, answer.status)
        assert answer.error["code"] in {"compose_invalid", "validation_error", "invalid", "secret_missing"}, (
            name,
            answer.body,
        )
    assert not App.objects.exists()
    assert not Operation.objects.exists()


@pytest.mark.thorough
def test_no_release_is_made_of_one(people: People) -> None:
    app = factories.make_app(people.access, "shop", compose=GOOD)
    for name, text in CORPUS.items():
        answer = people.owner.post("/teams/home/apps/shop/releases", {"compose": text})
        assert 400 <= answer.status < 500, (name, answer.status)
    assert list(Release.objects.filter(app=app).values_list("number", flat=True)) == [1]


def _agent_runs(container: Container, release: Release) -> dict[str, Any] | None:
    """The engine's request for what the release now says, or None where the agent refuses it."""
    project = msgspec.convert(release.model, type(release.project))
    spec = build(container, project.services["web"], project)
    try:
        check_spec(spec)
        config = payload.host_config(identity(), spec, 20000)
        assert_safe(spec, config)
    except Refused:
        return None
    return config


@pytest.mark.thorough
def test_a_stored_release_that_was_changed_into_one_gives_nobody_more(people: People) -> None:
    """The model has no words for most of it, so that it is gone; what it has words for the agent refuses."""
    app = factories.make_app(people.access, "shop", compose=GOOD)
    old = factories.make_ready(Release.objects.get(app=app))
    clean, model = None, old.model
    for name, text in {"nothing": "init: false", **SERVICES}.items():
        try:
            changes = yaml.safe_load(f"{{{text}}}")
        except yaml.YAMLError:
            continue
        if connection.vendor == "postgresql" and "\\u0000" in json.dumps(changes):
            continue  # it stores no zero byte at all
        old.model = {**model, "services": {"web": {**model["services"]["web"], **changes}}}
        old.save()
        answer = people.owner.post("/teams/home/apps/shop/rollback", {"release": 1})
        assert answer.status in {202, 409}, (name, answer.body)
        if answer.status == 409:
            assert answer.error["code"] == "release_unreadable", name
            continue
        newest = Release.objects.filter(app=app).latest("number")
        made = _agent_runs(Container(app_id="a1", image="sha256:" + "0" * 64), newest)
        clean = clean or made
        if made is not None:
            kept = {"ReadonlyRootfs", "ShmSize", "Init", "RestartPolicy", "Ulimits"}
            differs = {key for key in made if clean is not None and made[key] != clean[key]} - kept
            assert not differs, (name, differs)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "changes",
    [
        {"image": "--privileged"},
        {"volumes": [{"kind": "volume", "source": "../../../etc", "target": "/x"}]},
        {"volumes": [{"kind": "volume", "source": "data", "target": "/proc/sys"}]},
        {"volumes": [{"kind": "volume", "source": "data", "target": "/x/../.."}]},
        {"configs": [{"source": "c", "target": "/../../etc/cron.d/x", "content": "x"}]},
        {"configs": [{"source": "c", "target": "/x", "content": "x", "mode": 0o4755}]},
        {"secrets": [{"source": "c", "target": "/proc/sys/x"}]},
        {"secrets": [{"source": "c", "target": "/x", "uid": -1}]},
        {"secret_environment": {"A=B": "c"}},
        {"labels": {"berth.cluster": "other"}},
        {"environment": {"A=B": "x"}},
        {"environment": {"A": "x\0y"}},
        {"user": "root\n"},
        {"hostname": "a/b"},
        {"stop_signal": "KILL; id"},
        {"stop_grace_period": 1e12},
        {"ulimits": [{"name": "rtprio", "soft": 1, "hard": 1}]},
        {"ulimits": [{"name": "nproc", "soft": -1, "hard": -1}]},
        {"shm_size": 0},
        {"resources": {"cpu": 0, "memory": 1 << 26, "pids": 10}},
        {"resources": {"cpu": 10, "memory": 0, "pids": 10}},
        {"resources": {"cpu": 10, "memory": 1 << 26, "pids": -1}},
        {"logging": {"max_size": 0}},
        {"healthcheck": {"test": ["RUN", "x"]}},
    ],
    ids=str,
)
def test_values_that_the_parser_would_not_make_are_refused_by_the_agent(
    people: People, changes: dict[str, Any]
) -> None:
    app = factories.make_app(people.access, "shop", compose=GOOD)
    release = Release.objects.get(app=app)
    release.model["services"]["web"] |= changes
    image = changes.get("image", "sha256:" + "0" * 64)
    assert _agent_runs(Container(app_id="a1", image=image), release) is None
