"""lead evaluate run=RUN [key=value ...] : measures of real, rebuilt and generated clips.

run=RUN          any run; a vae run is measured by its reconstructions alone, a classifier run by
                 how often it is right on clips that it never saw; an evaluator run by what a
                 protocol says of real clips, all of them and by part and kind of captions
protocol=P       t2m | open : FID, R-precision, MM-dist, Diversity and MultiModality as well
study=T          table3 | table4: words learned from exemplars, in sentences (configs/study)
sentences=FILE   table of sentences with the content each asks for (columns as in
                 docs/results/starter_sentences.tsv): how often the classifier sees that content
classifier=C     judge of a study or of sentences: a run of stage=classifier
evaluator=E      judge of a protocol: a run of stage=evaluator, or the folder of a published one
dataset=DIR      prepared dataset; default datasets/NAME of the run's data
split=test       which split
clips=N          measure N clips drawn with the seed; 0 (default): all
projector=RUN    a projector to measure with a diffusion run
diffusion=RUN    a denoiser to measure with a projector that was trained on a VAE alone
projectors=[A,B] more projector runs on the same VAE, a row each, from the same latents
study.KEY=V      seeds, objectives, recipe.steps, recipe.lr, styles.clips, ...
controls=[C]     more rows without projector: guidance1, guidance2, guidance4, moments
seed=1           of the drawn clips, captions and latents
output=FILE      default: metrics.json in the run directory
precision=fp32   fp32 | bf16 | auto : of the networks; bf16 moves joints by about a millimetre
compiled=true    have torch compile the networks first: half a minute, then faster for each batch
devices=N        processes that share a protocol's work, a GPU each; or start them with torchrun
sampling=S, device=D, batch_size=N   as for `lead generate`
protocol.KEY=V   replications, pool_size, ... (configs/protocol)
"""

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from lead.cli.evaluate_sharing import is_one_of_several, speaks_for_all, start_processes
from lead.cli.loading import check_processes, compose_for_run
from lead.core.errors import RequestError
from lead.core.files import claimed


def run(overrides: Sequence[str]) -> int:
    """Measure a run and print the table."""
    config = compose_for_run("evaluate", overrides)
    if config["evaluator"] is None and _is_judge(config["run"]):
        config["evaluator"] = config["run"]
    _check_request(config)
    if config["devices"] > 1 and not is_one_of_several():
        return start_processes(overrides, config["devices"])
    protocol = config.get("protocol")
    config["split"] = config["split"] or (protocol["split"] if protocol else "test")

    from lead.core.runs import Run

    named = Run(Path(config["run"]))
    output = Path(config["output"] or named.folder / "metrics.json")
    with claimed(output) if named.exists() and speaks_for_all() else nullcontext():
        return _evaluate(named, config, output)


def _evaluate(named, config: dict, output: Path) -> int:
    from lead.data.packed import open_dataset

    skeleton = named.record.dataset.skeleton
    dataset = open_dataset(config["dataset"] or named.default_dataset)
    if dataset.skeleton.name != skeleton:
        raise RequestError(
            f"{dataset.folder} has skeleton '{dataset.skeleton.name}', {named.folder} was trained "
            f"on '{skeleton}': name a dataset of that skeleton"
        )
    if named.stage == "classifier":
        from lead.cli.evaluate_classifier import measure_classifier

        measure_classifier(named, dataset, config, output)
        return 0
    if config["sentences"] is not None:
        from lead.cli.evaluate_sentences import measure_sentences

        measure_sentences(named, dataset, config, output)
        return 0
    if config.get("study") is not None:
        from lead.cli.evaluate_words import study_words

        study_words(named, dataset, config, output)
        return 0
    captions = _choose_clips(dataset, config)
    if named.stage == "evaluator":
        from lead.cli.evaluate_judge import measure_judge

        measure_judge(named, dataset, [*captions], config, output)
        return 0
    if config.get("protocol") is not None:
        from lead.cli.evaluate_protocol import judge_run

        judge_run(named, dataset, [*captions], config, output)
        return 0
    rows = _measure(named, dataset, captions, config)
    _report(named, dataset, len(captions), rows, config, output)
    return 0


def _is_judge(folder: str | None) -> bool:
    from lead.core.runs import Run

    run = Run(Path(folder or ""))
    return run.exists() and run.stage == "evaluator"


def _check_judges(config: dict) -> None:
    """RequestError where a study has nobody to judge it."""
    if config.get("protocol") is not None:
        raise RequestError("a study has its own protocol: leave protocol= out")
    if config["evaluator"] is None and config["classifier"] is None:
        raise RequestError(
            "a study needs a judge: classifier=RUN of `lead train stage=classifier`, or "
            "evaluator=RUN of `lead train stage=evaluator`, better both"
        )


def _check_request(config: dict) -> None:
    """RequestError for what cannot work, before anything is loaded."""
    protocol = config.get("protocol")
    if config["run"] is None:
        raise RequestError("evaluate needs run=RUN: a run that `lead train` made")
    if config["sentences"] is not None and config["classifier"] is None:
        raise RequestError(
            "sentences= needs a judge: classifier=RUN of `lead train stage=classifier`"
        )
    if config.get("study") is not None:
        _check_judges(config)
    elif (protocol is None) != (config["evaluator"] is None):
        raise RequestError(
            "a protocol and its judge go together: protocol=t2m|open evaluator=RUN, a run of "
            "`lead train stage=evaluator` or the folder of a published evaluator"
        )
    if protocol is not None and not Path(config["evaluator"]).exists():
        raise RequestError(
            f"evaluator={config['evaluator']} is not there: name a run of `lead train "
            "stage=evaluator` or the folder of a published evaluator"
        )
    check_processes("devices", config["devices"])
    if config["devices"] > 1 and protocol is None:
        raise RequestError("devices= shares out a protocol: name one, protocol=t2m|open")


def _choose_clips(dataset, config: dict) -> dict[int, str]:
    """Places of the clips to measure, with one caption each, drawn by the seed."""
    import numpy as np

    from lead.core.seeding import derive_seed

    split = dataset.split(config["split"])
    rng = np.random.default_rng(derive_seed(config["seed"], "evaluate"))
    count = config["clips"] or len(split)
    places = np.sort(rng.permutation(len(split))[:count]).tolist()
    return {place: str(rng.choice(split.captions[place])) for place in places}


def _measure(named, dataset, captions: dict[int, str], config: dict) -> dict:
    """Rows of the table: name -> what was measured of the clips at the places of ``captions``."""
    from lead.cli.evaluate_rows import load_rows
    from lead.evaluation.embeddings import chunks
    from lead.evaluation.tally import PhysicalTally, groups_of

    split = dataset.split(config["split"])
    rows = load_rows(named, dataset, config)
    names = ["real", *rows.reconstructions, *rows.generators]
    tallies = {name: PhysicalTally(dataset.fps, dataset.skeleton) for name in names}
    for part in chunks([*captions]):
        real = [split.clip(place) for place in part]
        groups = [
            groups_of(split.labels[place], len(clip) / dataset.fps)
            for place, clip in zip(part, real, strict=True)
        ]
        tallies["real"].add_all(real, groups)
        for name, rebuild in rows.reconstructions.items():
            tallies[name].add_all(rebuild(real), groups, real)
        texts = [captions[place] for place in part]
        seeds = [config["seed"] + place for place in part]
        for name, generate in rows.generators.items():
            tallies[name].add_all(generate(texts, [len(clip) for clip in real], seeds), groups)
    return tallies


def _report(named, dataset, clips: int, tallies: dict, config: dict, output: Path) -> None:
    from lead.cli.evaluate_record import grouped_record, record, rows_record
    from lead.core.files import write_json
    from lead.evaluation.physical import COLUMNS
    from lead.evaluation.table import format_table
    from lead.evaluation.tally import format_grouped, grouped

    rows, groups = {name: tally.estimates() for name, tally in tallies.items()}, grouped(tallies)
    tables = [format_table(rows, COLUMNS), format_grouped(groups)]  # written is what can be shown
    measured = {"rows": rows_record(rows), "physical_by": grouped_record(groups)}
    write_json(output, {**record(named, dataset, clips, config), **measured})
    print(f"{dataset.folder} {config['split']}: {clips} clips, mean ± 95 % over clips\n")
    print("\n".join(tables))
    print(f"written: {output}")
