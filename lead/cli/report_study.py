"""lead report study RUN [RUN] [key=value ...] : a user study, from the page to the plot.

lead report study runs=[A,B]     writes study.html, for participants, and key.json, to be kept
  A, B           run directories, or folders that `lead generate` wrote (of the same sentences and
                 seeds); one run alone is compared with itself without its projector
  pairs=10       side by side, sides and order drawn at random; the same seed for both motions
  choose=random  or changed: of candidates=100 random pairs those that differ most; the page says so
  split=test     the data set's split whose sentences and lengths are drawn; dataset=DIR
  sampling=S     of both runs; default: each run's own
  output=DIR     default outputs/study; overwrite=true replaces it

lead report study answers=[DIR] key=outputs/study/key.json     reads what participants sent back
  answers=[A,B]  files, or folders of them
  output=DIR     default the folder results beside the key: summary.md, ratings.csv, plot.png

Ratings go from 1 to 5 for realism and for relevance to the sentence. The page needs no server: it
keeps its state in the browser and saves a file at the end. Intervals hold for other participants
and other clips: both are drawn anew (bootstrap).
"""

from collections.abc import Sequence
from pathlib import Path

from lead.cli.config import compose_with_words
from lead.cli.loading import compose_for_run, request
from lead.cli.outputs import STUDY, output_folder
from lead.core.errors import RequestError
from lead.core.files import atomic_folder, atomic_path, claimed

RESULTS = ("summary.md", "ratings.csv", "plot.png")


def run(overrides: Sequence[str]) -> int:
    """Write a study's page and key, or read its answers."""
    config, words = compose_with_words("report_study", overrides)
    runs = [*config["runs"], *words]
    if bool(runs) == bool(config["answers"]):
        raise RequestError(
            "name either runs=[A,B], for a page, or answers=[DIR] with key=FILE, for its results"
        )
    if runs:
        sampling = [word for word in overrides if word.startswith(("sampling=", "sampling."))]
        return _make_page(runs, config, sampling)
    return _read_answers(config)


def _make_page(runs: list[str], config: dict, sampling: list[str]) -> int:
    _check(runs, config)
    folder = Path(config["output"] or "outputs/study")
    with output_folder(folder, STUDY, overwrite=config["overwrite"]):
        from lead.export.study import write_study
        from lead.studies.pairs import ModelRequest, PairsRequest, draw_study

        def model_of(run: str) -> ModelRequest:
            return request(ModelRequest, compose_for_run("generate", [f"run={run}", *sampling]))

        study = draw_study(runs, request(PairsRequest, config), model_of)
        with atomic_folder(folder, replace=config["overwrite"]) as temporary:
            write_study(temporary, study)
    print(f"{study.systems[0]} against {study.systems[1]}, {len(study.pairs)} pairs")
    print(study.choice)
    print(f"send {folder / 'study.html'} to participants; keep {folder / STUDY.mark} to yourself")
    return 0


def _check(runs: list[str], config: dict) -> None:
    """RequestError for values that no study could have."""
    if len(runs) > 2:
        raise RequestError(f"a study compares two systems, got {len(runs)}: name two")
    if config["choose"] == "changed" and config["candidates"] <= config["pairs"]:
        raise RequestError(
            f"choose=changed picks pairs={config['pairs']} of candidates={config['candidates']}: "
            "draw more candidates than pairs"
        )


def _read_answers(config: dict) -> int:
    if config["key"] is None:
        raise RequestError("answers need key=FILE, the key.json that was written with the page")
    key = Path(config["key"])
    folder = Path(config["output"] or key.parent / "results")
    with claimed(*(folder / name for name in RESULTS)):
        from lead.evaluation.report.ratings_plot import write_ratings_plot
        from lead.evaluation.study import markdown_summary, read_answers, summarise, write_ratings

        answers = read_answers(key, [Path(name) for name in config["answers"]])
        summary = summarise(answers, config["seed"])
        text = markdown_summary(answers, summary)
        with atomic_path(folder / RESULTS[0]) as temporary:
            temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
        write_ratings(folder / RESULTS[1], answers)
        write_ratings_plot(folder / RESULTS[2], answers, summary)
    print(text)
    print(f"written: {folder}/ {', '.join(RESULTS)}")
    return 0
