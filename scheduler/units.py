"""Amounts as people read them. Rounded down, so that what is free never looks larger than it is; `need_of_bytes`
rounds up, so that what is missing never looks smaller."""

from __future__ import annotations

_BYTES = (("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10))


def of_bytes(amount: int) -> str:
    """`1.2 GiB`, `512 MiB`, `0 B`."""
    for unit, size in _BYTES:
        if amount >= size:
            return f"{amount * 10 // size / 10:g} {unit}"
    return f"{max(amount, 0)} B"


def need_of_bytes(amount: int) -> str:
    """As `of_bytes`, rounded up."""
    for _unit, size in _BYTES:
        if amount >= size:
            tenths = -(-amount * 10 // size)
            return of_bytes(-(-tenths * size // 10))
    return of_bytes(amount)


def of_cpu(thousandths: int) -> str:
    """`1 CPU`, `0.25 CPUs`."""
    number = max(thousandths, 0) / 1000
    return f"{number:g} CPU" if number == 1 else f"{number:g} CPUs"


def of_share(thousandths: int) -> str:
    """`0.5`, of one unit of a resource."""
    return f"{max(thousandths, 0) / 1000:g}"


def plain(number: int) -> str:
    return f"{max(number, 0)}"
