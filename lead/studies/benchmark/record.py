"""What metrics.json says about every evaluation."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lead.core.runs import Run
from lead.data.packed import PackedDataset
from lead.evaluation.estimate import Estimate
from lead.studies.request import EvaluateRequest
from lead.training.environment import environment


def record(named: Run, dataset: PackedDataset, clips: int, request: EvaluateRequest) -> dict:
    """Run, data, sampling and versions."""
    return {
        "run": request.run,
        "dataset": dataset.manifest.name,
        "split": request.split,
        "clips": clips,
        "sampling": request.kept["sampling"],
        "batch_size": request.batch_size,
        "precision": request.precision,
        "data_hash": dataset.data_hash,
        "weights": named.weights_hash(named.trained_part),
        "projectors": {
            folder: Run(Path(folder)).weights_hash("projector") for folder in request.projectors
        },
        "controls": {name: dict(request.control[name]) for name in request.controls},
        "environment": environment(request.seed),
    }


def judge_record(path: object, judge: Any) -> dict[str, str]:
    """Who judged."""
    return {"path": str(path), "name": judge.name, "fingerprint": judge.fingerprint}


def pools_told(count: int, size: int | None = None) -> str:
    """``1 pool``, ``2 pools of 32``."""
    return f"{count} pool{'s' * (count != 1)}" + (f" of {size}" if size else "")


def rows_record(rows: Mapping[str, Mapping[str, Estimate]]) -> dict:
    """Row -> measure -> mean, margin and count."""
    return {name: {key: asdict(value) for key, value in row.items()} for name, row in rows.items()}


def grouped_record(grouped: Mapping[str, Mapping[str, Mapping]]) -> dict:
    """Kind -> row -> group -> measure -> mean, margin and count."""
    return {
        kind: {name: rows_record(groups) for name, groups in rows.items()}
        for kind, rows in grouped.items()
    }
