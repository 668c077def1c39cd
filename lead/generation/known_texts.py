"""How far a sentence is from what a model was trained on, in its text encoder's space.

A model that knows walking and waving answers "a cat plays the violin" with some walk or wave. The
distance to the nearest training caption tells such sentences apart, as far as a text encoder can.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from pydantic import ConfigDict
from torch import Tensor
from torch.nn.functional import normalize

from lead.core.errors import WorkError
from lead.core.files import to_json, write_tensors
from lead.core.reading import read_described
from lead.core.runs import Run
from lead.core.schema import Finite, Schema, check

FILE = "known_texts.safetensors"
_ENTRY = "lead.known_texts"


class Facts(Schema):
    """What is written beside the vectors: how the threshold was found is kept as it is."""

    model_config = ConfigDict(extra="allow")

    threshold: Finite


@dataclass(frozen=True, eq=False)
class KnownTexts:
    """Embedded training captions, thinned out, and the distance from which a sentence is far.

    ``vectors`` have unit length; ``facts`` tells how the threshold was found and how often it errs.
    """

    vectors: Float[Tensor, "captions dim"]
    threshold: float
    facts: dict = field(default_factory=dict)

    def distances(self, embedded: Float[Tensor, "texts dim"]) -> Float[Tensor, " texts"]:
        """1 - cosine to the nearest caption: 0 for a caption itself, about 1 for nothing alike."""
        return 1 - (normalize(embedded, dim=-1) @ self.vectors.to(embedded).T).amax(dim=1)


def thin_out(
    vectors: Float[Tensor, "texts dim"], keep: int
) -> tuple[Float[Tensor, "kept dim"], float]:
    """At most ``keep`` of the vectors, and the largest distance of one to its nearest kept one.

    The farthest from those kept comes next (Gonzalez 1985): at most twice the smallest radius.
    """
    unit = normalize(vectors, dim=-1)
    chosen = [0]
    nearest = 1 - unit @ unit[0]
    while len(chosen) < min(keep, len(unit)) and float(nearest.max()) > 0:
        chosen.append(int(nearest.argmax()))
        nearest = torch.minimum(nearest, 1 - unit @ unit[chosen[-1]])
    return unit[chosen], max(0.0, float(nearest.max()))


def best_threshold(near: Sequence[float], far: Sequence[float]) -> float:
    """The distance that divides near from far sentences with the fewest errors of both, by share.

    Of several equally good ones the middle of the widest gap.
    """
    values = sorted({*near, *far})
    cuts = [(low + high) / 2 for low, high in zip(values, values[1:], strict=False)]
    gaps = [high - low for low, high in zip(values, values[1:], strict=False)]
    if not near or not far or not cuts:
        raise WorkError("a threshold needs near and far sentences of different distances")
    errors = [sum(error_shares(near, far, cut)) for cut in cuts]
    return min(zip(errors, (-gap for gap in gaps), cuts, strict=True))[2]


def error_shares(
    near: Sequence[float], far: Sequence[float], threshold: float
) -> tuple[float, float]:
    """Share of near sentences that are called far, and of far ones that are not."""
    return (
        sum(value > threshold for value in near) / len(near),
        sum(value <= threshold for value in far) / len(far),
    )


def write_known_texts(run: Run, known: KnownTexts) -> None:
    """Keep them in a run directory, in half precision."""
    facts = {"threshold": known.threshold, **known.facts}
    metadata = {_ENTRY: to_json(facts)}
    write_tensors(run.folder / FILE, {"vectors": known.vectors.half()}, metadata)


def read_known_texts(run: Run) -> KnownTexts | None:
    """What a run directory keeps of its captions; None where it keeps nothing.

    Raises WorkError, naming the file, where it is broken.
    """
    path, advice = run.folder / FILE, "pack it again"
    if not path.is_file():
        return None
    tensors, entry = read_described(path, _ENTRY, advice)
    facts = check(Facts, entry, str(path), advice)
    vectors = tensors.get("vectors")
    if vectors is None or vectors.ndim != 2 or not vectors.numel() or not vectors.isfinite().all():
        raise WorkError(f"{path} holds no rows of numbers: {advice}")
    return KnownTexts(normalize(vectors.float(), dim=-1), facts.threshold, facts.model_extra)
