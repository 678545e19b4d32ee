"""The audit: what people and programs did, each row bound to the one before it by its hash.

A row is written in the transaction of the change that it tells of, without a place in the chain: transactions do not
wait for each other there. `seal` gives the rows their places, one caller at a time (docs/adr/0020-audit-chain.md).
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import or_
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from console.common import origin
from console.common.models import AuditEntry, AuditHead

logger = logging.getLogger(__name__)

GENESIS = "0" * 64
"""What the first row names as the hash before its own."""
BATCH = 1000
_HEAD = 1


def write(
    kind: str,
    message: str,
    *,
    actor: str,
    team: str = "",
    app: str = "",
    node: str = "",
    data: Mapping[str, Any] | None = None,
    at: datetime | None = None,
) -> AuditEntry:
    """One row, in the caller's transaction. `data` has no secret values; of a change it is what `change` makes."""
    where = origin.current() or origin.Origin()
    return AuditEntry.objects.create(
        at=at or timezone.now(),
        kind=kind,
        message=message,
        actor=actor,
        address=where.address,
        agent=where.agent,
        request_id=where.request,
        token_id=where.token,
        token_name=where.token_name,
        team_id=team,
        app_id=app,
        node_id=node,
        data=dict(data or {}),
    )


def change(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None, **about: Any) -> dict[str, Any]:
    """What a row says of a change: the fields that differ, as they were and as they are now. Of what is new `before`
    is None, of what is gone `after` is, and the other one is whole. Secret values stay out: a version, or a digest of
    what is no secret, tells enough. `about` says what it is that changed, where the row itself does not."""
    if before is not None and after is not None:
        differ = [name for name in {**before, **after} if before.get(name) != after.get(name)]
        before = {name: before.get(name) for name in differ}
        after = {name: after.get(name) for name in differ}
    return {**about, "before": before, "after": after}


def fields_of(entry: AuditEntry) -> dict[str, Any]:
    """All that the hash of a row covers, as JSON has it."""
    return {
        "seq": entry.seq,
        "previous": entry.previous,
        "id": entry.pk,
        "at": entry.at.isoformat(),
        "kind": entry.kind,
        "message": entry.message,
        "actor": entry.actor,
        "address": entry.address,
        "agent": entry.agent,
        "request_id": entry.request_id,
        "token": entry.token_id,
        "token_name": entry.token_name,
        "team": entry.team_id,
        "app": entry.app_id,
        "node": entry.node_id,
        "data": entry.data,
    }


def hash_of(fields: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical JSON: sorted keys, no spaces, UTF-8."""
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def seal() -> int:
    """Give rows that have none their places in the chain; how many. Others who seal meanwhile wait."""
    sealed = 0
    while AuditEntry.objects.filter(seq=None).exists():
        sealed += _seal_batch()
    return sealed


@transaction.atomic
def _seal_batch() -> int:
    AuditHead.objects.get_or_create(pk=_HEAD, defaults={"hash": GENESIS})
    head = AuditHead.objects.select_for_update().get(pk=_HEAD)
    # Only now, with the lock held: what another sealed meanwhile is seen as sealed.
    entries = list(AuditEntry.objects.filter(seq=None).order_by("id")[:BATCH])
    for entry in entries:
        head.seq += 1
        entry.seq, entry.previous = head.seq, head.hash
        entry.hash = head.hash = hash_of(fields_of(entry))
    AuditEntry.objects.bulk_update(entries, ["seq", "previous", "hash"])
    head.save()
    if entries:
        # Wherever the logs go, they hold an anchor that a change of the database cannot reach.
        logger.info("Audit sealed up to %d, hash %s", head.seq, head.hash)
    return len(entries)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is true of a chain. `broken`: the first row that is wrong, and why; empty when all are right."""

    rows: int
    head: str
    unsealed: int = 0
    broken: str = ""


def verify(anchor: tuple[int, str] | None = None) -> Verdict:
    """Recompute the whole chain. `anchor`: a row's number and hash as noted earlier; it must still be so."""
    entries = AuditEntry.objects.exclude(seq=None).order_by("seq").iterator(BATCH)
    rows = ({**fields_of(entry), "hash": entry.hash} for entry in entries)
    verdict = verify_rows(rows, anchor)
    head = AuditHead.objects.filter(pk=_HEAD).first()
    broken = verdict.broken
    if not broken and head and (head.seq, head.hash) != (verdict.rows, verdict.head):
        broken = f"row {verdict.rows + 1}: missing, the chain was sealed up to {head.seq}"
    unsealed = AuditEntry.objects.filter(seq=None).count()
    return Verdict(verdict.rows, verdict.head, unsealed, broken)


def verify_rows(rows: Iterable[Mapping[str, Any]], anchor: tuple[int, str] | None = None) -> Verdict:
    """The same of rows as an export of the whole installation has them."""
    count, head = 0, GENESIS
    for row in rows:
        broken = _wrong(row, count + 1, head, anchor)
        if broken:
            return Verdict(count, head, broken=broken)
        count, head = count + 1, str(row["hash"])
    if anchor and anchor[0] > count:
        return Verdict(count, head, broken=f"row {count + 1}: missing, the anchor is row {anchor[0]}")
    return Verdict(count, head)


def _wrong(row: Mapping[str, Any], seq: int, previous: str, anchor: tuple[int, str] | None) -> str:
    fields = {key: value for key, value in row.items() if key != "hash"}
    if fields.get("seq") != seq:
        return f"row {seq}: missing, {fields.get('seq')} comes next"
    if fields.get("previous") != previous:
        return f"row {seq} (id {fields.get('id')}): it does not follow the row before it"
    if hash_of(fields) != row.get("hash"):
        return f"row {seq} (id {fields.get('id')}): its content is not what was sealed"
    if anchor and anchor[0] == seq and anchor[1] != row["hash"]:
        return f"row {seq} (id {fields.get('id')}): its hash is not the anchor's"
    return ""


def export(*, team: str = "", after: int = 0) -> Iterator[dict[str, Any]]:
    """Sealed rows (with `team`: that team's) in the chain's order, those after a number."""
    rows = AuditEntry.objects.filter(seq__gt=after).order_by("seq")
    for entry in (rows.filter(team_id=team) if team else rows)[:BATCH]:
        yield {**fields_of(entry), "hash": entry.hash}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows; what is empty narrows nothing. `kind` also finds what begins with `kind.`, `token` is an id or a
    name. `targets`: words for one thing, its id and its name, say, of which a row has one as what it was done to.
    `since` is the first moment, `until` the first one after the last."""

    team: str = ""
    app: str = ""
    actor: str = ""
    kind: str = ""
    token: str = ""
    targets: Collection[str] = ()
    since: datetime | None = None
    until: datetime | None = None

    def rows(self) -> QuerySet[AuditEntry]:
        same: dict[str, str | datetime | None] = {
            "team_id": self.team,
            "app_id": self.app,
            "actor": self.actor,
            "at__gte": self.since,
            "at__lt": self.until,
        }
        rows = AuditEntry.objects.filter(**{name: value for name, value in same.items() if value})
        if self.kind:
            rows = rows.filter(Q(kind=self.kind) | Q(kind__startswith=f"{self.kind}."))
        if self.token:
            rows = rows.filter(Q(token_id=self.token) | Q(token_name=self.token))
        if self.targets:
            alike = (Q(**{f"{field}__in": list(self.targets)}) for field in _TARGETS)
            rows = rows.filter(reduce(or_, alike))
        return rows


_ABOUT = (
    *("member", "user", "holder", "email", "token", "join_token", "secret", "size", "webhook"),
    *("service", "slot", "container", "volume"),
)
"""What `change` and its like call the thing that a row is about, where that is no app and no node."""
_TARGETS = (
    *("app_id", "node_id", "data__before__name", "data__after__name"),
    *(f"data__{name}" for name in _ABOUT),
)


def entries(wanted: Wanted, *, before: int = 0, limit: int = 50) -> list[AuditEntry]:
    """Newest first; `before`: those with a smaller id alone."""
    rows = wanted.rows().order_by("-id")
    return list((rows.filter(pk__lt=before) if before else rows)[:limit])
