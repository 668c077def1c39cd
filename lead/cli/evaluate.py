"""lead evaluate run=RUN [key=value ...] : measures of real, rebuilt and generated clips.

run=RUN          any run; a vae run by its reconstructions, a classifier by how often it is right,
                 a text_autoencoder run by what it leaves of captions, all of clips that they never
                 saw; an evaluator run by what a protocol says of real clips, all and by part
protocol=P       t2m | t2m67 | open : FID, R-precision, MM-dist, Diversity and MultiModality as well
task=caption     sentences about motions instead: real captions, two controls and, where one is
                 named, a run that can caption; needs protocol= and evaluator=, and dataset= or run=
bertscore=DIR beams=N   with task=caption: BERTScore by this RoBERTa; as for `lead caption`
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
output=FILE      default: metrics.json in the run directory, captions.json with task=caption
precision=fp32   fp32 | bf16 | auto : of the networks; bf16 moves joints by about a millimetre
compiled=true    have torch compile the networks first: half a minute, then faster for each batch
devices=N        processes that share a protocol's work, a GPU each; or start them with torchrun
sampling=S, device=D, batch_size=N   as for `lead generate`; protocol.KEY=V (configs/protocol)
"""

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from lead.cli.loading import check_processes, compose_for_run, request
from lead.core.errors import RequestError
from lead.core.files import claimed
from lead.core.runs import Run
from lead.studies.benchmark.processes import is_one_of_several, speaks_for_all, start_processes


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

    from lead.studies.evaluating import evaluate
    from lead.studies.request import EvaluateRequest

    kept = {key: config.get(key) for key in ("sampling", "study")}
    asked = request(EvaluateRequest, config, kept=kept)
    named = None if config["run"] is None else Run(Path(config["run"]))
    output = _output(named, config)
    writes = output is not None and (named is None or named.exists()) and speaks_for_all()
    with claimed(output) if writes else nullcontext():
        for line in evaluate(named, asked, output):
            print(line)
    return 0


def _output(named, config: dict) -> Path | None:
    """Where the record goes; nowhere where neither a run nor a file is named."""
    if config["output"] is not None or named is None:
        return config["output"] and Path(config["output"])
    return named.folder / ("metrics.json" if config["task"] is None else "captions.json")


def _is_judge(folder: str | None) -> bool:
    run = Run(Path(folder or ""))
    return run.exists() and run.stage == "evaluator"


def _check_request(config: dict) -> None:
    """RequestError for what cannot work, before anything is loaded."""
    protocol = config.get("protocol")
    if config["task"] is not None:
        _check_task(config)
    elif config["run"] is None:
        raise RequestError("evaluate needs run=RUN: a run that `lead train` made")
    if config["sentences"] is not None and config["classifier"] is None:
        raise RequestError("sentences= needs a judge: classifier=RUN, a run of stage=classifier")
    if config.get("study") is not None:
        if protocol is not None:
            raise RequestError("a study has its own protocol: leave protocol= out")
        if config["evaluator"] is None and config["classifier"] is None:
            raise RequestError(
                "a study needs a judge: classifier=RUN of `lead train stage=classifier`, or "
                "evaluator=RUN of `lead train stage=evaluator`, better both"
            )
    elif (protocol is None) != (config["evaluator"] is None):
        raise RequestError(
            "a protocol and its judge go together: protocol=t2m|t2m67|open evaluator=RUN, a run of "
            "`lead train stage=evaluator` or the folder of a published evaluator"
        )
    if protocol is not None and not Path(config["evaluator"]).exists():
        raise RequestError(
            f"evaluator={config['evaluator']} is not there: name a run of `lead train "
            "stage=evaluator` or the folder of a published evaluator"
        )
    check_processes("devices", config["devices"])
    if config["devices"] > 1 and protocol is None:
        raise RequestError("devices= shares out a protocol: name one, protocol=t2m|t2m67|open")


def _check_task(config: dict) -> None:
    """RequestError for what does not go with task=caption."""
    if config.get("protocol") is None:
        raise RequestError("task=caption needs protocol=t2m|open and evaluator=RUN, its judge")
    if config["run"] is None and config["dataset"] is None:
        raise RequestError("task=caption needs dataset=DIR, or run=RUN with a data set of its own")
    for key in ("study", "sentences", "classifier", "projectors", "controls"):
        if config.get(key):
            raise RequestError(f"task=caption has rows of its own: leave {key}= out")
