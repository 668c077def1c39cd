"""`lead evaluate run=JUDGE protocol=P`: what the judge makes of real clips, all and by group."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

from lead.core.building import build
from lead.core.devices import choose_device
from lead.core.files import write_json
from lead.core.runs import Run
from lead.data.packed import PackedDataset
from lead.evaluation import physical
from lead.evaluation.estimate import Estimate
from lead.evaluation.judge import load_judge
from lead.evaluation.judging import run_protocol
from lead.evaluation.protocol import COLUMNS, REAL, Protocol, ProtocolResult
from lead.evaluation.real_clips import RealClips, real_clips
from lead.evaluation.reality_gate import headline
from lead.evaluation.table import Column, format_table
from lead.evaluation.tally import format_grouped
from lead.models.text_encoders import make_encoder
from lead.studies.benchmark.physical import choose_clips
from lead.studies.benchmark.record import (
    grouped_record,
    judge_record,
    pools_told,
    rows_record,
)
from lead.studies.request import EvaluateRequest

KINDS = ("part", "captions")  # labels of clips: of a mix, and of CMU's three kinds of sentences
HALVES = Column("half_fid", "FID of halves", better="lower")


def measure_judge(
    named: Run, dataset: PackedDataset, request: EvaluateRequest, output: Path
) -> list[str]:
    """Write the Real row of all clips, and of each group that fills a pool; the lines to say."""
    protocol: Protocol = build("protocol", request.protocol)
    device = choose_device(request.device)
    which = protocol.judge_of(dataset.manifest.name)
    judge = load_judge(named.folder, device, which, make_encoder)
    real = real_clips(dataset, request.split, [*choose_clips(dataset, request)])
    groups = {REAL: real} | _groups(real)
    results = {
        name: run_protocol(protocol, judge, clips, {}, {}, request.seed)
        for name, clips in groups.items()
        if name == REAL or len(clips) >= protocol.pool_size
    }
    whole = results[REAL]
    first = headline(*(protocol, judge.name, judge.fingerprint, real, whole.rows[REAL]), judge.dim)
    rows = {_title(name, result): _row(result) for name, result in results.items()}
    record = {
        "headline": first,
        "protocol": asdict(protocol),
        "evaluator": judge_record(named.folder, judge),
        "dataset": dataset.manifest.name,
        "data_hash": dataset.data_hash,
        "split": request.split,
        "captions_in_training": named.contents.get("captions"),
        "rows": rows_record(rows),
        "physical_by": grouped_record(whole.grouped),
    }
    write_json(output, record)
    few = [f"{name}, {len(clips)}" for name, clips in groups.items() if name not in results]
    return [
        first,
        f"protocol {protocol.name} version {protocol.version}, {real.dataset} {real.split}: mean ± "
        f"{protocol.confidence * 100:g} % over {protocol.replications} replications, pools of "
        f"{protocol.pool_size} (chance {3 / protocol.pool_size:.3f} for R@3)",
        _kept_apart(named),
        *([f"too few clips for a pool: {'; '.join(few)}"] if few else []),
        f"\n{format_table(rows, [*COLUMNS, HALVES])}",
        "Physical measures of the real clips, interval over clips\n",
        format_table({REAL: whole.rows[REAL]}, physical.COLUMNS),
        format_grouped(whole.grouped),
        f"written: {output}",
    ]


def _kept_apart(named: Run) -> str:
    """Whether captions of test clips were kept out of the training, as the run says."""
    counts = named.contents.get("captions")
    if counts is None:
        return "the run does not say whether captions of test clips were left out of its training"
    left_out, lines = (sum(counts[name].values()) for name in ("left_out", "lines_kept"))
    return (
        f"captions of test clips: {left_out} left out of the judge's training; {lines} lines that "
        "name a take, as one of a test clip does, were read"
    )


def _groups(real: RealClips) -> dict[str, RealClips]:
    """The clips of each value of the labels KINDS, where there is more than one."""
    groups: dict[str, RealClips] = {}
    for kind in KINDS:
        values = sorted({labels[kind] for labels in real.labels if kind in labels})
        for value in values:
            of = [n for n, labels in enumerate(real.labels) if labels.get(kind) == value]
            groups[f"{kind} {value}"] = _some(real, of)
    return {name: clips for name, clips in groups.items() if len(clips) < len(real)}


def _some(real: RealClips, places: list[int]) -> RealClips:
    names = ("ids", "features", "captions", "tokens", "labels")
    parts = {name: [getattr(real, name)[place] for place in places] for name in names}
    return replace(real, **parts, whole=False)


def _title(name: str, result: ProtocolResult) -> str:
    return f"{name} ({result.clips} clips, {pools_told(result.pools)})"


def _row(result: ProtocolResult) -> Mapping[str, Estimate]:
    return {**result.rows[REAL], HALVES.key: result.half_fid}
