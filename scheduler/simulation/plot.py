"""The picture of a comparison: how full the cluster gets as more is asked."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from scheduler.simulation.play import Result


def missing() -> str:
    """Why no plot can be made here; empty when it can."""
    if find_spec("matplotlib") is None:
        return "--plot needs matplotlib, which the development requirements install (make setup-dev)"
    return ""


def save(results: Sequence[Result], path: Path) -> None:
    """Share held over share asked for, a line for each policy and a mark at its first refusal, as PNG."""
    from matplotlib.figure import Figure  # noqa: PLC0415  optional, of the simulator alone

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for result in results:
        asked = [100 * each for each, _ in result.curve]
        held = [100 * each for _, each in result.curve]
        label = f"{result.policy}: {100 * result.allocated:.1f} %, {result.per_second:,.0f}/s"
        (line,) = axes.plot(asked, held, label=label)
        if result.first_refusal is not None:
            first = next(place for place, each in enumerate(held) if each >= 100 * result.first_refusal)
            axes.plot(asked[first], held[first], "o", color=line.get_color())
    axes.set(xlabel="asked for, % of the scarce resource", ylabel="held, %")
    axes.set_title("Held over asked for; a dot is the first refusal", fontsize="medium")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, format="png", dpi=120)
