"""A training that starts from the weights of another run, with an optimiser of its own."""

from collections.abc import Mapping

from lead.core.building import build, full_options
from lead.core.errors import RequestError
from lead.core.runs import Run, fill
from lead.core.schema import shown
from lead.training.stage import Prepared, TrainRequest

FREE = ("dropout", "text_scale", "word_scale")
"""Options of a network that may be others than those its weights were trained with."""


def first_run(request: TrainRequest) -> Run | None:
    """The run that ``init`` names; RequestError for another stage or another text encoder."""
    if request.init is None:
        return None
    run = Run(request.init)
    if run.stage != request.stage:
        raise RequestError(f"init={run.folder} is a {run.stage} run: name a {request.stage} run")
    known = run.record.text_fingerprint
    if known and known != build("text_encoder", request.text_encoder, "text_encoder").fingerprint:
        raise RequestError(f"init={run.folder} reads another text encoder: take the same")
    return run


def start_from(run: Run, prepared: Prepared) -> None:
    """Fill the networks of a training with the weights of a run.

    Weights fit only the network that they were trained in: RequestError, one line with the first
    option that differs.
    """
    parts = prepared.record["parts"]
    before, now = (
        {part: _fixed(full_options(part, of[part], part)) for part in parts if part in of}
        for of in (run.record.parts, parts)
    )
    if changed := difference({"model": before}, {"model": now}):
        raise RequestError(f"init={run.folder} is of another model, {changed}: make them the same")
    for part, network in prepared.module.parts().items():
        fill(network, run.tensors(part), f"{run.folder} ({part})")


def _fixed(options: Mapping) -> dict:
    return {key: value for key, value in options.items() if key not in FREE}


def difference(before: object, now: object, key: str = "") -> str:
    """The first value that differs between two nested mappings, ``KEY: OLD there, NEW now``."""
    if not (isinstance(before, Mapping) and isinstance(now, Mapping)):
        return "" if before == now else f"{key}: {shown(before)} there, {shown(now)} now"
    keys = {**now, **before}
    found = (difference(before.get(k), now.get(k), f"{key}.{k}".strip(".")) for k in keys)
    return next(filter(None, found), "")
