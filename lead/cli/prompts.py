"""Sentences in a file, one a line; "sentence # SECONDS" sets how long its motion takes."""

from pathlib import Path

from lead.cli.values import read_number
from lead.core.errors import RequestError
from lead.core.reading import plain_text, read_text


def read_prompts(
    key: str, file: str, seconds: float, *, most: int, too_many: str
) -> list[tuple[str, float]]:
    """Each sentence of the file that the option ``key`` names, with its seconds.

    Raises RequestError with the number of a line that is wrong, for a file without a sentence, and
    with ``too_many`` for more than ``most``.
    """
    path, prompts = Path(file), []
    for number, line in enumerate(read_text(path, f"{key}=").split("\n"), start=1):
        text, hash_sign, length = line.partition("#")
        place, own = f"{path}:{number}", seconds
        if hash_sign and text.strip():
            own = read_number("seconds", length, f"{place}: length in seconds")
        if text.strip():
            prompts.append((plain_text(f"{place}: the sentence", text.strip()), own))
        if len(prompts) > most:
            raise RequestError(too_many)
    if not prompts:
        raise RequestError(f"{key}={path} holds no sentence: write one a line")
    return prompts
