"""Who is where: containers of each service and app by node and by domain, kept as they change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from scheduler.arrays import Floats, Ints, Mask
from scheduler.domains import NODE, Domains

FEW = 16
"""Rows up to which NumPy's calls take longer than what they do."""


class Tally:
    """Containers of one service, or of one app: by row, and by domain of each key that was asked for once."""

    __slots__ = ("by_domain", "rows")

    def __init__(self) -> None:
        self.rows: dict[int, int] = {}
        """Only rows that have some."""
        self.by_domain: dict[str, tuple[Domains, dict[int, int]]] = {}
        """Only domains that have some."""

    def add(self, row: int, number: int) -> None:
        _add(self.rows, row, number)
        for domains, counts in self.by_domain.values():
            _add(counts, domains.codes.item(row), number)

    def add_many(self, rows: Ints, numbers: Ints) -> None:
        """As `add`, for rows that are all different."""
        _add_many(self.rows, zip(rows.tolist(), numbers.tolist(), strict=True))
        for domains, counts in self.by_domain.values():
            _add_many(counts, _by_code(domains, rows, numbers).items())

    def of(self, domains: Domains) -> dict[int, int]:
        """Containers by domain of this key; counted once, then kept."""
        if not self.rows:
            return {}
        found = self.by_domain.get(domains.key)
        if found is None:
            found = self.by_domain[domains.key] = (domains, _in_domains(domains, self.rows))
        return found[1]

    def near(self, domains: Domains) -> Mask:
        """Nodes that share their value of this key with any that has some."""
        return domains.of_rows(self.rows) if domains.key == NODE else domains.among(self.of(domains))

    def worth(self, domains: Domains, weight: float) -> Floats:
        """`weight` on the nodes that are `near`, 0 on the others."""
        if domains.key == NODE:
            column = np.zeros(len(domains.codes))
            column[list(self.rows)] = weight
            return column
        return domains.worth(self.of(domains), weight)

    def forget_domains(self) -> None:
        """A node is in another domain now."""
        self.by_domain.clear()

    def copy(self) -> Tally:
        other = Tally()
        other.rows = dict(self.rows)
        return other


EMPTY = Tally()


def _add(counts: dict[int, int], place: int, number: int) -> None:
    after = counts.get(place, 0) + number
    if after:
        counts[place] = after
    else:
        counts.pop(place, None)


def _add_many(counts: dict[int, int], changes: Iterable[tuple[int, int]]) -> None:
    """As `_add` of each."""
    before = counts.get
    for place, number in changes:
        if after := before(place, 0) + number:
            counts[place] = after
        else:
            del counts[place]


def _in_domains(domains: Domains, rows: Mapping[int, int]) -> dict[int, int]:
    if len(rows) > FEW:
        return _by_code(domains, *rows_of(rows))
    counts: dict[int, int] = {}
    for row, number in rows.items():
        _add(counts, domains.codes.item(row), number)
    return counts


def _by_code(domains: Domains, rows: Ints, numbers: Ints) -> dict[int, int]:
    counts = np.bincount(domains.codes[rows], weights=numbers).astype(np.int64)
    some = np.flatnonzero(counts)
    return dict(zip(some.tolist(), counts[some].tolist(), strict=True))


def rows_of(counts: Mapping[int, int]) -> tuple[Ints, Ints]:
    """Rows, and how many each has."""
    number = len(counts)
    return (
        np.fromiter(counts.keys(), dtype=np.int64, count=number),
        np.fromiter(counts.values(), dtype=np.int64, count=number),
    )


def per_domain(counts: Mapping[int, int], domains: Domains) -> Ints:
    """By domain's number, 0 where there is none."""
    column = np.zeros(len(domains.values), dtype=np.int64)
    codes, numbers = rows_of(counts)
    column[codes] = numbers
    return column
