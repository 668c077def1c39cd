"""Points on planes side by side, coloured by what they are: LEAD's figure 3, right."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lead.core.files import atomic_path

WIDTH = 4.4  # inches of a panel
LEGEND_COLUMNS = 5


@dataclass(frozen=True)
class Panel:
    """One space: points (rows, 2) and two lines above them."""

    title: str
    remark: str
    points: np.ndarray


def write_scatter(path: Path | str, panels: Sequence[Panel], labels: Sequence[str]) -> None:
    """A PNG of the panels in a row; a label has one colour and marker in all of them.

    Axes carry no numbers: neither t-SNE nor a sign of a principal component has a unit.
    """
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(sorted(labels)))
    figure = Figure(figsize=(WIDTH * len(panels), WIDTH + 0.9), dpi=110, layout="constrained")
    chosen = np.asarray(labels)
    for place, panel in enumerate(panels):
        axes = figure.add_subplot(1, len(panels), place + 1)
        for number, name in enumerate(names):
            shown = panel.points[chosen == name]
            axes.scatter(
                *shown.T,
                s=14,
                color=colormaps["tab10"](number % 10),
                marker="osD^vP*X<>"[number // 10 % 10],
                linewidths=0,
                alpha=0.85,
                label=name if place == 0 else None,
            )
        axes.set_title(f"{panel.title}\n{panel.remark}", fontsize=9)
        axes.set(xticks=[], yticks=[])
    rows = -(-len(names) // LEGEND_COLUMNS)
    figure.legend(
        loc="outside lower center", ncols=-(-len(names) // rows), fontsize=8, frameon=False
    )
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png")
