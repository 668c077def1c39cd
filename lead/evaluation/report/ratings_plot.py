"""Means and answers of a user study: LEAD's figure 5."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill

import numpy as np

from lead.core.files import atomic_path
from lead.evaluation.study import QUESTIONS, SCALE, Answers, Outcome

COLORS = ("#8b95a7", "#0072b2")  # of the systems
SHADES = ("#c75146", "#e8a798", "#dcdde0", "#9fbfd9", "#2f6fa8")  # of the ratings 1 to 5
LETTERS = 28  # of a system's name in a line


def write_ratings_plot(path: Path | str, answers: Answers, outcomes: Sequence[Outcome]) -> None:
    """A PNG: means with 95 % intervals on the left, shares of the ratings on the right."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 1.2 + 1.1 * len(outcomes) + 0.8), dpi=110, layout="constrained")
    means, shares = figure.subplots(1, 2, width_ratios=(1, 1.5))
    _draw_means(means, answers, outcomes)
    _draw_shares(shares, answers, outcomes)
    count = len(answers.participants)
    figure.suptitle(
        fill(f"{count} participants, {len(answers.pairs)} pairs. {answers.choice}", 110), fontsize=8
    )
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png")


def _draw_means(axes, answers: Answers, outcomes: Sequence[Outcome]) -> None:
    for number, system in enumerate(answers.systems):
        places = np.arange(len(outcomes)) + 0.38 * (number - 0.5)
        found = [outcome.systems[number] for outcome in outcomes]
        means = np.array([interval.mean for interval in found])
        reach = [means - [one.low for one in found], [one.high for one in found] - means]
        axes.bar(places, means, 0.34, color=COLORS[number], label=fill(system, LETTERS))
        axes.errorbar(places, means, np.abs(reach), fmt="none", ecolor="black", capsize=3)
        for place, interval in zip(places, found, strict=True):
            axes.text(place, 1.06, f"{interval.mean:.2f}", ha="center", color="white", fontsize=8)
    axes.set_xticks(range(len(outcomes)), [outcome.question for outcome in outcomes])
    axes.set(ylim=(1, 5), yticks=SCALE, title="mean and 95 % interval")
    axes.title.set_fontsize(9)
    axes.grid(axis="y", alpha=0.25)
    axes.set_axisbelow(True)
    axes.legend(fontsize=7, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.12))


def _draw_shares(axes, answers: Answers, outcomes: Sequence[Outcome]) -> None:
    """For each question and system a bar of the shares of the ratings 1 to 5."""
    names = []
    for outcome in outcomes:
        ratings = answers.ratings[QUESTIONS.index(outcome.question)]
        for number, system in enumerate(answers.systems):
            given = ratings[..., number]
            given = given[~np.isnan(given)]
            start = 0.0
            for value, shade in zip(SCALE, SHADES, strict=True):
                share = float((given == value).mean())
                label = str(value) if not names else None
                axes.barh(len(names), share, left=start, color=shade, height=0.7, label=label)
                start += share
            names.append(f"{outcome.question}\n{fill(system, LETTERS)}")
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.invert_yaxis()
    axes.set(xlim=(0, 1), title="share of the ratings")
    axes.title.set_fontsize(9)
    axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    axes.legend(fontsize=7, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=5)
