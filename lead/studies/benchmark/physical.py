"""`lead evaluate run=RUN`: what joints tell of real, rebuilt and generated clips."""

from pathlib import Path

import numpy as np

from lead.core.files import write_json
from lead.core.runs import Run
from lead.core.seeding import derive_seed
from lead.data.packed import PackedDataset
from lead.evaluation.embeddings import chunks
from lead.evaluation.physical import COLUMNS
from lead.evaluation.table import format_table
from lead.evaluation.tally import PhysicalTally, format_grouped, grouped, groups_of
from lead.studies.benchmark.record import grouped_record, record, rows_record
from lead.studies.benchmark.rows import load_rows
from lead.studies.request import EvaluateRequest


def measure_joints(
    named: Run, dataset: PackedDataset, request: EvaluateRequest, output: Path
) -> list[str]:
    """Measure every row and write metrics.json; returns what to say."""
    captions = choose_clips(dataset, request)
    tallies = _tallies(named, dataset, captions, request)
    rows, groups = {name: tally.estimates() for name, tally in tallies.items()}, grouped(tallies)
    tables = [format_table(rows, COLUMNS), format_grouped(groups)]  # written is what can be shown
    measured = {"rows": rows_record(rows), "physical_by": grouped_record(groups)}
    write_json(output, {**record(named, dataset, len(captions), request.settled()), **measured})
    return [
        f"{dataset.folder} {request.split}: {len(captions)} clips, mean ± 95 % over clips\n",
        *(*tables, f"written: {output}"),
    ]


def choose_clips(dataset: PackedDataset, request: EvaluateRequest) -> dict[int, str]:
    """Places of the clips to measure, with one caption each, drawn by the seed."""
    split = dataset.split(request.split)
    rng = np.random.default_rng(derive_seed(request.seed, "evaluate"))
    count = request.clips or len(split)
    places = np.sort(rng.permutation(len(split))[:count]).tolist()
    return {place: str(rng.choice(split.captions[place])) for place in places}


def _tallies(
    named: Run, dataset: PackedDataset, captions: dict[int, str], request: EvaluateRequest
) -> dict[str, PhysicalTally]:
    """Rows of the table: name -> what was measured of the clips at the places of ``captions``."""
    split = dataset.split(request.split)
    rows = load_rows(named, dataset, request)
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
        seeds = [request.seed + place for place in part]
        for name, generate in rows.generators.items():
            tallies[name].add_all(generate(texts, [len(clip) for clip in real], seeds), groups)
    return tallies
