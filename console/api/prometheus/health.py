"""How the console is: its loop, its queues, and how many of everything there are in which state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import redis
from django.conf import settings
from django.db.models import Count, Min
from django.utils import timezone
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)

from console.cluster.enums import NodeState
from console.cluster.models import Job, Node
from console.common import redis as keys
from console.controller import pulse
from console.controller.models import Lease
from console.workloads.enums import AppState, ContainerState
from console.workloads.models import Container
from console.workloads.summaries import all_summaries
from nodeagent import protocol

WORKER_QUEUE = "celery"


def collect() -> Iterator[Metric]:
    """What the database knows comes also while Redis is away."""
    yield InfoMetricFamily("berth", "The console's version.", {"release": protocol.RELEASE})
    yield from _leader()
    yield from _outbox()
    yield from _states()
    up = GaugeMetricFamily("berth_redis_up", "Whether Redis answers.")
    try:
        yield from [*_loop(), *_queues()]
        up.add_metric([], 1)
    except (redis.RedisError, OSError):
        up.add_metric([], 0)
    yield up


def _leader() -> Iterator[Metric]:
    lease = Lease.objects.filter(id=1).first()
    held = lease is not None and lease.expires_at is not None and lease.expires_at > timezone.now()
    leader = GaugeMetricFamily("berth_leader", "1 for the controller that leads.", labels=["controller"])
    term = CounterMetricFamily("berth_leader_terms", "How often the lead was taken.")
    if lease is not None:
        term.add_metric([], lease.term)
        if held:
            leader.add_metric([lease.holder], 1)
    yield from (leader, term)


def _loop() -> Iterator[Metric]:
    steps = HistogramMetricFamily(
        "berth_controller_step_seconds", "Steps of the loop.", labels=["controller"]
    )
    failures = CounterMetricFamily(
        "berth_controller_step_failures", "Steps that failed and were repeated.", labels=["controller"]
    )
    for holder, known in sorted(pulse.pulses().items()):
        total, buckets = 0, []
        for bound, count in zip([*map(str, pulse.BOUNDS), "+Inf"], known.counts, strict=True):
            total += count
            buckets.append((bound, total))
        steps.add_metric([holder], buckets, known.seconds)
        failures.add_metric([holder], known.failures)
    lag = GaugeMetricFamily(
        "berth_reports_lag_seconds", "From the newest report back to the last one taken in."
    )
    lag.add_metric([], pulse.lag())
    yield from (steps, failures, lag)


def _outbox() -> Iterator[Metric]:
    jobs = GaugeMetricFamily(
        "berth_jobs_open", "Jobs of the outbox that have not ended.", labels=["kind", "received"]
    )
    rows = Job.objects.filter(done_at=None).order_by().values_list("kind", "received_at")
    for (kind, received), count in sorted(Counter((kind, at is not None) for kind, at in rows).items()):
        jobs.add_metric([kind, "yes" if received else "no"], count)
    oldest = Job.objects.filter(done_at=None).aggregate(at=Min("created_at"))["at"]
    age = GaugeMetricFamily("berth_job_oldest_seconds", "Age of the oldest job that has not ended.")
    age.add_metric([], (timezone.now() - oldest).total_seconds() if oldest else 0)
    yield from (jobs, age)


def _queues() -> Iterator[Metric]:
    nodes = list(Node.objects.values_list("id", "name"))
    prefix = settings.CELERY_BROKER_TRANSPORT_OPTIONS["global_keyprefix"]
    pipe = keys.client().pipeline(transaction=False)
    for id_, _name in nodes:
        pipe.llen(f"{protocol.key_prefix(id_)}{protocol.QUEUE}")
    pipe.llen(f"{prefix}{WORKER_QUEUE}")
    *of_nodes, of_worker = pipe.execute()
    bells = GaugeMetricFamily(
        "berth_node_queue_length", "Messages that a node has not taken from its queue.", labels=["node"]
    )
    for (_id, name), length in zip(nodes, of_nodes, strict=True):
        bells.add_metric([name], length)
    worker = GaugeMetricFamily("berth_worker_queue_length", "Tasks that wait for the console's worker.")
    worker.add_metric([], of_worker)
    yield from (bells, worker)


def _states() -> Iterator[Metric]:
    nodes = GaugeMetricFamily("berth_nodes", "Nodes by state.", labels=["state"])
    by_state = Counter(Node.objects.values_list("state", flat=True))
    for node_state in NodeState:
        nodes.add_metric([node_state.value], by_state[node_state.value])
    apps = GaugeMetricFamily("berth_apps", "Apps by team and state.", labels=["team", "state"])
    found = all_summaries()
    of_teams = Counter((one.app.team.slug, one.state.value) for one in found)
    for team in sorted({one.app.team.slug for one in found}):
        for app_state in AppState:
            apps.add_metric([team, app_state.value], of_teams[team, app_state.value])
    containers = GaugeMetricFamily(
        "berth_containers", "Containers on nodes, by team and state.", labels=["team", "state"]
    )
    rows = Container.objects.filter(removed_at=None).order_by().values_list("app__team__slug", "state")
    counts = {(team, state): count for team, state, count in rows.annotate(count=Count("id"))}
    for team in sorted({team for team, _state in counts}):
        for state in ContainerState:
            containers.add_metric([team, state.value], counts.get((team, state.value), 0))
    yield from (nodes, apps, containers)
