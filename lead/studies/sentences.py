"""`lead evaluate run=RUN sentences=FILE classifier=C`: whether motions do what was said."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import ConfigDict, Field

from lead.core.devices import choose_device
from lead.core.errors import RequestError
from lead.core.files import write_json
from lead.core.reading import plain_text, read_text
from lead.core.runs import Run
from lead.core.schema import Name, Positive, Schema, check
from lead.core.seeding import derive_seed
from lead.data.packed import PackedDataset, PackedSplit
from lead.evaluation.classifier import Classifier, load_classifier
from lead.evaluation.estimate import Estimate, estimate
from lead.evaluation.table import Column, format_table
from lead.evaluation.tally import PhysicalTally, format_grouped, grouped
from lead.generation.loading import load_for_inference
from lead.generation.motion_model import MotionModel
from lead.studies.benchmark.record import grouped_record, record, rows_record
from lead.studies.request import EvaluateRequest

COLUMNS = ("content", "style", "seconds", "sentence")
SEEDS = 5  # clips of each sentence
SENTENCES_MOST = 10_000  # of one table


class Sentence(Schema):
    """A sentence with what its motion has to be."""

    model_config = ConfigDict(strict=False)  # a table knows text alone

    content: Name
    style: str
    seconds: Annotated[Positive, Field(le=3600)]
    text: Name = Field(alias="sentence")


def read_sentences(path: Path) -> list[Sentence]:
    """Rows of a tab-separated file with the columns COLUMNS; RequestError names the broken line."""
    head, *lines = read_text(path, "sentences=").splitlines() or [""]
    if len(lines) > SENTENCES_MOST:
        raise RequestError(f"{path} has {len(lines)} sentences, {SENTENCES_MOST} are the most")
    if tuple(head.split("\t")) != COLUMNS:
        raise RequestError(f"{path}:1: the columns have to be {', '.join(COLUMNS)}, tabs between")
    rows = []
    for number, line in enumerate(lines, start=2):
        place, parts = f"{path}:{number}", line.split("\t")
        if len(parts) != len(COLUMNS):
            raise RequestError(f"{place}: not {', '.join(COLUMNS)}, tabs between")
        row = dict(zip(COLUMNS, parts, strict=True))
        plain_text(f"{place}: the sentence", row["sentence"])
        rows.append(check(Sentence, row, place, "correct it", error=RequestError))
    if not rows:
        raise RequestError(f"{path} holds no sentence")
    return rows


def measure_sentences(
    named: Run, dataset: PackedDataset, request: EvaluateRequest, output: Path
) -> list[str]:
    """Write how often the classifier sees the content that a sentence asks for."""
    sentences = read_sentences(Path(request.sentences))
    classifier = load_classifier(request.classifier, choose_device(request.device))
    contents = sorted({sentence.content for sentence in sentences})
    for content in contents:
        if content not in classifier.classes.get("content", ()):
            raise RequestError(
                f"sentences={request.sentences}: the classifier knows no content '{content}'"
            )
    model = load_for_inference(request)
    real = PhysicalTally(dataset.fps, dataset.skeleton)
    _add_real_clips(real, dataset.split(request.split), sentences)
    tallies = {"real clips": real}
    seen = _generated_contents(model, classifier, sentences, request, tallies)
    groups = grouped(tallies)
    rows = {"real clips": _of_real_clips(classifier, dataset.split(request.split), contents)}
    rows |= {name: _rates(sentences, labels, contents) for name, labels in seen.items()}
    remarks = model.remarks([sentence.text for sentence in sentences])
    listed = [
        {
            **dict(sentence),
            "remark": remarks[sentence.text],
            "seen": {name: dict(Counter(labels[place])) for name, labels in seen.items()},
        }
        for place, sentence in enumerate(sentences)
    ]
    facts = record(named, dataset, len(sentences), request.settled())
    columns = [Column(key, key, better="higher") for key in ("right", *contents)]
    table = format_table(rows, columns)
    measured = {"rows": rows_record(rows), "physical_by": grouped_record(groups)}
    write_json(output, {**facts, **measured, "sentences": listed})
    return [
        f"{len(sentences)} sentences, {SEEDS} clips each: share with the content asked for\n",
        *(table, *_errors(listed, list(seen)[-1]), format_grouped(groups)),
        f"{sum(map(bool, remarks.values()))} sentences are far from the training captions",
        f"written: {output}",
    ]


def _generated_contents(
    model: MotionModel,
    classifier: Classifier,
    sentences: Sequence[Sentence],
    request: EvaluateRequest,
    tallies: dict[str, PhysicalTally],
) -> dict[str, list[list[str]]]:
    """Row of the table -> for each sentence the contents that its SEEDS clips are taken for.

    ``tallies`` gets what is measured of their joints, a row each.
    """
    texts = [sentence.text for sentence in sentences]
    frames = [round(sentence.seconds * model.fps) for sentence in sentences]
    model.check_sampling(request.sampling)
    model.check(texts, frames, project=False)
    seen: dict[str, list[list[str]]] = {}
    for name, project in model.ways.items():
        found, tally = [], PhysicalTally(model.fps, model.skeleton)
        tallies[name] = tally
        for number in range(SEEDS):
            seeds = [derive_seed(request.seed, "sentences", number)] * len(texts)
            made = model.generate(texts, frames, seeds, request.sampling, project=project)
            motions = [motion.features for motion in made]
            tally.add_all(motions, [_group(each.content, each.seconds) for each in sentences])
            found.append(classifier.predict(motions)["content"].labels)
        seen[name] = [list(labels) for labels in zip(*found, strict=True)]
    return seen


def _add_real_clips(
    tally: PhysicalTally, split: PackedSplit, sentences: Sequence[Sentence]
) -> None:
    """The clips of each content and length that is asked for, cut to it where they are longer."""
    for content, seconds in sorted({(each.content, each.seconds) for each in sentences}):
        frames = round(seconds * tally.fps)
        places = [
            place
            for place, labels in enumerate(split.labels)
            if labels.get("content") == content and split.frames[place] >= frames
        ]
        clips = [split.clip(place)[:frames] for place in places]
        tally.add_all(clips, [_group(content, seconds)] * len(clips))


def _group(content: str, seconds: float) -> dict[str, str]:
    return {"content and length": f"{content}, {seconds:g} s"}


def _rates(
    sentences: Sequence[Sentence], seen: Sequence[Sequence[str]], contents: Sequence[str]
) -> dict[str, Estimate]:
    """Share of right clips; each interval is over sentences."""
    pairs = zip(sentences, seen, strict=True)
    shares = [
        (sentence.content, sum(label == sentence.content for label in labels) / len(labels))
        for sentence, labels in pairs
    ]
    return _by_content(shares, contents)


def _of_real_clips(
    classifier: Classifier, split: PackedSplit, contents: Sequence[str]
) -> dict[str, Estimate]:
    """The same share for the clips of a split with these contents; intervals over clips."""
    places = [at for at, labels in enumerate(split.labels) if labels.get("content") in contents]
    if not places:
        raise RequestError(f"split '{split.name}' has no clip of {', '.join(contents)}")
    labels = classifier.predict([split.clip(place) for place in places])["content"].labels
    wanted = [split.labels[place]["content"] for place in places]
    right = [(want, float(label == want)) for label, want in zip(labels, wanted, strict=True)]
    return _by_content(right, contents)


def _by_content(
    shares: Sequence[tuple[str, float]], contents: Sequence[str]
) -> dict[str, Estimate]:
    of = {key: [share for content, share in shares if content == key] for key in contents}
    whole = estimate([share for _, share in shares])
    return {"right": whole} | {key: estimate(values) for key, values in of.items() if values}


def _errors(listed: Sequence[dict], row: str) -> Iterator[str]:
    for entry in listed:
        others = {key: n for key, n in entry["seen"][row].items() if key != entry["content"]}
        if others:
            shown = ", ".join(f"{key} x{count}" for key, count in others.items())
            yield f"  {row}, {entry['content']}: '{entry['text']}' -> {shown}"
