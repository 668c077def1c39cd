"""The text files of HumanML3D and KIT-ML: one ``caption#word/POS word/POS#from#to`` a line."""

import math
import re
from pathlib import Path

from lead.core.errors import RequestError
from lead.core.reading import read_text
from lead.data.source import Caption

_TOKEN = re.compile(r"[^/]+/\w+")


def read_tagged_lines(
    path: Path, *, seconds_per_tag: float = 1.0
) -> tuple[list[Caption], dict[str, str]]:
    """The captions of one clip, and each ``file`` or ``file:line`` that gave none, with its reason.

    ``from`` and ``to`` count in ``seconds_per_tag``; 0 and 0, or NaN, mean the whole clip.
    """
    try:
        lines = read_text(path).split("\n")
    except RequestError as error:
        return [], {str(path): str(error)}
    captions, bad = [], {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            captions.append(_parse(line, seconds_per_tag))
        except ValueError as error:
            bad[f"{path}:{number}"] = str(error)
    if not captions and not bad:
        bad[str(path)] = "the text file is empty"
    return captions, bad


def _parse(line: str, seconds_per_tag: float) -> Caption:
    fields = [part.strip() for part in line.rsplit("#", 3)]
    if len(fields) != 4:
        raise ValueError("malformed line, expected caption#word/POS word/POS#from#to")
    text, tokens, start, end = fields
    if not text:
        raise ValueError("empty caption")
    for token in tokens.split():
        if not _TOKEN.fullmatch(token):
            raise ValueError(f"malformed token '{token}', expected word/POS")
    begin, finish = _seconds(start), _seconds(end)
    if (begin, finish) != (0.0, 0.0) and not 0 <= begin < finish:
        raise ValueError(f"time tags {start}..{end} are no time range")
    return Caption(text, tokens, begin * seconds_per_tag, finish * seconds_per_tag)


def _seconds(tag: str) -> float:
    try:
        value = float(tag)
    except ValueError:
        raise ValueError(f"time tag '{tag}' is not a number") from None
    if math.isinf(value):
        raise ValueError(f"time tag '{tag}' is not finite")
    return 0.0 if math.isnan(value) else value
