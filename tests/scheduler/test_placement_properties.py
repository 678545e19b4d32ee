"""Where containers go: properties, checked by a second reading of the rules that shares no code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.domains import attribute
from scheduler.model import Affinity, Decision, Node, NodeState, Quota, Want
from scheduler.placement import Cluster
from scheduler.scores import POLICIES, Policy
from tests.scheduler.builders import request
from tests.scheduler.strategies import MANY, QUOTAS, batches, node, nodes

CHOICES = st.sampled_from(list(POLICIES.values()))


# -- the rules, read a second time


def here(before: list[Decision], name: str) -> list[Decision]:
    return [each for each in before if each.node == name]


def near(cluster: list[Node], each: Node, key: str) -> set[str]:
    """Nodes with the same value; a node without one is near nothing, not even itself."""
    value = attribute(each, key)
    return {other.id for other in cluster if value and attribute(other, key) == value}


def named(want: Want, rule: Affinity, before: list[Decision]) -> list[Decision]:
    return [
        each
        for each in before
        if each.node
        and each.want.request.app == want.request.app
        and rule.service in ("*", each.want.request.service)
    ]


def keeps_company(cluster: list[Node], each: Node, want: Want, before: list[Decision]) -> bool:
    asked = want.request
    for rule in asked.affinity:
        if rule.required:
            others = named(want, rule, before)
            close = any(other.node in near(cluster, each, rule.over) for other in others)
            first = not others and rule.service in ("*", asked.service)
            if close if rule.anti else not (close or first):
                return False
    for other in before:
        theirs = other.want.request
        if other.node and theirs.app == asked.app:
            for rule in theirs.affinity:
                refuses = rule.required and rule.anti and rule.service in ("*", asked.service)
                if refuses and other.node in near(cluster, each, rule.over):
                    return False
    return True


def units_left(each: Node, before: list[Decision], kind: str) -> list[int]:
    free = [1000] * each.resources.get(kind, 0)
    for decision in here(before, each.id):
        for grant in decision.grants:
            for unit in grant.units if grant.kind == kind else ():
                free[unit] -= grant.share or 1000
    return free


def has_units(each: Node, want: Want, before: list[Decision]) -> bool:
    for asked in want.request.resources:
        free = units_left(each, before, asked.kind)
        if asked.share and max(free, default=0) < asked.share:
            return False
        if asked.units and free.count(1000) < asked.units:
            return False
    return True


def has_ports(each: Node, want: Want, before: list[Decision]) -> bool:
    taken = {(port.protocol, port.host) for d in here(before, each.id) for port in d.ports}
    wanted = {(port.protocol, port.host) for port in want.request.ports if port.host}
    span = range(each.port_first, each.port_last + 1)
    left = {p: sum((p, n) not in taken | wanted for n in span) for p in ("tcp", "udp")}
    open_ports = Counter(port.protocol for port in want.request.ports if not port.host)
    return not wanted & taken and all(left[protocol] >= number for protocol, number in open_ports.items())


def in_quota(want: Want, before: list[Decision], quotas: Mapping[str, Quota]) -> bool:
    quota = quotas.get(want.request.team)
    if quota is None:
        return True
    team = [each.want.request for each in before if each.node and each.want.request.team == want.request.team]
    team.append(want.request)
    return (
        (quota.containers is None or len(team) <= quota.containers)
        and (quota.cpu is None or sum(each.cpu for each in team) <= quota.cpu)
        and (quota.memory is None or sum(each.memory for each in team) <= quota.memory)
    )


def fits(
    cluster: list[Node], each: Node, want: Want, before: list[Decision], quotas: Mapping[str, Quota]
) -> bool:
    """Could this node take this want, after these decisions?"""
    asked = want.request
    there = [decision.want.request for decision in here(before, each.id)]
    homes = {volume: d.node for d in before if d.node for volume in d.want.request.volumes}
    same = [one for one in there if (one.app, one.service) == (asked.app, asked.service)]
    return (
        (each.state is NodeState.READY and not each.cordoned)
        and want.node in ("", each.id)
        and all(
            sum(getattr(one, amount) for one in there) + getattr(asked, amount) <= getattr(each, amount)
            for amount in ("cpu", "memory", "pids")
        )
        and (not each.disk or not asked.disk or sum(one.disk for one in there) + asked.disk <= each.disk)
        and all((attribute(each, c.key).lower() == c.value.lower()) == c.equal for c in asked.constraints)
        and has_ports(each, want, before)
        and has_units(each, want, before)
        and (not asked.max_per_node or len(same) < asked.max_per_node)
        and all(homes.get(volume, each.id) == each.id for volume in asked.volumes)
        and (not asked.image_local_only or asked.image in each.images)
        and keeps_company(cluster, each, want, before)
        and in_quota(want, before, quotas)
    )


# -- decisions


@pytest.mark.thorough
@MANY
@given(cluster=nodes(), wants=batches(), policy=CHOICES, quotas=QUOTAS, data=st.data())
def test_explanations_tell_the_truth_and_agree_with_the_decision(
    cluster: list[Node], wants: list[Want], policy: Policy, quotas: dict[str, Quota], data: st.DataObject
) -> None:
    """A node is refused exactly when it cannot take the want; the best of the others has it. In whatever order
    one asks."""
    placer = Cluster(cluster, quotas=quotas)
    decisions = placer.place(wants, policy)
    before = state(placer)
    for number in data.draw(st.permutations(range(len(decisions)))):
        decision = decisions[number]
        explained = placer.explain(decision)
        fitting = [each for each in explained.verdicts if each.refusal is None]
        best = min(fitting, key=lambda each: (-each.total, each.node), default=None)
        assert {each.node for each in fitting} == {
            each.id for each in cluster if fits(cluster, each, decision.want, decisions[:number], quotas)
        }
        assert decision.node == explained.node == (best.node if best else None)
        assert explained.summary.startswith(f"{best.name}: " if best else ("0 of" if cluster else "There is"))
        assert not (explained.remedies and best)
        assert placer.explain_all([decision, decisions[0], decision])[::2] == [explained, explained]
    assert state(placer) == before
    assert placer.explain_all(decisions) == [placer.explain(decision) for decision in decisions]
    assert state(placer) == before


def alone(wants: list[Want]) -> Iterator[Want]:
    """The same, but no two share a request."""
    return (want._replace(request=replace(want.request)) for want in wants)


@pytest.mark.thorough
@MANY
@given(cluster=nodes(), wants=batches(), policy=CHOICES, quotas=QUOTAS)
def test_a_batch_gives_what_one_by_one_gives(
    cluster: list[Node], wants: list[Want], policy: Policy, quotas: dict[str, Quota]
) -> None:
    together, single = Cluster(cluster, quotas=quotas), Cluster(cluster, quotas=quotas)
    one_by_one = [single.place([want], policy)[0] for want in alone(wants)]
    assert together.place(wants, policy) == one_by_one
    assert state(together) == state(single)


@MANY
@given(cluster=nodes(), wants=batches(), policy=CHOICES, data=st.data())
def test_the_order_of_nodes_does_not_matter(
    cluster: list[Node], wants: list[Want], policy: Policy, data: st.DataObject
) -> None:
    other = data.draw(st.permutations(cluster))
    assert Cluster(other).place(wants, policy) == Cluster(cluster).place(wants, policy)


@pytest.mark.thorough
@MANY
@given(cluster=nodes(), wants=batches(), policy=CHOICES)
def test_host_ports_are_as_asked_or_of_the_range_and_never_given_twice(
    cluster: list[Node], wants: list[Want], policy: Policy
) -> None:
    decisions = Cluster(cluster).place(wants, policy)
    for each in cluster:
        given_ports = [(port.protocol, port.host) for d in here(decisions, each.id) for port in d.ports]
        assert len(given_ports) == len(set(given_ports))
    for decision in decisions:
        if decision.node is not None:
            asked = decision.want.request.ports
            assert [port.host for port in decision.ports] == [
                port.host or given.host for port, given in zip(asked, decision.ports, strict=True)
            ]
            assert all(port.host for port in decision.ports)


# -- what is kept


KEYS = ("node.id", "node.zone", "node.labels.rack")


def state(cluster: Cluster) -> dict[str, object]:
    """Everything that decisions depend on."""
    columns = cluster.columns
    arrays = ("unready", "cpu", "memory", "cpu_free", "memory_free", "pids_free", "disk_free", "load")
    return {
        **{name: getattr(columns, name).tolist() for name in arrays},
        "room": {protocol: room.tolist() for protocol, room in columns.ports.room.items()},
        "ports": {key: +users for key, users in columns.ports._users.items() if +users},
        "units": {kind: units.free.tolist() for kind, units in columns.units.items()},
        "whole": {
            kind: (units.whole.tolist(), units.largest.tolist()) for kind, units in columns.units.items()
        },
        "volumes": dict(columns.volumes),
        "teams": {team: used for team, used in columns.teams.items() if any(used)},
        "where": dict(columns.where),
        "on": [dict(there) for there in columns.on],
        "services": {key: dict(tally.rows) for key, tally in columns._services.items() if tally.rows},
        "apps": {key: dict(tally.rows) for key, tally in columns._apps.items() if tally.rows},
        "domains": {
            (owner, key): {columns.masks.domains(key).values[code]: number for code, number in counts.items()}
            for owner, tally in columns._services.items()
            for key in KEYS
            if (counts := tally.of(columns.masks.domains(key)))
        },
        "repels": {
            (app, key): dict(tally.rows)
            for app, targets in columns.repels.items()
            for key, tally in targets.items()
            if tally.rows
        },
    }


def counted_anew(cluster: Cluster) -> Cluster:
    everything = [each for one in cluster.nodes for each in cluster.on(one.id)]
    return Cluster(cluster.nodes, everything, cluster.columns.volumes, cluster.quotas)


@pytest.mark.thorough
@MANY
@given(cluster=nodes(), wants=batches(), policy=CHOICES, quotas=QUOTAS, data=st.data())
def test_what_is_kept_is_what_would_be_counted(
    cluster: list[Node], wants: list[Want], policy: Policy, quotas: dict[str, Quota], data: st.DataObject
) -> None:
    """After any placing, freeing and change of nodes."""
    kept = Cluster(cluster, quotas=quotas)
    kept.place(wants, policy)
    numbers = st.lists(st.integers(0, len(wants)), max_size=8)
    for number in data.draw(numbers):
        kept.free(f"c{number}")
    for asked in KEYS if data.draw(st.booleans()) else ():
        for tally in kept.columns._services.values():
            tally.of(kept.columns.masks.domains(asked))
    kept.free_many([f"c{number}" for number in data.draw(numbers)])
    for changed in data.draw(st.lists(st.sampled_from(["n1", "n2", "n6"]).flatmap(node), max_size=2)):
        kept.update(changed)
    fresh = counted_anew(kept)
    domains = [kept.columns.masks.domains(key) for key in KEYS]
    for key, tally in kept.columns._services.items():
        for each in domains:
            by_value: Counter[str] = Counter()
            for row, number in tally.rows.items():
                by_value[attribute(kept.nodes[row], each.key)] += number
            assert {each.values[code]: n for code, n in tally.of(each).items()} == by_value, key
    assert state(kept) == state(fresh)


@pytest.mark.thorough
@MANY
@given(cluster=nodes(), wants=batches(), more=batches(), policy=CHOICES)
def test_a_copy_is_equal_and_independent(
    cluster: list[Node], wants: list[Want], more: list[Want], policy: Policy
) -> None:
    first = Cluster(cluster)
    first.place(wants, policy)
    second, before = first.copy(), state(first)
    assert state(second) == before
    later = [want._replace(container=f"more {want.container}") for want in more]
    decided = second.place(later, policy)
    second.free_many([want.container for want in wants])
    assert second.columns.where.keys() == {each.want.container for each in decided if each.node}
    assert state(first) == before
    assert first.place(later, policy) == decided


def test_only_the_latest_decisions_are_explained() -> None:
    cluster = Cluster([Node("n1", "n1", NodeState.READY, cpu=1000, memory=1 << 40)])
    asked = request()
    [first] = cluster.place([Want(asked, "s1", "c1")])
    [second] = cluster.place([Want(asked, "s2", "c2")])
    with pytest.raises(ValueError, match="latest"):
        cluster.explain(first)
    assert cluster.explain(second).node == "n1"
    cluster.free("c1")
    with pytest.raises(ValueError, match="latest"):
        cluster.explain(second)
