"""`lead evaluate run=TEXT_AUTOENCODER`: what is left of sentences that it never saw."""

from collections.abc import Sequence
from pathlib import Path

import torch

from lead.core.devices import choose_device
from lead.core.errors import RequestError
from lead.core.files import write_json
from lead.core.runs import Run
from lead.core.seeding import make_generator
from lead.data.caption_kinds import KIND
from lead.data.packed import PackedDataset
from lead.evaluation.caption_wording import (
    AGAINST,
    WORDING,
    Wording,
    Written,
    measure_against,
    measure_wording,
)
from lead.evaluation.estimate import Estimate, estimate
from lead.evaluation.table import Column, format_table
from lead.generation.motion_model import load_text_encoder, padded, read_words
from lead.generation.sentence_coder import load_sentence_coder
from lead.studies.benchmark.record import record, rows_record
from lead.studies.request import EvaluateRequest

_FUNCTION_WORDS = (
    "a an the is are was to and of in on with his her their he she they then it at as for from by "
    "while them this that person man someone figure human up down be being has"
)
FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())
"""Words that say little of a motion; all others are content words."""

EXACT = (
    Column("content_words", "content words kept", "%", "higher", 1),
    Column("word_for_word", "word for word", "%", "higher", 1),
)
RAW = "raw"


def measure_rewriting(
    named: Run, dataset: PackedDataset, request: EvaluateRequest, output: Path
) -> list[str]:
    """Write what the captions of a split are after latents and back, by who wrote them.

    ``clips`` is here how many captions of each kind are taken, drawn with the seed; 0 takes all.
    """
    device = choose_device(request.device)
    coder, encoder = load_sentence_coder(named), load_text_encoder(named)
    for part in (*coder.modules(), encoder):
        part.to(device)
    rows = {}
    for kind, sentences in _captions(dataset, request).items():
        written: list[str] = []
        for start in range(0, len(sentences), request.batch_size):
            read = read_words(encoder, sentences[start : start + request.batch_size], {})
            with torch.no_grad():
                told = coder.write(coder.encode(*padded(read)))
            written += [caption.text for caption in told]
        rows[f"{kind}, {len(sentences)} captions"] = compare(sentences, written)
    if not rows:
        raise RequestError(f"split '{request.split}' of {dataset.folder} has no captions")
    tables = [format_table(rows, columns) for columns in (AGAINST[RAW], (*EXACT, *WORDING))]
    count = sum(row["word_for_word"].count for row in rows.values())
    kept = record(named, dataset, count, request.settled())
    write_json(output, {**kept, "rows": rows_record(rows)})
    return [
        "captions rebuilt from their latents, raw words, greedy\n",
        *tables,
        f"written: {output}",
    ]


def compare(sentences: Sequence[str], written: Sequence[str]) -> dict[str, Estimate]:
    """Measures of sentences (``written``) against those that they are to say again."""
    wording = Wording()
    wanted, found = (
        wording.of(RAW, [Written(one) for one in many]) for many in (sentences, written)
    )
    content = [[word for word in one.split() if word not in FUNCTION_WORDS] for one in wanted]
    pairs = [*zip(content, map(str.split, found), strict=True)]
    kept = [100 * sum(word in has for word in words) / len(words) for words, has in pairs if words]
    same = [100.0 * (one == other) for one, other in zip(wanted, found, strict=True)]
    corpus = measure_against(RAW, found, [[one] for one in wanted]) | measure_wording(found)
    return {
        **{key: Estimate(value, None, len(found)) for key, value in corpus.items()},
        **({"content_words": estimate(kept)} if kept else {}),
        "word_for_word": estimate(same),
    }


def _captions(dataset: PackedDataset, request: EvaluateRequest) -> dict[str, list[str]]:
    """Different captions of the split by kind, in the order that the seed draws."""
    split, found = dataset.split(request.split), {}
    for labels, captions in zip(split.labels, split.captions, strict=True):
        kind = labels.get(KIND, labels.get("part", dataset.manifest.name))
        found.setdefault(kind, {}).update(dict.fromkeys(captions))
    chosen = {}
    for kind, captions in sorted(found.items()):
        ordered = sorted(captions)
        draw = torch.randperm(len(ordered), generator=make_generator(request.seed, "rewriting"))
        chosen[kind] = [ordered[place] for place in draw.tolist()[: request.clips or None]]
    return chosen
