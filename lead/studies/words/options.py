"""The options of a study of learned words; the values stand in configs/study."""

from typing import Any

from lead.core.schema import ClosedSchema


class StyleOptions(ClosedSchema):
    """How a held-out style is learned and asked for; the tables are by style or content."""

    clips: int
    concepts: int
    sentences: int
    sentence: str
    templates: list[str]
    descriptors: dict[str, str]
    init: dict[str, str]
    actions: dict[str, str]


class MotionOptions(ClosedSchema):
    """How a motion without labels is learned and asked for."""

    count: int
    sentence: str
    templates: list[str]
    init: list[str]


class StudyOptions(ClosedSchema):
    """A study: its rows, its concepts and its picture; ``recipe`` describes the inversion."""

    objectives: list[str]
    project: list[str]
    others: bool
    seeds: int
    recipe: dict[str, Any]
    styles: StyleOptions
    motions: MotionOptions
    figure: str | None
    shown: int
