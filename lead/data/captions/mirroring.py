"""Captions of a mirrored motion: left and right, clockwise and counterclockwise change places.

Only whole words change: ``upright``, ``bright`` and ``leftover`` stay. A few phrases in which
*right* is no direction stay too (``right angle``, ``right away``, ``right now``, ``all right``).
Words that say *left* in another sense ("he left the room") are not told apart.
"""

import re
from dataclasses import replace

from lead.data.source import Caption

# Between two words of one expression; a tagged line reads "counter/NOUN clockwise/ADV".
_GAP = r"(?:(?-i:/[A-Z]\w*)?[\s-]+)"
_SUFFIX = r"(?:wards?|most|hand(?:ed)?|foot(?:ed)?|leg|arm|side[ds]?|s)?"
_PATTERN = re.compile(
    rf"""
    (?<![a-z])(?:
        (?P<phrase> all {_GAP} right
                  | right {_GAP} (?: angle[ds]? | angular | now | away (?!{_GAP}from\b) )
                  | (?<!the\ ) right {_GAP} next {_GAP} to
        )
      | (?P<counter> (?: (?:counter|conter|anti) {_GAP}? )+ clock {_GAP}? wise )
      | (?P<clock> clock [\s-]? wise )
      | (?P<side> left | right ) (?P<suffix> {_SUFFIX} )
    )(?![a-z])
    """,
    re.IGNORECASE | re.VERBOSE,
)
_OTHER_SIDE = {"left": "right", "right": "left"}


def mirror_caption(text: str) -> str:
    """The sentence that describes the motion's mirror image, with the case of each word kept.

    Takes plain sentences and tagged lines alike (``turn/VERB left/ADV``). Applied twice it gives
    the text back, save for spelling: every ``counter-clockwise`` or ``anticlockwise`` becomes
    ``clockwise`` and returns as ``counterclockwise``.
    """
    return _PATTERN.sub(_mirror_match, text)


def mirrored(caption: Caption) -> Caption:
    """The same caption for the mirrored motion, words and tags."""
    return replace(
        caption, text=mirror_caption(caption.text), tokens=mirror_caption(caption.tokens)
    )


def _mirror_match(match: re.Match) -> str:
    if match["phrase"]:
        return match["phrase"]
    if match["counter"]:
        return _with_case_of(match["counter"], "clockwise")
    if match["clock"]:
        return _with_case_of(match["clock"], "counterclockwise")
    return _with_case_of(match["side"], _OTHER_SIDE[match["side"].lower()]) + match["suffix"]


def _with_case_of(model: str, word: str) -> str:
    if model.isupper():
        return word.upper()
    return word.capitalize() if model[0].isupper() else word
