"""What words are learned from: options of `lead invert`, or a list in a file."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from lead.core.errors import RequestError
from lead.core.files import split_list
from lead.core.reading import read_json_lines, read_yaml
from lead.core.schema import ClosedSchema, Count, check


def _said(text: str) -> str:
    if not text.strip():
        raise ValueError("it is empty")
    return text.strip()


def _spelled(word: str) -> str:
    """The word, which also names its file; ValueError where it is misspelled."""
    from lead.models.text_encoders.learned_words import check_spelling

    try:
        return check_spelling(word)
    except RequestError as error:
        raise ValueError(str(error)) from error


def _listed(names: object) -> object:
    return split_list(names) if isinstance(names, str) else names


Said = Annotated[str, AfterValidator(_said)]
Listed = Annotated[list[str], BeforeValidator(_listed)]


class Entry(ClosedSchema):
    """What one word is learned from: the options of the command, or an entry of concepts=FILE."""

    word: Annotated[Said, Field(max_length=60), AfterValidator(_spelled)]
    init: Said
    motions: Listed
    dataset: str | None
    split: str
    style: str | None
    content: str | None
    examples: Count
    actions: Listed
    templates: list[str]


def read_entries(path: Path, base: dict[str, object]) -> list[tuple[str, Entry]]:
    """Every entry of concepts=FILE with its place there; what one leaves out is as in ``base``."""
    if path.suffix.lower() == ".jsonl":
        listed = [(f"{path}:{line}", entry) for line, entry in read_json_lines(path, "concepts=")]
    else:
        loaded = read_yaml(path, "concepts=")
        entries = loaded if isinstance(loaded, list) else [loaded] if loaded is not None else []
        listed = [(f"{path}: entry {n}", entry) for n, entry in enumerate(entries, 1)]
    if not listed:
        raise RequestError(f"concepts={path} is empty: list at least one word")
    whole = [(place, base | of if isinstance(of, dict) else of) for place, of in listed]
    advice = "correct the entry"
    return [(place, check(Entry, of, place, advice, error=RequestError)) for place, of in whole]
