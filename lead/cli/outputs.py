"""Where a verb may write, asked before any work is done, and held until it is done."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from lead.core.claims import remove_leftovers
from lead.core.errors import LeadError, RequestError
from lead.core.files import claimed
from lead.core.reading import read_json
from lead.core.run_record import HOLDS
from lead.core.runs import RUN_FILES
from lead.data.contents import STAMPS

STRAY = (".DS_Store", "Thumbs.db", "desktop.ini", ".lead-*", ".*.lead-*")
"""What programs that show folders leave in them, and lead's own half-done files."""


@dataclass(frozen=True)
class Made:
    """A kind of folder that lead makes: the JSON file that marks it, and what else it holds."""

    kind: str
    mark: str
    keys: tuple[str, ...]  # that the mark has
    names: tuple[str, ...]  # patterns of everything that lead writes there
    schema: int = 1


DATASET = Made(
    *("a dataset", "manifest.json", ("name", "skeleton", "clips", "hashes", "data_hash")),
    ("manifest.json", "report.json", STAMPS, "*.npy", "*.index.json", "cache"),
)
CLIPS = Made(
    *("clips", "index.json", ("title", "clips")),
    ("index.json", "index.html", "sheet.png", "player.*", "[0-9][0-9][0-9]*.*"),
)
STUDY = Made(
    *("a study", "key.json", ("study", "systems", "choice", "pairs")), ("key.json", "study.html")
)
RUN = Made("a run", "run.json", ("stage", "status", "parts"), RUN_FILES)
STARTER = Made(
    *("a run", "run.json", ("stage", "status", "parts")),
    (*RUN_FILES, *HOLDS, "words", "README.md"),
)
IMPORTED = Made("imported runs", "diffusion/run.json", RUN.keys, ("vae", "diffusion"))


@contextmanager
def output_folder(folder: Path, made: Made, *, overwrite: bool) -> Iterator[None]:
    """Hold a folder that a verb makes, from before its work until it stands.

    Raises RequestError unless it can be made, or replaced where ``overwrite`` is true. Only what
    lead itself made is ever replaced, and only while no other command writes there.
    """
    with claimed(folder, folder=True):
        remove_leftovers(folder)
        if folder.resolve() in (Path.cwd(), *Path.cwd().parents):
            raise RequestError(f"{folder} holds the folder you are in: name another output=DIR")
        if not folder.is_dir() or not any(folder.iterdir()):
            yield
            return
        if not overwrite:
            raise RequestError(f"{folder} exists: name another output=DIR, or say overwrite=true")
        if reason := _foreign(folder, made):
            raise RequestError(
                f"{folder} {reason}, and is not replaced: name another output=DIR, or remove it "
                "yourself"
            )
        trained = [folder / made.mark] if made.mark.endswith("run.json") else []
        with claimed(*trained):  # as a training in there does
            yield


def _foreign(folder: Path, made: Made) -> str:
    """What shows that lead did not make all of a folder; empty where it did."""
    if not (folder / made.mark).is_file():
        return f"was not made by lead as {made.kind} (it has no {made.mark})"
    try:
        mark = read_json(folder / made.mark)
    except LeadError:
        return f"was not made by lead (its {made.mark} is broken)"
    missing = [key for key in made.keys if key not in mark]
    if missing or mark.get("schema") != made.schema:
        what = f"no '{missing[0]}'" if missing else f"schema {mark.get('schema')!r:.20}"
        return f"was not made by this lead as {made.kind} ({made.mark} has {what})"
    for entry in sorted(folder.iterdir()):
        if not any(fnmatch(entry.name, name) for name in (*made.names, *STRAY)):
            return f"holds '{entry.name}', which lead did not make"
    return ""
