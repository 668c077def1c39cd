"""What a study of learned words asks: concepts with exemplars, sentences, and real motions."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lead.core.errors import RequestError
from lead.core.seeding import derive_seed
from lead.data.packed import PackedDataset, PackedSplit
from lead.evaluation.classifier import divide_held_out
from lead.evaluation.classifier.held_out import HELD_OUT, KEPT
from lead.evaluation.word_judging import Request
from lead.inversion import Concept
from lead.inversion.concepts import ACTION, GAP
from lead.studies.words.options import MotionOptions, StudyOptions, StyleOptions

VOWELS = "aeiou"


@dataclass(frozen=True)
class Asked:
    """A sentence with a gap for the word, and what the judge compares its motion with."""

    sentence: str
    request: Request


@dataclass(frozen=True)
class Studied:
    """A concept, the plain word that says the same, and the sentences that it is asked in."""

    concept: Concept
    plain: str
    asked: tuple[Asked, ...]

    def with_word(self) -> list[str]:
        """The sentences with the learned word."""
        return [asked.sentence.replace(GAP, self.concept.word) for asked in self.asked]

    def with_plain(self) -> list[str]:
        """The sentences with the plain word."""
        return [_in_gap(asked.sentence, self.plain) for asked in self.asked]


def studied_concepts(
    dataset: PackedDataset, split: str, study: StudyOptions, seed: int
) -> list[Studied]:
    """The concepts of a study: held-out styles where the data set has them, else single motions.

    Raises RequestError where a style has no descriptor or a content no action in ``study``.
    """
    if HELD_OUT in dataset.manifest.clips:
        return _styles(dataset, study.styles, seed)
    return _motions(dataset, dataset.split(split), study.motions, seed)


def _styles(dataset: PackedDataset, options: StyleOptions, seed: int) -> list[Studied]:
    split = dataset.split(HELD_OUT)
    by_style: dict[str, dict[str, list[int]]] = {}
    for place in divide_held_out(dataset)[KEPT]:
        labels = split.labels[place]
        contents = by_style.setdefault(labels["style"], {})
        contents.setdefault(labels["content"], []).append(place)
    for style, contents in by_style.items():
        wanted = {"descriptors": [style], "init": [style], "actions": contents}
        for kind, names in wanted.items():
            for name in names:
                if name not in getattr(options, kind):
                    raise RequestError(
                        f"{dataset.folder}: study.styles.{kind} has nothing for '{name}': add it"
                    )
    lots = {
        style: _exemplars(contents, options, derive_seed(seed, "exemplars", style))
        for style, contents in by_style.items()
    }
    if not any(lots.values()):
        raise RequestError(
            f"{dataset.folder}: no style has {options.clips} clips that the classifier has "
            "never seen: lower study.styles.clips"
        )
    return [
        _style_concept(dataset, split, options, style, by_style[style], number, exemplars, seed)
        for style, of in lots.items()
        for number, exemplars in enumerate(of)
    ]


def _exemplars(
    contents: Mapping[str, list[int]], options: StyleOptions, seed: int
) -> list[list[int]]:
    """Clips of one style in lots of ``clips``, of contents drawn at random, the least used first.

    So those of a lot are different as far as there are; no clip is in two lots.
    """
    rng, left = np.random.default_rng(seed), {key: list(of) for key, of in contents.items()}
    lots: list[list[int]] = []
    while len(lots) < options.concepts and sum(map(len, left.values())) >= options.clips:
        lot: list[int] = []
        while len(lot) < options.clips:
            drawn = rng.permutation([content for content, of in left.items() if of]).tolist()
            drawn.sort(key=lambda content: len(contents[content]) - len(left[content]))
            lot += [left[content].pop(0) for content in drawn[: options.clips - len(lot)]]
        lots.append(lot)
    return lots


def _style_concept(
    dataset: PackedDataset,
    split: PackedSplit,
    options: StyleOptions,
    style: str,
    contents: Mapping[str, list[int]],
    number: int,
    exemplars: Sequence[int],
    seed: int,
) -> Studied:
    """A concept and its sentences: of contents that its exemplars do not show, if there are any."""
    word = f"<{style}-{number}>"
    shown = [split.labels[place]["content"] for place in exemplars]
    concept = _concept(
        *(dataset, split, exemplars, word, options.init[style], options.templates),
        tuple(options.actions[content] for content in shown),
    )
    rng = np.random.default_rng(derive_seed(seed, "sentences", word))
    others = [content for content in contents if content not in shown] or list(contents)
    asked = []
    for wanted in rng.permutation(others)[: options.sentences].tolist():
        places = [p for p in contents[wanted] if p not in exemplars] or contents[wanted]
        sentence = options.sentence.replace(ACTION, options.actions[wanted])
        asked.append(Asked(sentence, _request(word, split, int(rng.choice(places)), rng)))
    return Studied(concept, options.descriptors[style], tuple(asked))


def _motions(
    dataset: PackedDataset, split: PackedSplit, options: MotionOptions, seed: int
) -> list[Studied]:
    rng = np.random.default_rng(derive_seed(seed, "motions"))
    studied = []
    for place in sorted(rng.permutation(len(split))[: options.count].tolist()):
        word = f"<motion-{place}>"
        init = next(_coarse(split.captions[place], options.init), options.init[-1])
        concept = _concept(dataset, split, [place], word, init, options.templates)
        asked = Asked(options.sentence, _request(word, split, place, rng))
        studied.append(Studied(concept, init, (asked,)))
    return studied


def _coarse(captions: Sequence[str], known: Sequence[str]) -> Iterator[str]:
    """The known words that begin a word of the captions, in the order of the captions."""
    for caption in captions:
        for word in caption.lower().split():
            yield from (start for start in known if word.startswith(start))


def _concept(
    dataset: PackedDataset,
    split: PackedSplit,
    places: Sequence[int],
    word: str,
    init: str,
    templates: Sequence[str],
    actions: tuple[str, ...] = (),
) -> Concept:
    motions = tuple(np.array(split.clip(place)) for place in places)
    names = tuple(split.ids[place] for place in places)
    licence = dataset.manifest.licence
    return Concept(word, init, motions, names, tuple(templates), licence, actions)


def _request(word: str, split: PackedSplit, place: int, rng: np.random.Generator) -> Request:
    which = int(rng.integers(len(split.captions[place])))
    labels = split.labels[place]
    return Request(
        *(word, split.captions[place][which], split.tokens[place][which], split.clip(place)),
        *(labels.get("style", ""), labels.get("content", "")),
    )


def _in_gap(sentence: str, word: str) -> str:
    """The sentence with a plain word: `a <*> person` becomes `an old person`."""
    if word[0] in VOWELS:
        sentence = sentence.replace(f"a {GAP}", f"an {GAP}")
    return sentence.replace(GAP, word)
