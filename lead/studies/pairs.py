"""The pairs of a user study: sentences drawn at random, and two systems' motions for them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lead.core.devices import choose_device
from lead.core.errors import RequestError, plain
from lead.core.files import last_name
from lead.core.runs import Run
from lead.core.schema import FileName, Schema, read_file
from lead.core.seeding import derive_seed
from lead.data.packed import open_dataset
from lead.export.motion_file import Motion, read_motion
from lead.export.study import Pair, Study
from lead.generation.loading import ModelRequest, load_named
from lead.generation.motion_model import MotionModel, Sampling
from lead.studies.clips import make_clips
from lead.studies.request import ClipsRequest

INDEX = "index.json"  # of a folder that `lead generate` wrote

ModelOf = Callable[[str], ModelRequest]


class PairsRequest(ClipsRequest):
    """How many pairs are drawn, of the sentences of which clips."""

    pairs: int
    choose: str
    candidates: int


@dataclass(frozen=True)
class Wish:
    """What both systems are asked for."""

    text: str
    seed: int
    seconds: float


@dataclass(frozen=True)
class System:
    """One side of the comparison; ``clips`` are all that it has, None where it makes any."""

    name: str
    clips: dict[tuple[str, int], Motion] | None
    make: Callable[[Sequence[Wish]], list[Motion]]


def draw_study(runs: Sequence[str], request: PairsRequest, model_of: ModelOf) -> Study:
    """The study that the options ask for; RequestError where there are too few sentences.

    ``model_of`` says how a run generates.
    """
    systems = _systems(runs, request, model_of)
    changed = request.choose == "changed"
    wishes = _draw(systems, runs[0], request, request.candidates if changed else request.pairs)
    if len(wishes) < request.pairs + changed:
        raise RequestError(
            f"there are {len(wishes)} different sentences, too few for pairs={request.pairs}"
            f"{' chosen of more' * changed}: ask for fewer pairs"
        )
    sides = [system.make(wishes) for system in systems]
    pairs = [Pair(*motions) for motions in zip(*sides, strict=True)]
    if changed:
        largest = np.argsort([-pair.change for pair in pairs], kind="stable")[: request.pairs]
        pairs = [pairs[place] for place in sorted(largest)]
    names = (systems[0].name, systems[1].name)
    return Study(pairs, names, len(wishes), request.seed)


def _systems(runs: Sequence[str], request: PairsRequest, model_of: ModelOf) -> list[System]:
    if len(runs) == 1:
        if _is_clips(runs[0]):
            raise RequestError(f"{runs[0]} holds clips of one system: name another to compare with")
        model, sampling = _load(request, model_of(runs[0]))
        if not model.can("project"):
            raise RequestError(
                f"{runs[0]} has no projector to be compared with itself without: name two runs"
            )
        return [
            _making(f"{last_name(runs[0])} {how} projector", model, sampling, request, project)
            for how, project in (("without", False), ("with", True))
        ]
    short = [last_name(run) for run in runs]
    names = short if len(set(short)) == 2 else [*map(plain, runs)]
    return [
        _clips(run, name)
        if _is_clips(run)
        else _making(name, *_load(request, model_of(run)), request)
        for run, name in zip(runs, names, strict=True)
    ]


def _is_clips(folder: str) -> bool:
    return (Path(folder) / INDEX).is_file() and not Run(Path(folder)).exists()


class _Clip(Schema):
    files: dict[str, FileName]  # by format


class _Index(Schema):
    """What a study needs of the list of a folder of clips."""

    clips: list[_Clip]


def _clips(folder: str, name: str) -> System:
    """A system whose motions were generated before, by any means."""
    clips: dict[tuple[str, int], Motion] = {}
    found = read_file(_Index, Path(folder) / INDEX, "generate the clips again", error=RequestError)
    for entry in found.clips:
        if "npz" not in entry.files:
            raise RequestError(f"{folder} holds a clip without npz: generate with formats=[npz]")
        motion = read_motion(Path(folder) / entry.files["npz"])
        clips[motion.text, motion.seed] = motion
    return System(name, clips, lambda wishes: [clips[wish.text, wish.seed] for wish in wishes])


def _load(request: PairsRequest, named: ModelRequest) -> tuple[MotionModel, Sampling]:
    """A run's model, and how it draws latents: as asked for, else in its own way."""
    model = load_named(named).to(choose_device(request.device))
    model.check_sampling(named.sampling)
    return model, named.sampling


def _making(
    name: str,
    model: MotionModel,
    sampling: Sampling,
    request: PairsRequest,
    project: bool | None = None,
) -> System:
    """A system that makes what is asked for; with its projector, if it has one, unless told."""
    low, high = model.frame_limits

    def make(wishes: Sequence[Wish]) -> list[Motion]:
        frames = [min(max(round(wish.seconds * model.fps), low), high) for wish in wishes]
        texts, seeds = zip(*((wish.text, wish.seed) for wish in wishes), strict=True)
        size = request.batch_size
        return make_clips(model, texts, frames, seeds, sampling, project, size)

    return System(name, None, make)


def _draw(systems: Sequence[System], run: str, request: PairsRequest, count: int) -> list[Wish]:
    """Up to ``count`` wishes with different sentences, in random order."""
    rng = np.random.default_rng(derive_seed(request.seed, "study", "sentences"))
    kept = [system.clips for system in systems if system.clips is not None]
    if kept:
        both = [key for key in kept[0] if all(key in clips for clips in kept)]
        if not both:
            raise RequestError(
                "the folders have no clip of the same sentence and seed: generate both with the "
                "same prompts and seed"
            )
        everything = [
            Wish(*both[place], kept[0][both[place]].seconds) for place in range(len(both))
        ]
        order = rng.permutation(len(everything))
        return [everything[place] for place in order][:count]
    dataset = open_dataset(request.dataset or Run(Path(run)).default_dataset)
    split = dataset.split(request.split)
    wishes: dict[str, Wish] = {}
    for place in rng.permutation(len(split)).tolist():
        text = str(rng.choice(split.captions[place]))
        seconds = float(split.frames[place]) / dataset.fps
        wishes.setdefault(text, Wish(text, request.seed + place, seconds))
        if len(wishes) == count:
            break
    return [*wishes.values()]
