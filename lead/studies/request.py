"""What studies are asked for: clips of a data set, and all of `lead evaluate`."""

from typing import Any

from lead.core.schema import ClosedSchema
from lead.generation.loading import InferenceRequest
from lead.studies.words.options import StudyOptions


class ClipsRequest(ClosedSchema):
    """Which clips of a data set a study is about, and what computes it."""

    dataset: str | None
    split: str
    seed: int
    batch_size: int
    device: str


class Control(ClosedSchema):
    """A row that draws otherwise: options of ``sampling``, and whether moments are matched."""

    title: str
    moments: bool
    sampling: dict[str, bool | int | float | str | None]


class EvaluateRequest(ClipsRequest, InferenceRequest):
    """One evaluation, as it was asked for.

    ``control`` are the controls that there are, ``controls`` those that are rows. ``protocol`` is a
    description, see lead.core.building. ``kept`` is what the record holds as it was written.
    """

    run: str | None
    task: str | None
    beams: int
    bertscore: str | None
    evaluator: str | None
    classifier: str | None
    sentences: str | None
    projectors: list[str]
    controls: list[str]
    control: dict[str, Control]
    clips: int
    protocol: dict[str, Any] | None = None
    study: StudyOptions | None = None
    kept: dict[str, Any]
