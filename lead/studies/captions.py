"""Motions, sentences or nothing -> sentences: the work of `lead caption`."""

from collections.abc import Sequence
from pathlib import Path

from lead.core.errors import plain
from lead.core.files import atomic_path
from lead.generation.loading import InferenceRequest, load_for_inference
from lead.studies.words.exemplars import motion_files, read_features


class CaptionRequest(InferenceRequest):
    """Which motions, how many sentences of each, and how wide the search for the words is."""

    run: str
    count: int
    beams: int
    strength: float


def caption_files(
    names: Sequence[str], texts: Sequence[str], request: CaptionRequest, output: Path
) -> list[str]:
    """Write sentences of motion files, others like ``texts``, or of neither; the lines to say.

    ``output`` is a table: file (or text), seed, score, sentence. Raises RequestError for a run that
    writes no sentences, and for a file that is no motion of its kind.
    """
    files = motion_files(names)  # what is no motion is told before a model is loaded
    model = load_for_inference(request)
    model.need("caption")
    model.check_sampling(request.sampling)
    ways = {"beams": request.beams, "sampling": request.sampling}
    seeds = [request.seed + number for number in range(request.count)]
    if files:
        whence = [plain(file) for file in files]
        clips = [read_features(file, model) for file in files]
        found = model.caption(clips, [request.seed] * len(clips), count=request.count, **ways)
    elif texts:
        whence = list(texts)
        told = [
            model.reword(texts, [seed] * len(texts), strength=request.strength, **ways)
            for seed in seeds
        ]
        found = [list(own) for own in zip(*told, strict=True)]
    else:
        whence = ["-"]
        found = [model.write(seeds, **ways)]
    rows = [
        (name, request.seed + number, caption.score, caption.text)
        for name, own in zip(whence, found, strict=True)
        for number, caption in enumerate(own)
    ]
    with atomic_path(output) as temporary:
        lines = ["file\tseed\tscore\tsentence"]
        lines += [f"{name}\t{seed}\t{score:.4f}\t{text}" for name, seed, score, text in rows]
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return [f"{name}: {text} ({score:.2f})" for name, _, score, text in rows]
