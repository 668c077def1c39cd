"""What `lead evaluate` measures, by the kind of run and by what its options name."""

from collections.abc import Iterable
from pathlib import Path

from lead.core.errors import RequestError
from lead.core.runs import Run
from lead.data.packed import open_dataset
from lead.studies.request import EvaluateRequest


def evaluate(named: Run | None, request: EvaluateRequest, output: Path | None) -> Iterable[str]:
    """Measure a run and write the record; the lines to say, some while it is at work.

    Captions have rows without any run; then, without ``output``, nothing is written. Raises
    RequestError for a dataset of another skeleton than the run's.
    """
    dataset = open_dataset(request.dataset or named.default_dataset)
    skeleton = dataset.skeleton.name if named is None else named.record.dataset.skeleton
    if dataset.skeleton.name != skeleton:
        raise RequestError(
            f"{dataset.folder} has skeleton '{dataset.skeleton.name}', {named.folder} was trained "
            f"on '{skeleton}': name a dataset of that skeleton"
        )
    if request.task == "caption":
        from lead.studies.benchmark.captioning import judge_captions as measure
    elif named.stage == "classifier":
        from lead.studies.benchmark.classifier import measure_classifier as measure
    elif named.stage == "text_autoencoder":
        from lead.studies.benchmark.rewriting import measure_rewriting as measure
    elif request.sentences is not None:
        from lead.studies.sentences import measure_sentences as measure
    elif request.study is not None:
        from lead.studies.words.study import study_words as measure
    elif request.protocol is not None and named.stage == "evaluator":
        from lead.studies.benchmark.judge import measure_judge as measure
    elif request.protocol is not None:
        from lead.studies.benchmark.protocol import judge_run as measure
    else:
        from lead.studies.benchmark.physical import measure_joints as measure
    return measure(named, dataset, request, output)
