"""`lead evaluate ... task=caption protocol=P evaluator=E`: the table of captions and its record."""

from dataclasses import asdict
from pathlib import Path

from lead.core.building import build
from lead.core.devices import choose_device
from lead.core.files import write_json
from lead.core.runs import Run
from lead.data.packed import PackedDataset
from lead.evaluation.bert_score import BertScore
from lead.evaluation.caption_judging import (
    RETRIEVAL,
    CaptionResult,
    Group,
    run_captioning,
)
from lead.evaluation.caption_wording import AGAINST, BERT_SCORE, WORDING
from lead.evaluation.estimate import Estimate
from lead.evaluation.judge import load_judge
from lead.evaluation.protocol import REAL, TOP_K, Protocol
from lead.evaluation.real_clips import RealClips, real_clips
from lead.evaluation.reality_gate import headline
from lead.evaluation.table import format_table
from lead.generation.loading import load_for_inference
from lead.models.text_encoders import locate_model, make_encoder
from lead.models.text_encoders.loading import load_model, load_tokenizer
from lead.studies.benchmark.caption_rows import ByModel, by_people, controls
from lead.studies.benchmark.physical import choose_clips
from lead.studies.benchmark.processes import join_processes
from lead.studies.benchmark.record import judge_record, pools_told, record, rows_record
from lead.studies.request import EvaluateRequest
from lead.training.environment import environment

ALL, PEOPLE = "all", "captions by people"


def judge_captions(
    named: Run | None, dataset: PackedDataset, request: EvaluateRequest, output: Path | None
) -> list[str]:
    """Judge real captions, two controls that need no model, and a run's; the lines to say.

    Without a run, or with that of the judge, there are no rows of a model. Without ``output``
    nothing is written.
    """
    places = [*choose_clips(dataset, request)]
    protocol: Protocol = build("protocol", request.protocol)
    sharing = join_processes()
    judge = load_judge(
        request.evaluator, choose_device(request.device), dataset.manifest.name, make_encoder
    )
    real = real_clips(dataset, request.split, places)
    model = None if named is None or named.stage == "evaluator" else load_for_inference(request)
    captioners = controls(protocol, judge, dataset, real)
    if model is not None:
        model.need("caption")
        captioners[f"captions ({model.title})"] = ByModel(
            model, real, request.batch_size, request.sampling, request.beams
        )
    bert = None if request.bertscore is None else _bert(request.bertscore)
    asked = (protocol, judge, real, _groups(real), captioners, request.seed)
    result = run_captioning(*asked, sharing=sharing, bert=bert)
    if not sharing.is_first:
        return []
    line = headline(protocol, judge.name, judge.fingerprint, real, _as_of_motion(result))
    told = _told(line, protocol, real, result, bert)
    if output is None:
        return [told, "not written: name a file with output=FILE"]
    whence = _whence(named if model else None, dataset, len(real), request)
    write_json(
        output,
        {
            "headline": line,
            "protocol": {**asdict(protocol), "task": request.task},
            "evaluator": judge_record(request.evaluator, judge),
            **whence,
            "bert_score": None if bert is None else bert.title,
            "missing": result.missing,
            "groups": {name: asdict(group) for name, group in result.groups.items()},
            "rows": rows_record(result.rows[ALL]),
            "rows_by": {name: rows_record(rows) for name, rows in result.rows.items()},
            "replications": result.replications,
            "sentences": result.sentences,
        },
    )
    return [told, f"written: {output}"]


def _groups(real: RealClips) -> dict[str, list[int]]:
    """All clips, those of each part of a mix, and those whose captions people wrote."""
    groups = {ALL: [*range(len(real))], PEOPLE: by_people(real)}
    for part in sorted({own["part"] for own in real.labels if "part" in own}):
        groups[f"part {part}"] = [n for n, own in enumerate(real.labels) if own.get("part") == part]
    return {
        name: places
        for name, places in groups.items()
        if name == ALL or 0 < len(places) < len(real)
    }


def _bert(folder: str) -> BertScore:
    """BERTScore by the model in ``folder``, a RoBERTa; RequestError where it is none."""
    name = "roberta-large"
    found = locate_model(name, path=folder)
    model = load_model("RobertaForMaskedLM", found, name).roberta
    return BertScore(model, load_tokenizer(found, name))


def _as_of_motion(result: CaptionResult) -> dict[str, Estimate]:
    """The Real row under the names that the protocol of motions published it by."""
    row = result.rows[ALL][REAL]
    found = {f"r_precision_{k}": f"text_to_motion_{k}" for k in range(1, TOP_K + 1)}
    found |= {"multimodal_distance": "multimodal_distance"}
    return {known: row[own] for known, own in found.items() if own in row}


def _whence(
    named: Run | None, dataset: PackedDataset, clips: int, request: EvaluateRequest
) -> dict:
    if named is not None:
        return record(named, dataset, clips, request.settled())
    return {
        "dataset": dataset.manifest.name,
        "split": request.split,
        "clips": clips,
        "data_hash": dataset.data_hash,
        "environment": environment(request.seed),
    }


def _told(
    line: str, protocol: Protocol, real: RealClips, result: CaptionResult, bert: BertScore | None
) -> str:
    """What is printed: the headline, how was measured, and the tables of each group."""
    lines = [
        line,
        f"captions, protocol {protocol.name} version {protocol.version}, {real.dataset} "
        f"{real.split}: mean ± {protocol.confidence * 100:g} % over {protocol.replications} "
        f"replications, pools of {protocol.pool_size} (chance {TOP_K / protocol.pool_size:.3f} for "
        f"R@{TOP_K})",
        "Real: a caption of each clip; every row against the clip's other captions, in hundredths",
        "raw: lower-case words, no punctuation; tokens: HumanML3D's processing (lemmas)",
        *(f"no columns of style {style}: {why}" for style, why in result.missing.items()),
        f"BERTScore: {bert.title}" if bert else "no BERTScore: name a RoBERTa, bertscore=FOLDER",
    ]
    for name, rows in result.rows.items():
        lines.append(f"\n{_title(name, result.groups[name])}")
        for columns in (RETRIEVAL, *AGAINST.values(), (BERT_SCORE,), WORDING):
            if any(column.key in row for column in columns for row in rows.values()):
                lines.append(f"\n{format_table(rows, columns)}")
    return "\n".join(lines).rstrip()


def _title(name: str, group: Group) -> str:
    compared = f"{group.compared} have another caption to compare with"
    return f"{name}: {group.clips} clips, {pools_told(group.pools)}; {compared}"
