"""What run.json holds: one schema for all stages, for runs from here and from elsewhere."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from lead.core.building import HOLDS, PARTS, known_name
from lead.core.errors import RequestError, did_you_mean
from lead.core.schema import Count, Hash, Name, Positive, Schema, one_of

SCHEMA_VERSION = 1
FRAMES_MOST = 100_000  # of one motion: more than an hour


def _is_range(frames: tuple[int, int]) -> tuple[int, int]:
    if frames[0] > frames[1]:
        raise ValueError(f"{frames[0]} to {frames[1]} is no range of lengths")
    return frames


def _are_parts(parts: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    for part, description in parts.items():
        if part not in PARTS:
            raise ValueError(f"unknown part '{part:.60}', {did_you_mean(part, PARTS)}")
        known_name(part, description.get("_target_"))
    return parts


def _is_text_encoder(description: dict[str, Any]) -> dict[str, Any]:
    known_name("text_encoder", description.get("_target_"))
    return description


def _are_values(values: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(values.get("stages", {}), dict):
        raise ValueError("'stages' takes an object of keys and values")
    return values


Stage = Annotated[str, one_of(HOLDS)]
Frames = Annotated[int, Field(ge=1, le=FRAMES_MOST)]


class Parent(Schema):
    """An earlier run: its place, seen from the run's own folder, and its weights' hash."""

    path: Annotated[str, Field(min_length=1, max_length=1000, pattern=r"^[^\x00]*$")]
    hash: Hash


class DatasetFacts(Schema):
    """What a run was trained on; an imported run knows no ``data_hash``."""

    name: Name
    data_hash: Name | None = None
    skeleton: Name
    fps: Annotated[Positive, Field(le=1000)]
    licence: Annotated[str, Field(max_length=1000)] = ""
    frames: Annotated[tuple[Frames, Frames], Field(strict=False), AfterValidator(_is_range)]


def check_length(frames: int, limits: tuple[int, int], fps: float, of: str = "") -> None:
    """RequestError, after ``of``, for more or fewer frames than a model was trained on."""
    shortest, longest = limits
    if not shortest <= frames <= longest:
        raise RequestError(
            f"{of}{frames} frames ({frames / fps:.2f} s) is outside what was trained: "
            f"{shortest}..{longest} frames ({shortest / fps:.2f} to {longest / fps:.2f} s)"
        )


class JudgeEntry(Schema):
    """How an evaluator is called, and how captions without tokens get theirs."""

    name: Name
    tagger: Name


class RunRecord(Schema):
    """run.json. What is not listed here is kept in the file and read by nobody."""

    stage: Stage
    status: Literal["started", "running", "interrupted", "finished", "imported"] = "finished"
    step: Count = 0
    parts: Annotated[dict[str, dict[str, Any]], AfterValidator(_are_parts)]
    parents: dict[Stage, Parent] = {}
    text_encoder: Annotated[dict[str, Any], AfterValidator(_is_text_encoder)] | None = None
    text_fingerprint: Name | None = None
    sampling: Name | None = None  # the entry of configs/sampling that it is made for
    judge: JudgeEntry | None = None
    dataset: DatasetFacts
    best: dict[str, float] = {}
    values: Annotated[dict[str, Any], AfterValidator(_are_values)] = {}
    packed: dict[str, Any] = {}

    @model_validator(mode="after")
    def _is_whole(self) -> "RunRecord":
        """What a stage cannot do without."""
        reads_sentences = self.stage == "evaluator" and self.text_encoder is not None
        for part in HOLDS[self.stage]:
            if part not in self.parts and not (part == "words" and reads_sentences):
                raise ValueError(f"it has no 'parts.{part}', which stage {self.stage} needs")
        of_text = {"denoiser", "flow", "text_autoencoder", "joint_denoiser"}
        for key, needed in (
            ("text_encoder", bool(of_text & {*self.parts})),
            ("judge", self.stage == "evaluator"),
        ):
            if needed and getattr(self, key) is None:
                raise ValueError(f"it has no '{key}', which stage {self.stage} needs")
        return self
