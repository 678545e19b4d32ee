from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from console.common import audit, events, origin
from console.common.models import AuditEntry, AuditHead

WHERE = origin.Origin("192.0.2.7", "curl/8", "request1", "token1", "ci")


def _write(count: int = 3) -> None:
    for number in range(count):
        audit.write(
            "test.done", f"Thing {number} done", actor="ann@example.com", data={"after": {"n": number}}
        )


@pytest.mark.django_db
def test_rows_are_bound_to_each_other() -> None:
    _write()
    assert audit.seal() == 3
    _write(1)
    assert (audit.seal(), audit.seal()) == (1, 0)
    rows = list(AuditEntry.objects.order_by("seq"))
    assert [row.seq for row in rows] == [1, 2, 3, 4]
    assert [row.previous for row in rows] == [audit.GENESIS, *(row.hash for row in rows[:3])]
    assert audit.verify() == audit.Verdict(4, rows[-1].hash)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"message": "Nothing"}, "row 2 (id {0}): its content is not what was sealed"),
        ({"actor": "bob@example.com"}, "row 2 (id {0}): its content is not what was sealed"),
        ({"data": {}}, "row 2 (id {0}): its content is not what was sealed"),
        ({"address": "192.0.2.8"}, "row 2 (id {0}): its content is not what was sealed"),
        ({"seq": 9}, "row 2: missing, 3 comes next"),
        ({"previous": "0" * 64}, "row 2 (id {0}): it does not follow the row before it"),
    ],
)
def test_the_first_broken_row_is_named(change: dict[str, object], said: str) -> None:
    _write(4)
    audit.seal()
    second = AuditEntry.objects.get(seq=2)
    AuditEntry.objects.filter(pk=second.pk).update(**change)
    assert audit.verify().broken == said.format(second.pk)
    with pytest.raises(CommandError, match="broken at row 2"):
        call_command("audit_verify")


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (None, {"a": 1, "b": 2}, (None, {"a": 1, "b": 2})),
        ({"a": 1, "b": 2}, None, ({"a": 1, "b": 2}, None)),
        ({"a": 1, "b": 2}, {"a": 1, "b": 3}, ({"b": 2}, {"b": 3})),
        ({"a": 1}, {"b": 3}, ({"a": 1, "b": None}, {"a": None, "b": 3})),
        ({"a": 1}, {"a": 1}, ({}, {})),
    ],
)
def test_a_change_has_the_fields_that_differ(
    before: dict[str, int] | None, after: dict[str, int] | None, told: tuple[object, object]
) -> None:
    data = audit.change(before, after, of="x")
    assert (data["of"], data["before"], data["after"]) == ("x", *told)


@pytest.mark.django_db
def test_a_row_that_was_rewritten_with_its_hash_breaks_the_next() -> None:
    _write()
    audit.seal()
    row = AuditEntry.objects.get(seq=1)
    row.message = "Nothing"
    row.hash = audit.hash_of(audit.fields_of(row))
    row.save()
    assert audit.verify().broken.startswith("row 2 ")


@pytest.mark.django_db
def test_a_missing_tail_is_seen_by_the_head_and_by_an_anchor() -> None:
    _write()
    audit.seal()
    last = AuditEntry.objects.get(seq=3)
    anchor = (3, last.hash)
    last.delete()
    assert audit.verify().broken == "row 3: missing, the chain was sealed up to 3"
    AuditHead.objects.update(seq=2, hash=AuditEntry.objects.get(seq=2).hash)
    assert audit.verify().broken == ""
    assert audit.verify(anchor).broken == "row 3: missing, the anchor is row 3"
    _write(1)
    audit.seal()
    assert audit.verify(anchor).broken.endswith("its hash is not the anchor's")


@pytest.mark.django_db
def test_history_asked_for_by_somebody_is_audited_with_where_from() -> None:
    events.record("app.moved", "Moved by itself", actor="controller")
    assert not AuditEntry.objects.exists()
    with origin.use(WHERE):
        events.record("app.scaled", "Scaled", actor="ann@example.com", team="t1", app="a1", data={"after": 2})
    row = AuditEntry.objects.get()
    assert (row.address, row.agent, row.request_id) == ("192.0.2.7", "curl/8", "request1")
    assert (row.token_id, row.token_name) == ("token1", "ci")
    assert (row.kind, row.actor, row.team_id, row.app_id, row.data) == (
        "app.scaled",
        "ann@example.com",
        "t1",
        "a1",
        {"after": 2},
    )


@pytest.mark.django_db
def test_a_change_that_fails_leaves_no_row() -> None:
    with transaction.atomic():
        _write(1)
        transaction.set_rollback(True)
    assert not AuditEntry.objects.exists()


@pytest.mark.django_db
def test_an_export_can_be_verified_by_itself(tmp_path: Path) -> None:
    _write(5)
    out = StringIO()
    call_command("audit_export", stdout=out)
    lines = out.getvalue().splitlines()
    assert [json.loads(line)["seq"] for line in lines] == [1, 2, 3, 4, 5]
    file = tmp_path / "audit.jsonl"
    file.write_text(out.getvalue())
    said = StringIO()
    call_command("audit_verify", file=file, stdout=said)
    assert said.getvalue().startswith("5 rows, unbroken. Anchor: 5:")
    file.write_text("\n".join([lines[0], lines[1].replace("Thing 1", "Thing X"), *lines[2:]]))
    with pytest.raises(CommandError, match="row 2"):
        call_command("audit_verify", file=file)
    rest = StringIO()
    call_command("audit_export", after=3, stdout=rest)
    assert rest.getvalue().splitlines() == lines[3:]


@pytest.mark.django_db(transaction=True)
def test_many_who_seal_at_once_make_one_chain() -> None:
    """Each row has one place, and the chain is whole. SQLite in memory takes no two writers: there one by one."""
    alone = connection.vendor == "sqlite"

    def work(number: int) -> None:
        try:
            for _round in range(5):
                _write(2)
                audit.seal()
        finally:
            connection.close()

    with ThreadPoolExecutor(1 if alone else 4) as pool:
        list(pool.map(work, range(4)))
    audit.seal()
    verdict = audit.verify()
    assert (verdict.rows, verdict.unsealed, verdict.broken) == (40, 0, "")
