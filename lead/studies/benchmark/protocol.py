"""`lead evaluate ... protocol=P evaluator=E`: the table of a protocol and its record."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from lead.core.building import build
from lead.core.devices import choose_device
from lead.core.files import write_json
from lead.core.runs import Run
from lead.data.packed import PackedDataset
from lead.evaluation import physical
from lead.evaluation.estimate import Estimate, estimate
from lead.evaluation.judge import load_judge
from lead.evaluation.judging import run_protocol
from lead.evaluation.protocol import COLUMNS, REAL, SINKS, Protocol, ProtocolResult
from lead.evaluation.real_clips import RealClips, real_clips
from lead.evaluation.reality_gate import headline
from lead.evaluation.replication import Request, draw_replication
from lead.evaluation.table import format_table
from lead.evaluation.tally import format_grouped
from lead.models.text_encoders import make_encoder
from lead.studies.benchmark.physical import choose_clips
from lead.studies.benchmark.processes import join_processes
from lead.studies.benchmark.record import (
    grouped_record,
    judge_record,
    pools_told,
    record,
    rows_record,
)
from lead.studies.benchmark.rows import Rows, load_rows
from lead.studies.request import EvaluateRequest

SINKS_MOST = 64  # motions whose attention is looked at


def judge_run(
    named: Run, dataset: PackedDataset, request: EvaluateRequest, output: Path
) -> list[str]:
    """Judge every row and write metrics.json; what the first of several processes has to say."""
    places = [*choose_clips(dataset, request)]
    protocol: Protocol = build("protocol", request.protocol)
    sharing = join_processes()
    device = choose_device(request.device)
    which = protocol.judge_of(dataset.manifest.name)
    judge = load_judge(request.evaluator, device, which, make_encoder)
    real = real_clips(dataset, request.split, places)
    rows = load_rows(named, dataset, request)
    result = run_protocol(
        *(protocol, judge, real, rows.reconstructions, rows.generators, request.seed),
        sharing=sharing,
    )
    if not sharing.is_first:
        return []
    if rows.drawn is not None and rows.drawn.model.can("attention"):
        _add_sinks(result, rows, draw_replication(protocol, real, request.seed, 0).requests)
    first = headline(*(protocol, judge.name, judge.fingerprint, real, result.rows[REAL]), judge.dim)
    told = _told(protocol, real, result, first, len(rows.generators))
    if request.controls:
        plain = next(iter(rows.generators))
        told += f"\nDifference from '{plain}' over replications, which draw the same\n\n"
        told += format_table(_differences(protocol, result, rows), COLUMNS)
    write_json(
        output,
        {
            "headline": first,
            "protocol": asdict(protocol),
            "evaluator": judge_record(request.evaluator, judge),
            **record(named, dataset, len(real), request.settled()),
            "seeds": result.seeds,
            "pools": result.pools,
            "diversity_pairs": result.diversity_pairs,
            "multimodality_texts": result.multimodality_texts,
            "half_fid": asdict(result.half_fid),
            "rows": rows_record(result.rows),
            "physical_by": grouped_record(result.grouped),
            "replications": result.replications,
            "differences": rows_record(_differences(protocol, result, rows)),
            "multimodality": result.multimodality,
        },
    )
    return [told, f"written: {output}"]


def _told(
    protocol: Protocol, real: RealClips, result: ProtocolResult, first: str, generated: int
) -> str:
    """What is printed: the headline, how was measured, and the tables."""
    percent = f"{protocol.confidence * 100:g} %"
    lines = [
        first,
        f"protocol {protocol.name} version {protocol.version}, {real.dataset} {real.split}: "
        f"{result.clips} clips, mean ± {percent} over {protocol.replications} replications, "
        f"{pools_told(result.pools, protocol.pool_size)}, {result.diversity_pairs} pairs for "
        "Diversity",
    ]
    if generated:
        over = "sentences" if protocol.multimodality_sets == 1 else "sets"
        lines.append(
            f"MultiModality: {result.multimodality_texts} sentences x "
            f"{protocol.multimodality_repeats}, {protocol.multimodality_pairs} pairs, "
            f"{protocol.multimodality_sets} set(s), interval over {over}"
        )
    half = next(column for column in COLUMNS if column.key == "fid").show(result.half_fid)
    lines += [
        f"FID of one half of the real motions against the other: {half}\n",
        format_table(result.rows, (*COLUMNS, *SINKS)),
        "Physical measures of the first replication, interval over clips\n",
        format_table(result.rows, physical.COLUMNS),
    ]
    lines.append(format_grouped(result.grouped))
    return "\n".join(lines)


def _add_sinks(result: ProtocolResult, rows: Rows, requests: Sequence[Request]) -> None:
    """SinkRatio of the first motions of the first replication, for each row that draws."""
    few = requests[:SINKS_MOST]
    asked = [*map(list, zip(*((r.caption, r.crop.frames, r.seed) for r in few), strict=True))]
    for name, sampling in rows.samplings.items():
        result.rows[name].update(rows.drawn.sinks(*asked, sampling))


def _differences(
    protocol: Protocol, result: ProtocolResult, rows: Rows
) -> dict[str, dict[str, Estimate]]:
    """What each row has more than the first that draws, in a mean over replications.

    Rows answer the same captions from the same seeds: differences say more than the rows do.
    """
    plain, *others = rows.generators or [REAL]
    of = result.replications
    return {
        name: {
            key: estimate(np.subtract(values, of[plain][key]), protocol.quantile)
            for key, values in of[name].items()
        }
        for name in others
    }
