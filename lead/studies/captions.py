"""Motions -> sentences: the work of `lead caption`."""

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


def caption_files(names: Sequence[str], request: CaptionRequest, output: Path) -> list[str]:
    """Write sentences of motion files, or of none where no names are given; the lines to say.

    ``output`` is a table: file, seed, score, sentence. Raises RequestError for a run that writes no
    sentences, and for a file that is no motion of its kind.
    """
    model = load_for_inference(request)
    model.need("caption")
    model.check_sampling(request.sampling)
    ways = {"beams": request.beams, "sampling": request.sampling}
    if names:
        files = motion_files(names)
        clips = [read_features(file, model) for file in files]
        seeds = [request.seed] * len(clips)
        found = model.caption(clips, seeds, count=request.count, **ways)
    else:
        files = [Path("-")]
        found = [model.write(range(request.seed, request.seed + request.count), **ways)]
    rows = [
        (plain(file), request.seed + number, caption.score, caption.text)
        for file, own in zip(files, found, strict=True)
        for number, caption in enumerate(own)
    ]
    with atomic_path(output) as temporary:
        lines = ["file\tseed\tscore\tsentence"]
        lines += [f"{file}\t{seed}\t{score:.4f}\t{text}" for file, seed, score, text in rows]
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return [f"{file}: {text} ({score:.2f})" for file, _, score, text in rows]
