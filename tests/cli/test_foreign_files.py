"""Files from outside with anything in them: done, or refused in one line, and nothing is left.

Each kind of file is written whole first. Then every value in it is taken away or replaced by
everything of ``foreign.MUTATIONS``: its reader gives an object or one line, and so do the commands.
"""

import json
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from lead.cli.config import compose
from lead.cli.invert import _entries
from lead.cli.sweep_words import expand
from lead.core.errors import LINE_MOST, LeadError, one_line
from lead.core.files import write_tensors
from lead.data.bvh.caption_tables import read_caption_table
from lead.data.bvh.skeleton_maps import load_skeleton_map
from lead.data.captions.phrase_book import read_phrase_book
from lead.data.contents import STAMPS
from lead.data.packed import open_dataset
from lead.data.packing import pack
from lead.data.sources.cmu_open import CmuOpenSource
from lead.evaluation.report.measured import read_runs
from lead.evaluation.study import read_answers
from lead.inversion import read_word
from lead.representation import get_skeleton
from lead.studies.pairs import _clips
from lead.sweeps.job import Planned

sys.path.insert(0, str(Path(__file__).parent))
from foreign import BROKEN, MUTATIONS, UNREADABLE, mutated, places

CELL = {"mean": 0.5, "margin": 0.1, "count": 20}
METRICS = {
    "headline": "judge j: fine",
    "protocol": {"name": "open", "version": 1, "pool_size": 32},
    "evaluator": {"name": "j", "fingerprint": "0123456789abcdef"},
    **{"dataset": "d", "split": "test", "clips": 40, "data_hash": "0" * 64},
    "rows": {"Real": {"fid": CELL, "jitter": CELL, "unknown": CELL}},
}
KEY = {
    **{"schema": 1, "study": "abc", "systems": ["old", "new"], "choice": "Drawn at random."},
    "seed": 3,
    "pairs": [{"pair": "p0", "text": "a walk", "left": "new", "right": "old", "change": 0.1}],
}
ANSWERS = {
    **{"schema": 1, "study": "abc", "participant": "x", "exported": "2026", "started": "2026"},
    "answers": [
        {
            **{"pair": "p0", "place": 0},
            "left": {"realism": 1, "relevance": 2},
            "right": {"realism": 3, "relevance": 5},
        }
    ],
}
MAP = {
    "name": "mine",
    "joints": {
        **dict.fromkeys(get_skeleton("humanml3d").joint_names, "Hips"),
        "spine1": {"between": ["Hips", "Spine"], "at": 0.5},
        "head": ["Nose", "Head"],
    },
    "metres_per_unit": 0.01,
}
BOOK = {
    "people": ["a person"],
    "contents": {"walk": ["{walks|paces}"]},
    "styles": {"normal": {"adverbs": ["sadly"], "people": ["a man"], "plain": 0.5}},
}
WORD = {
    **{"schema": 1, "word": "<w>", "encoder": "0" * 64, "init": "walk", "lr": 0.3},
    "sources": ["a.bvh"],
}
CONCEPT = {
    **{"word": "<aa>", "init": "walk", "motions": ["nowhere.bvh"], "split": "train"},
    **{"style": "s", "content": "c", "dataset": "d", "examples": 1},
    **{"actions": ["walks"], "templates": ["a <*> person"]},
}
CAPTION = {"id": "walk", "caption": "a walk", "split": "train", "start": 0.5, "end": 2.9}
CLIPS = {
    **{"schema": 1, "title": "Generated"},
    "clips": [{"text": "a walk", "seed": 0, "files": {"npz": "000.npz", "gif": "000.gif"}}],
}


JOB = {
    **{"labels": {"seed": "1"}, "program": ["lead"], "commands": [["train"]], "directory": "."},
    **{"state": "finished", "error": "", "seconds": 1.5},
}


@dataclass(frozen=True)
class Kind:
    """A kind of file: one that is right, where it stands, its reader, and a command that reads it.

    ``free`` are keys whose values nobody looks at, ``optional`` ones that may be missing or null,
    ``bags`` objects of any keys; ``stands`` are mutations that make another good file.
    """

    good: Callable  # (tiny dataset) -> object
    name: str  # of the file
    read: Callable  # (path) -> anything
    words: Callable  # (world, path) -> the command
    write: Callable | None = None  # (path, text), where text alone does not do
    free: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()
    bags: frozenset[str] = frozenset()
    stands: frozenset[tuple[str, str]] = frozenset()


def always(value: object) -> Callable:
    return lambda _tiny: value


def bvh(world, *options: str) -> list[str]:
    world.figure("clips/walk.bvh")
    return ["prepare", "data=bvh", "source=clips", "output=out", "workers=1", *options]


def bandai_namco(world, path: Path) -> list[str]:
    world.figure("clips/dataset-1_walk_normal_001.bvh")
    return [
        *("prepare", "data=bandai_namco", "source=clips", "output=out", "workers=1"),
        *(f"data.captions={path}", "data.held_out=[]", "data.captions_per_clip=1"),
    ]


def of_dataset(name: str) -> Callable:
    return lambda tiny: json.loads((tiny / name).read_text())


def open_whole(path: Path) -> None:
    dataset = open_dataset(path.parent)
    for split in dataset.manifest.clips:
        dataset.split(split)


def mix(_world, path: Path) -> list[str]:
    return ["prepare", "data=mix", f"parts=[{path.parent}]", "output=out", "workers=1"]


def study(key: Path, answers: Path) -> list[str]:
    return ["report", "study", f"answers=[{answers}]", f"key={key}", "output=results"]


def beside(path: Path, name: str, content: object) -> Path:
    other = path.with_name(name)
    other.write_text(json.dumps(content))
    return other


def write_word(path: Path, text: str) -> None:
    write_tensors(path, {"vector": torch.zeros(768)}, {"lead.word": text})


def read_concepts(path: Path) -> None:
    config = {**compose("invert", ["run=x"]), "concepts": str(path)}
    _entries(config)


def invert(world, path: Path) -> list[str]:
    return ["invert", f"run={world.run('projector')}", f"concepts={path}", "device=cpu"]


def two_folders(world, path: Path) -> list[str]:
    other = world.here / "other"
    for folder in (path.parent, other):
        folder.mkdir(exist_ok=True)
        shutil.copy(world.motion, folder / "000.npz")
    beside(other / "x", "index.json", CLIPS)
    return ["report", "study", f"runs=[{path.parent},{other}]", "pairs=1", "output=study"]


def read_clips(path: Path) -> None:
    _clips(str(path.parent), "x")


SWEEP = ("seed=1,2", "run=nowhere", "text=a walk")


def read_job(path: Path) -> None:
    for job in expand("generate", SWEEP, None):
        place = Planned(job, path.parent / "sweep").place
        place.folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place.folder / "job.json")
        assert place.record.state in ("waiting", "running", "finished", "failed")


def sweep(world, path: Path) -> list[str]:
    """A sweep that has this state in the folder of each of its jobs."""
    with suppress(LeadError):
        read_job(path)
    return ["generate", "-m", *SWEEP, "sweep=sweep"]


FREEDOM = {
    "optional": frozenset(CONCEPT) - {"word", "init"},
    "stands": frozenset({("motions", "another type"), ("actions", "another type")}),
}
KINDS = {
    "manifest": Kind(
        *(of_dataset("manifest.json"), "data/manifest.json", open_whole, mix),
        optional=frozenset({"frames", "left_out", "hashes"}),
        bags=frozenset({"clips", "frames", "hashes"}),
    ),
    "index": Kind(
        *(of_dataset("train.index.json"), "data/train.index.json", open_whole, mix),
        bags=frozenset({"labels"}),
    ),
    "stamps": Kind(
        *(of_dataset(STAMPS), f"data/{STAMPS}", open_whole, mix),
        bags=frozenset({"files"}),
    ),
    "metrics": Kind(
        always(METRICS),
        "metrics.json",
        lambda path: read_runs([path]),
        lambda _, path: ["report", "none", path],
        free=frozenset({"unknown", "version", "pool_size"}),
        optional=frozenset({"fid", "jitter", "margin", "count"}),
        bags=frozenset({"rows", "Real"}),
    ),
    "study key": Kind(
        always(KEY),
        "key.json",
        lambda path: read_answers(path, [beside(path, "answers.json", ANSWERS)]),
        lambda _, path: study(path, beside(path, "answers.json", ANSWERS)),
        free=frozenset({"seed", "change"}),
    ),
    "study answers": Kind(
        always(ANSWERS),
        "answers.json",
        lambda path: read_answers(beside(path, "key.json", KEY), [path]),
        lambda _, path: study(beside(path, "key.json", KEY), path),
        free=frozenset({"started", "place"}),
        optional=frozenset({"exported", "left", "right", "realism", "relevance"}),
        bags=frozenset({"left", "right"}),
    ),
    "skeleton map": Kind(
        always(MAP),
        "map.yaml",
        load_skeleton_map.__wrapped__,
        lambda world, path: bvh(world, f"data.skeleton_map={path}"),
        optional=frozenset({"name", "metres_per_unit"}),
        stands=frozenset({("spine1", "another type"), ("head", "another type")}),
    ),
    "phrase book": Kind(
        always(BOOK),
        "book.yaml",
        read_phrase_book.__wrapped__,
        bandai_namco,
        optional=frozenset({"adverbs", "people", "plain"}),
        bags=frozenset({"contents", "styles"}),
    ),
    "word": Kind(
        always(WORD),
        "w.safetensors",
        read_word,
        lambda world, path: world.generate(text="a <w> walks", words=f"[{path}]"),
        write_word,
        free=frozenset({"init", "lr", "sources"}),
    ),
    "concepts": Kind(always(CONCEPT), "concepts.jsonl", read_concepts, invert, **FREEDOM),
    "concepts in YAML": Kind(always(CONCEPT), "concepts.yaml", read_concepts, invert, **FREEDOM),
    "caption": Kind(
        always(CAPTION),
        "captions.jsonl",
        read_caption_table,
        lambda world, path: bvh(world, f"data.captions={path}"),
        optional=frozenset({"start", "end", "split"}),
        stands=frozenset((key, "another type") for key in ("id", "caption", "split")),
    ),
    "clips": Kind(
        always(CLIPS),
        "clips/index.json",
        read_clips,
        two_folders,
        free=frozenset({"schema", "title", "text", "seed", "gif"}),
    ),
    "job": Kind(
        *(always(JOB), "job.json", read_job, sweep),
        optional=frozenset(JOB),
        bags=frozenset({"labels"}),
        stands=frozenset({("commands", "list")}),
    ),
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    """A dataset of two splits."""
    folder = tmp_path_factory.mktemp("tiny") / "tiny"
    pack(CmuOpenSource(clips=4), folder, workers=1)
    return folder


@pytest.fixture
def given(world, tiny) -> Callable[[Kind], tuple[dict, Path]]:
    """What is right in a file of a kind, and the file's path; others that it needs stand there."""

    def give(kind: Kind) -> tuple[dict, Path]:
        path = world.here / kind.name
        if path.parent.name == "data":
            shutil.copytree(tiny, path.parent)
            if path.name != STAMPS:  # which would tell first that something has changed
                (path.parent / STAMPS).unlink()
        path.parent.mkdir(exist_ok=True)
        return kind.good(tiny), path

    return give


def put(kind: Kind, path: Path, text: str) -> Path:
    (kind.write or Path.write_text)(path, text)
    return path


def must(kind: Kind, place: tuple, mutation: str) -> bool | None:
    """Whether a mutation has to be refused; None where it may be either."""
    if mutation in UNREADABLE:
        return True
    if kind.free & set(place) or mutation in ("huge", "negative", "not a number"):
        return None
    if mutation == "gone" and isinstance(place[-1], int):
        return None
    if place[-1] in kind.optional and mutation in ("gone", "null"):
        return None
    if mutation == "gone" and kind.bags & set(place[:-1]):
        return None
    if mutation == "object" and place[-1] in kind.bags:
        return None
    return (place[-1], mutation) not in kind.stands


def slow_to_read(path: Path, mutation: str) -> bool:
    """PyYAML takes a second to see that it cannot follow."""
    return path.suffix == ".yaml" and mutation == "deep"


@pytest.mark.parametrize("mutation", ["gone", *MUTATIONS])
@pytest.mark.parametrize("name", KINDS)
def test_a_reader_gives_an_object_or_one_line(given, name, mutation):
    kind = KINDS[name]
    good, path = given(kind)
    for place in [*places(good)][: 1 if slow_to_read(path, mutation) else None]:
        put(kind, path, mutated(good, place, mutation))
        try:
            kind.read(path)
            said = None
        except LeadError as error:
            said = one_line(error)
            assert len(said) <= LINE_MOST
        except Exception as error:
            raise AssertionError(f"{place} {mutation}: {error!r:.200}") from error
        expected = must(kind, place, mutation)
        assert expected is None or expected == (said is not None), (place, mutation, said)


@pytest.mark.parametrize("mutation", ["gone", *MUTATIONS])
@pytest.mark.parametrize("name", KINDS)
def test_the_command_says_it_in_one_line(world, given, outcome, name, mutation):
    """One value of each kind of file; which one goes round with the mutations."""
    kind = KINDS[name]
    good, path = given(kind)
    places_there = [*places(good)]
    turn = 7 * [*MUTATIONS, "gone"].index(mutation)
    place = places_there[turn % len(places_there)]
    put(kind, path, mutated(good, place, mutation))
    said = outcome(kind.words(world, path))
    expected = must(kind, place, mutation)
    assert expected is None or expected == (said is not None), (place, said)


@pytest.mark.slow
@pytest.mark.parametrize("mutation", ["gone", *MUTATIONS])
@pytest.mark.parametrize("name", KINDS)
def test_the_command_says_all_in_one_line(world, given, outcome, name, mutation):
    """Every value of each kind of file."""
    kind = KINDS[name]
    good, path = given(kind)
    for place in places(good):
        put(kind, path, mutated(good, place, mutation))
        outcome(kind.words(world, path))
        shutil.rmtree(world.here / "out", ignore_errors=True)


@pytest.mark.parametrize("content", BROKEN)
@pytest.mark.parametrize("name", KINDS)
def test_a_file_of_something_else_is_refused_in_one_line(world, given, outcome, name, content):
    kind = KINDS[name]
    _, path = given(kind)
    path.write_bytes(BROKEN[content])
    said = outcome(kind.words(world, path))
    assert said is not None and path.name in said


@pytest.mark.parametrize("name", KINDS)
def test_what_is_right_is_read(given, name):
    kind = KINDS[name]
    good, path = given(kind)
    put(kind, path, json.dumps(good))
    if name != "clips":  # which needs motions
        kind.read(path)
