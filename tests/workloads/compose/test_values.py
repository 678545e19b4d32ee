"""Single values: scalars, durations, sizes, CPUs, command lines."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.workloads.compose.durations import go_duration
from console.workloads.compose.scalars import Scalar, as_text, resolve
from console.workloads.compose.values import command_line, duration, millicores, octal_mode, size


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        *[("", None), ("~", None), ("null", None), ("true", True), ("False", False)],
        *[("yes", "yes"), ("off", "off"), ("1:30", "1:30"), ("2001-01-01", "2001-01-01")],
        *[("0x1F", 31), ("0o17", 15), ("017", 15), ("0b11", 3), ("-5", -5), ("+5", 5), ("1_000", 1000)],
        *[
            ("08", 8.0),
            ("1.50", 1.5),
            (".5", 0.5),
            ("1e3", 1000.0),
            ("1.2.3", "1.2.3"),
            ("-", "-"),
            (".", "."),
        ],
        *[("18446744073709551615", 2**64 - 1), ("18446744073709551616", 1.8446744073709552e19)],
        *[(".inf", math.inf), ("1e999", "1e999"), ("9" * 65, "9" * 65)],
    ],
)
def test_resolve(written: str, wanted: Scalar) -> None:
    found = resolve(written)
    assert (found, type(found)) == (wanted, type(wanted))


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_keeps_its_value_as_text(number: float) -> None:
    assert float(as_text(number)) == number


@pytest.mark.parametrize(
    ("number", "wanted"),
    [
        *[(1.0, "1"), (0.5, "0.5"), (100000.0, "100000"), (1000000.0, "1e+06"), (123456.789, "123456.789")],
        *[(1234567.5, "1.2345675e+06"), (0.0001, "0.0001"), (0.00001, "1e-05"), (-0.0, "-0"), (0.0, "0")],
        *[(math.inf, "+Inf"), (-math.inf, "-Inf"), (math.nan, "NaN")],
    ],
)
def test_a_float_as_compose_writes_it(number: float, wanted: str) -> None:
    assert as_text(number) == wanted


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("1m30s", 90), ("500ms", 0.5), ("1.5h", 5400), ("1d", 86400), ("1us", 1e-6), ("0", 0), (".5s", 0.5)],
)
def test_duration(written: str, seconds: float) -> None:
    assert duration(written) == seconds


@pytest.mark.parametrize("written", ["", "1", "s", "1 s", "-1s", "1x", "1e3s", "99999w", 5, None, True])
def test_wrong_duration(written: Scalar) -> None:
    with pytest.raises(ValueError):
        duration(written)


@given(st.integers(min_value=0, max_value=10**15))
def test_a_duration_comes_back_from_its_text(microseconds: int) -> None:
    seconds = microseconds / 1e6
    if seconds < 300 * 86400:
        assert duration(go_duration(seconds)) == pytest.approx(seconds, abs=1e-9)


@pytest.mark.parametrize(
    ("written", "wanted"),
    [("64m", 64 << 20), ("1.5gb", 3 << 29), ("10 KiB", 10240), ("5b", 5), ("7", 7), (7, 7), ("1T", 1 << 40)],
)
def test_size(written: Scalar, wanted: int) -> None:
    assert size(written) == wanted


@pytest.mark.parametrize(
    "written", ["", "m", "-1m", "1x", "1mm", "1e3", -1, True, None, 1.5, 1e9, math.inf, "99999999p"]
)
def test_wrong_size(written: Scalar) -> None:
    with pytest.raises(ValueError):
        size(written)


@pytest.mark.parametrize(
    ("written", "wanted"), [(0.5, 500), ("1.25", 1250), (2, 2000), (".1", 100), ("0.0015", 2)]
)
def test_cpus(written: Scalar, wanted: int) -> None:
    assert millicores(written) == wanted


@pytest.mark.parametrize("written", ["", "x", "-1", -1, True, None, "1e3", math.nan])
def test_wrong_cpus(written: Scalar) -> None:
    with pytest.raises(ValueError):
        millicores(written)


@pytest.mark.parametrize(("written", "wanted"), [(0o440, 0o440), ("0440", 0o440), ("0o600", 0o600)])
def test_mode(written: Scalar, wanted: int) -> None:
    assert octal_mode(written) == wanted


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("", ()),
        ("  a  b\tc\n", ("a", "b", "c")),
        ("a 'b c' \"d e\"", ("a", "b c", "d e")),
        ("a ''", ("a", "")),
        ("a'b'\"c\"d", ("abcd",)),
        (r"a\ b \\ \"", ("a b", "\\", '"')),
        (r"'\n' " + '"\\n"', ("\\n", "n")),
        ("'a|b' \"c;d\"", ("a|b", "c;d")),
        ("a # b $HOME", ("a", "#", "b", "$HOME")),
    ],
)
def test_command_line(written: str, words: tuple[str, ...]) -> None:
    assert command_line(written) == words


@pytest.mark.parametrize(
    "written", ["a | b", "a; b", "a && b", "a > b", "`a`", "$(a)", "'a", '"a', "a\\", 5, None]
)
def test_wrong_command_line(written: Scalar) -> None:
    with pytest.raises(ValueError):
        command_line(written)
