"""The sentences of a command; in a file one a line, "sentence # SECONDS" sets its length."""

from pathlib import Path

from lead.cli.values import read_number
from lead.core.errors import RequestError
from lead.core.reading import plain_text, read_text

MOST_CLIPS = 100_000  # of one call; they are held in memory
MOST_SENTENCES = 1000  # of one timeline


def prompts_of(config: dict) -> list[tuple[str, float]]:
    """Each sentence with its length in seconds; one empty one where the task needs none."""
    if config["task"] != "text" or config["like"] is not None:
        return _of_no_sentence(config)
    if sum(config[key] is not None for key in ("text", "prompts", "timeline")) != 1:
        raise RequestError(
            'give either text="a person walks forward" or prompts=FILE, or timeline=FILE'
        )
    if config["timeline"] is not None:
        file = config["timeline"]
        too_many = f"timeline={file} has more than {MOST_SENTENCES} sentences: make two of it"
        asked = ("timeline", file, config["seconds"])
        return read_prompts(*asked, most=MOST_SENTENCES, too_many=too_many)
    if config["prompts"] is None:
        if not config["text"].strip():
            raise RequestError('text is empty: give a sentence, text="a person walks forward"')
        return [(config["text"], config["seconds"])]
    return read_prompts(
        *("prompts", config["prompts"], config["seconds"]),
        most=MOST_CLIPS // config["count"],
        too_many=f"count={config['count']} x the sentences of {config['prompts']} make more than "
        f"{MOST_CLIPS} clips: ask for fewer at once",
    )


def _of_no_sentence(config: dict) -> list[tuple[str, float]]:
    named = [key for key in ("text", "prompts", "timeline", "start", "keep") if config[key]]
    if named:
        raise RequestError(f"task={config['task']} and like= take no {named[0]}=: leave it out")
    return [("", config["seconds"])]


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
