"""`lead evaluate run=CLASSIFIER`: how often the classifier is right on clips it never saw."""

from collections.abc import Sequence
from pathlib import Path

from lead.core.devices import choose_device
from lead.core.errors import RequestError
from lead.core.files import write_json
from lead.core.runs import Run
from lead.data.packed import PackedDataset, PackedSplit
from lead.evaluation.classifier import Classifier, divide_held_out, load_classifier
from lead.evaluation.classifier.held_out import HELD_OUT, KEPT
from lead.evaluation.estimate import Estimate, estimate
from lead.evaluation.table import Column, format_table
from lead.studies.benchmark.record import rows_record
from lead.studies.request import EvaluateRequest


def measure_classifier(
    named: Run, dataset: PackedDataset, request: EvaluateRequest, output: Path
) -> list[str]:
    """Write the accuracies on the test split and on the held-out clips kept from it."""
    classifier = load_classifier(named.folder, choose_device(request.device))
    rows: dict[str, dict[str, Estimate]] = {}
    test = dataset.split(request.split)
    rows[f"{test.name} clips"] = _accuracies(classifier, test, range(len(test)))
    kept = divide_held_out(dataset)[KEPT]
    if kept:
        held_out = dataset.split(HELD_OUT)
        rows["held-out clips"] = _accuracies(classifier, held_out, kept)
        for style in sorted({held_out.labels[place].get("style", "") for place in kept}):
            of = [place for place in kept if held_out.labels[place].get("style") == style]
            rows[f"held-out style {style}"] = _accuracies(classifier, held_out, of)
    columns = [Column(kind, f"{kind} accuracy", better="higher") for kind in classifier.classes]
    table = format_table(rows, columns)
    write_json(output, {"run": str(named.folder), "rows": rows_record(rows)})
    said = "clips that the classifier never saw, mean ± 95 % over clips\n"
    return [said, table, f"written: {output}"]


def _accuracies(
    classifier: Classifier, split: PackedSplit, places: Sequence[int]
) -> dict[str, Estimate]:
    """Share of rightly named clips, by kind; clips of a class it was not taught are left out."""
    predicted = classifier.predict([split.clip(place) for place in places])
    rows = {}
    for kind, prediction in predicted.items():
        right = [
            float(name == split.labels[place][kind])
            for place, name in zip(places, prediction.labels, strict=True)
            if split.labels[place].get(kind) in prediction.classes
        ]
        if not right:
            raise RequestError(f"split '{split.name}' has no clip of a known {kind}: name another")
        rows[kind] = estimate(right)
    return rows
