"""The text-to-motion protocol: what is drawn, how often, and what comes out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Annotated

from pydantic import Field

from lead.core.errors import RequestError
from lead.core.schema import one_of
from lead.evaluation.estimate import Estimate
from lead.evaluation.table import Column

COLUMNS = (
    Column("r_precision_1", "R@1", better="higher"),
    Column("r_precision_2", "R@2", better="higher"),
    Column("r_precision_3", "R@3", better="higher"),
    Column("fid", "FID", better="lower"),
    Column("multimodal_distance", "MM-dist", better="lower"),
    Column("clip_score", "CLIP-score", better="higher"),
    Column("diversity", "Diversity", better="real"),
    Column("multimodality", "MultiModality", better="higher"),
)
"""The measures of the protocol, in the order of a table."""

SINKS = (
    Column("sink_ratio", "SinkRatio"),
    Column("start_share", "attention on the start token"),
)
"""What is measured of the drawing itself, of networks that read text word by word."""

TOP_K = 3
REAL = "Real"
Count = Annotated[int, Field(ge=1)]


@dataclass(frozen=True)
class Protocol:
    """The numbers of a protocol; their values stand in configs/protocol.

    A replication draws one caption and one crop of every real clip, shuffles the clips into pools
    of ``pool_size``, and has each row of the table answer the same captions, lengths and seeds.
    ``crop`` is ``random`` for the published draw of a test clip (its length floored to whole units
    of ``unit_length`` frames, in one case of three a unit less, begun anywhere; the reference of
    FID is a second such draw), ``once`` for the same with FID against the very crops, or ``whole``
    for the floored clip from its first frame.
    ``constant_bones`` has the judge see every motion with the bones of the skeleton, as people do;
    the published protocols take features as they are. ``multimodality_sets`` says how often the
    repeated motions of ``multimodality_texts`` sentences are made: with one set the interval is
    over sentences, else over sets. ``published`` holds, by data set, the name of the published
    judge and the intervals of the Real row, as far as they are known.
    """

    name: str
    version: Count
    datasets: Sequence[str]
    split: str
    pool_size: Annotated[int, Field(ge=TOP_K)]
    replications: Count
    confidence: Annotated[float, Field(gt=0, lt=1)]
    diversity_pairs: Count
    multimodality_texts: Count
    multimodality_repeats: Count
    multimodality_pairs: Count
    multimodality_sets: Count
    unit_length: Count
    crop: Annotated[str, one_of(("whole", "random", "once"))]
    constant_bones: bool
    published: Mapping[str, Mapping]

    def __post_init__(self) -> None:
        if self.multimodality_pairs > self.multimodality_repeats:
            raise RequestError(
                f"protocol.multimodality_pairs is {self.multimodality_pairs}: it cannot be above "
                f"multimodality_repeats, {self.multimodality_repeats}"
            )

    def judge_of(self, dataset: str) -> str:
        """The published judge of a data set by its name, else the data set itself."""
        return self.published.get(dataset, {}).get("judge", dataset).removeprefix("t2m-")

    @property
    def quantile(self) -> float:
        """Margin of an interval in standard errors, with two decimals: 1.96 for 95 %."""
        return round(NormalDist().inv_cdf((1 + self.confidence) / 2), 2)


@dataclass(frozen=True)
class ProtocolResult:
    """Every row of the table, with what it was computed from."""

    rows: dict[str, dict[str, Estimate]]  # protocol and physical measures
    grouped: dict[str, dict[str, dict[str, dict[str, Estimate]]]]  # physical measures, see tally
    replications: dict[str, dict[str, list[float]]]  # row -> measure -> a value per replication
    multimodality: dict[str, list[list[float]]]  # row -> set -> a value per sentence
    half_fid: Estimate  # of one half of the real motions against the other
    seeds: list[int]  # of the replications
    clips: int
    pools: int
    diversity_pairs: int
    multimodality_texts: int
