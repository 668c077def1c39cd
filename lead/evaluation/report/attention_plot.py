"""Words against seconds: where the motion of a sentence looked while it was drawn."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill

import numpy as np
from jaxtyping import Float

from lead.core.files import atomic_path

TITLE_LETTERS = 90  # in a line
WIDTH, LINE, FRAME = 9.5, 0.24, 1.25  # inches: of the picture, of a word, around the words


@dataclass(frozen=True)
class AttentionPanel:
    """One sentence: the share of each word over the seconds, and the sinks of each step.

    ``words`` in brackets are no words of the sentence but marks of the text encoder, or padding.
    """

    title: str
    words: Sequence[str]
    seconds: float
    shares: Float[np.ndarray, "words latents"]
    sinks: Float[np.ndarray, "layers steps"]  # SinkRatio


def write_attention(path: Path | str, panels: Sequence[AttentionPanel]) -> None:
    """A PNG with a row a sentence: words against seconds, and SinkRatio from noise to motion."""
    from matplotlib.figure import Figure

    heights = [FRAME + LINE * len(panel.words) for panel in panels]
    figure = Figure(figsize=(WIDTH, sum(heights)), dpi=110, layout="constrained")
    grid = figure.add_gridspec(len(panels), 2, width_ratios=(3, 1), height_ratios=heights)
    for row, panel in enumerate(panels):
        _draw_words(figure, figure.add_subplot(grid[row, 0]), panel)
        _draw_sinks(figure.add_subplot(grid[row, 1]), panel)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png")


def _draw_words(figure, axes, panel: AttentionPanel) -> None:
    count = len(panel.words)
    image = axes.imshow(
        100 * panel.shares,
        extent=(0, panel.seconds, count - 0.5, -0.5),
        aspect="auto",
        cmap="viridis",
        vmin=0,
        interpolation="nearest",
    )
    labels = [
        f"{word}   {100 * share:.0f} %"
        for word, share in zip(panel.words, panel.shares.mean(axis=1), strict=True)
    ]
    axes.set_yticks(range(count), labels, fontsize=8)
    for label, word in zip(axes.get_yticklabels(), panel.words, strict=True):
        if word.startswith("("):
            label.set(style="italic", color="0.45")
    axes.tick_params(axis="x", labelsize=7)
    axes.set_xlabel("seconds of the motion", fontsize=8)
    axes.set_title(fill(panel.title, TITLE_LETTERS), fontsize=9, loc="left")
    bar = figure.colorbar(image, ax=axes, pad=0.01)
    bar.ax.tick_params(labelsize=7)
    bar.set_label("attention, %", fontsize=7)


def _draw_sinks(axes, panel: AttentionPanel) -> None:
    steps = np.arange(1, panel.sinks.shape[1] + 1)
    for layer, sinks in enumerate(panel.sinks, start=1):
        axes.plot(steps, sinks, linewidth=1.3, label=f"layer {layer}")
    axes.set(ylim=(0, 1.02), xlim=(1, max(2, steps[-1])))
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_title(f"SinkRatio {panel.sinks.mean():.2f}", fontsize=9, loc="left")
    axes.set_xlabel("step, from noise to motion", fontsize=8)
    axes.tick_params(labelsize=7)
    axes.grid(alpha=0.25)
    axes.legend(fontsize=7, frameon=False, ncols=2, loc="upper right")
