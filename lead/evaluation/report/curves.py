"""Training curves: what a run directory logged, one panel a quantity."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field

from lead.core.errors import RequestError, did_you_mean
from lead.core.files import atomic_path
from lead.core.reading import read_csv
from lead.core.schema import Count, Name, Schema, check

Curve = list[tuple[int, float]]
"""Steps with values, in the order of the steps."""

COLUMNS = 3  # of panels at most
PANELS_MOST, VALUES_MOST, NAME_MOST = 60, 2_000_000, 100  # of one run: curves, values, characters
FLOAT32_MOST = 3.5e38
LOGARITHMIC = 20.0  # from this ratio of the largest value to the smallest
TRAIN = "train"
STEPS_MOST = 10**12


def read_curves(run: Path | str) -> dict[str, Curve]:
    """The curves of a run's ``metrics.csv`` by name, such as ``val/loss``.

    Raises RequestError where there is no log, nothing in it, or a line that is none.
    """
    path = Path(run) / "metrics.csv"
    if not path.exists():
        raise RequestError(f"{run} has no metrics.csv: name a run that `lead train` made")
    curves: dict[str, Curve] = {}
    lines = read_csv(path, ("step", "name", "value"))
    for place, (number, line) in enumerate(lines, start=1):
        logged = check(_Logged, line, f"{path}:{number}", "train the run again")
        curves.setdefault(logged.name, []).append((logged.step, logged.value))
        if place > VALUES_MOST or len(curves) > PANELS_MOST:
            raise RequestError(
                f"{path} has more than {VALUES_MOST} values or {PANELS_MOST} curves: draw another "
                "run"
            )
    if not curves:
        raise RequestError(f"{path} holds no value yet: wait for the first step that is logged")
    return {name: sorted(curve) for name, curve in curves.items()}


def _printable(name: str) -> str:
    if not name.isprintable():
        raise ValueError("it cannot be printed")
    return name


class _Logged(Schema):
    """A line of the log; values beyond those of float32 leave a gap."""

    model_config = ConfigDict(strict=False)  # a CSV knows text alone

    step: Annotated[Count, Field(le=STEPS_MOST)]
    name: Annotated[Name, Field(max_length=NAME_MOST), AfterValidator(_printable)]
    value: Annotated[float, AfterValidator(lambda x: x if abs(x) < FLOAT32_MOST else math.nan)]


def choose_quantities(
    runs: Mapping[str, Mapping[str, Curve]], names: Sequence[str] = ()
) -> list[str]:
    """The quantities to draw: ``names``, or all there are; RequestError for an unknown one.

    A quantity is a curve's name without ``train/`` or ``val/``.
    """
    there = list(dict.fromkeys(_quantity(name) for curves in runs.values() for name in curves))
    for name in names:
        if name not in there:
            raise RequestError(f"unknown quantity '{name}': {did_you_mean(name, there)}")
    return list(names) or there


def write_curves(
    path: Path | str, runs: Mapping[str, Mapping[str, Curve]], quantities: Sequence[str]
) -> None:
    """A PNG with a panel for each quantity and a colour for each run.

    Thin lines are of training batches, thick ones with dots of the validation split.
    """
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    rows = math.ceil(len(quantities) / COLUMNS)
    columns = math.ceil(len(quantities) / rows)
    size = (max(3.4 * columns, 4.5), 2.5 * rows + 0.5)
    figure = Figure(figsize=size, dpi=110, layout="constrained")
    for place, quantity in enumerate(quantities):
        axes = figure.add_subplot(rows, columns, place + 1)
        for number, curves in enumerate(runs.values()):
            _draw(axes, curves, quantity, colormaps["tab10"](number % 10))
        axes.set_title(quantity, fontsize=9)
        axes.tick_params(labelsize=7)
        axes.grid(alpha=0.25)
        if place + columns >= len(quantities):
            axes.set_xlabel("step", fontsize=8)
        _choose_scale(axes, [*runs.values()], quantity)
    _add_legend(figure, list(runs), colormaps["tab10"])
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png")


def _quantity(name: str) -> str:
    return name.partition("/")[2] or name


def _of(curves: Mapping[str, Curve], quantity: str) -> dict[str, Curve]:
    return {name: curve for name, curve in curves.items() if _quantity(name) == quantity}


def _draw(axes, curves: Mapping[str, Curve], quantity: str, color: tuple) -> None:
    for name, curve in _of(curves, quantity).items():
        steps, values = zip(*curve, strict=True)
        if name.startswith(f"{TRAIN}/"):
            axes.plot(steps, values, color=color, linewidth=0.8, alpha=0.45)
        else:
            axes.plot(steps, values, "o-", color=color, linewidth=1.6, markersize=3)


def _choose_scale(axes, runs: Sequence[Mapping[str, Curve]], quantity: str) -> None:
    """A logarithmic axis where the values go over more than an order of magnitude."""
    values = [
        value
        for curves in runs
        for curve in _of(curves, quantity).values()
        for _, value in curve
        if math.isfinite(value)
    ]
    if values and min(values) > 0 and max(values) >= LOGARITHMIC * min(values):
        axes.set_yscale("log")


def _add_legend(figure, names: Sequence[str], colours) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=colours(i % 10), label=name) for i, name in enumerate(names)]
    handles += [
        Line2D([], [], color="0.4", linewidth=0.8, alpha=0.6, label="training batches"),
        Line2D([], [], color="0.4", marker="o", markersize=3, linewidth=1.6, label="validation"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=7, frameon=False)
