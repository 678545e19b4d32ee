"""YAML scalars as Compose reads them (YAML 1.2, with Go's integer forms), and back to text."""

from __future__ import annotations

import math
import re
from decimal import Decimal

Scalar = None | bool | int | float | str

_WORDS: dict[str, Scalar] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
}
_INT = re.compile(r"([-+]?)(0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+|0[0-7]*|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_MAX_NUMBER = 64
"""Longer digits are text: nothing in Compose needs them, and reading them is quadratic."""

_TAG = "tag:yaml.org,2002:"
_TAG_TYPES: dict[str, tuple[type, ...]] = {
    _TAG + "int": (int,),
    _TAG + "float": (float, int),
    _TAG + "bool": (bool,),
    _TAG + "null": (type(None),),
}

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def storable(text: str) -> bool:
    """Neither NUL nor a lone surrogate: no engine and no database takes those."""
    return not _UNSTORABLE.search(text)


def resolve(text: str) -> Scalar:
    """The value of a plain (unquoted) scalar."""
    if text in _WORDS:
        return _WORDS[text]
    if len(text) > _MAX_NUMBER or text[0] not in "+-.0123456789":
        return text
    digits = text.replace("_", "")
    if match := _INT.fullmatch(digits):
        number = _integer(match[1], match[2])
        if -(2**63) <= number < 2**64:
            return number
    if _FLOAT.fullmatch(digits):
        real = float(digits)
        return text if math.isinf(real) else real
    return text


def _integer(sign: str, digits: str) -> int:
    if digits[:2].lower() in ("0x", "0o", "0b"):
        number = int(digits, 0)
    else:
        number = int(digits, 8 if digits.startswith("0") else 10)
    return -number if sign == "-" else number


def tagged(tag: str, text: str) -> Scalar:
    """The value of a scalar with an explicit tag. Raises ValueError for tags that are no plain data."""
    if tag in ("!", _TAG + "str"):
        return text
    wanted = _TAG_TYPES.get(tag)
    if wanted is None:
        raise ValueError("this YAML tag is not allowed")
    value = resolve(text)
    if type(value) not in wanted:
        raise ValueError("the value does not fit its YAML tag")
    return value


def as_text(value: Scalar) -> str:
    """The text that Compose makes of a scalar where it wants text (environment, labels)."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _float_text(value)
    return str(value)


def _float_text(value: float) -> str:
    """Go's `%v`: shortest digits; an exponent below 1e-4 and from 1e+06 on."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    sign, digits, _ = Decimal(repr(value)).normalize().as_tuple()
    mantissa = "".join(map(str, digits))
    exponent = Decimal(repr(value)).adjusted() if value else 0
    if exponent < -4 or exponent >= 6:
        tail = "." + mantissa[1:] if len(mantissa) > 1 else ""
        return f"{'-' * sign}{mantissa[0]}{tail}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
    text = f"{Decimal(repr(value)):f}"
    return text.removesuffix(".0")
