"""The page of a user study and the key that says which side is which system."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np

from lead.core.errors import RequestError
from lead.core.files import atomic_path, content_hash, write_json
from lead.core.seeding import derive_seed
from lead.export.motion_file import Motion
from lead.export.player.page import Additions, clip_figure, player_page

SCHEMA = 1
PAGE, KEY = "study.html", "key.json"
_SIDES = ("left", "right")


@dataclass(frozen=True)
class Pair:
    """A motion of each system for the same sentence."""

    first: Motion
    second: Motion

    @property
    def change(self) -> float:
        """Mean distance of the joints over the frames that both have, in metres."""
        frames = min(self.first.frames, self.second.frames)
        apart = self.first.joints[:frames] - self.second.joints[:frames]
        return float(np.linalg.norm(apart, axis=-1).mean())


@dataclass(frozen=True)
class Study:
    """What is compared: pairs, the names of the two systems, and how the pairs came about.

    ``candidates`` is how many pairs were drawn at random; where it is more than there are pairs,
    those that changed most were chosen, and the page says so.
    """

    pairs: Sequence[Pair]
    systems: tuple[str, str]
    candidates: int
    seed: int

    @property
    def choice(self) -> str:
        """How the clips were chosen, as participants and readers are told."""
        shown = len(self.pairs)
        if self.candidates == shown:
            return "The pairs were drawn at random; none was picked by hand."
        return (
            f"These pairs are not typical: {self.candidates} were drawn at random, and the {shown} "
            "whose two movements differ most from each other were chosen."
        )


def write_study(folder: Path | str, study: Study) -> None:
    """Write ``study.html``, which gives nothing away, and ``key.json``, which is to be kept.

    Each system is on the left in half of the pairs (give or take one), drawn by the seed. Raises
    RequestError where there is no pair, the systems have one name, or a pair has two skeletons.
    """
    _check(study)
    first_is_left = _sides(len(study.pairs), study.seed)
    shown = [
        (pair.first, pair.second) if first else (pair.second, pair.first)
        for pair, first in zip(study.pairs, first_is_left, strict=True)
    ]
    names = [f"p{number + 1:02d}" for number in range(len(shown))]
    name = content_hash(*(motion.joints.tobytes() for sides in shown for motion in sides))[:12]
    page = _page(study, name, names, shown)
    with atomic_path(Path(folder) / PAGE) as temporary:
        temporary.write_text(page, encoding="utf-8")
    write_json(Path(folder) / KEY, _key(study, name, names, first_is_left))


def _check(study: Study) -> None:
    if not study.pairs:
        raise RequestError("a study needs at least one pair of motions")
    if study.systems[0] == study.systems[1]:
        raise RequestError(f"both systems are called '{study.systems[0]}': give them two names")
    for number, pair in enumerate(study.pairs, start=1):
        kinds = {pair.first.skeleton, pair.second.skeleton}
        if len(kinds) > 1:
            raise RequestError(
                f"pair {number} has skeletons {' and '.join(sorted(kinds))}, which anyone can tell "
                "apart: compare motions of one skeleton"
            )


def _sides(count: int, seed: int) -> list[bool]:
    """For each pair whether the first system is on the left."""
    rng = np.random.default_rng(derive_seed(seed, "study", "sides"))
    lefts = count // 2 + int(rng.integers(2)) * (count % 2)
    return [bool(place < lefts) for place in rng.permutation(count)]


def _page(study: Study, name: str, names: Sequence[str], shown: Sequence[tuple]) -> str:
    motions = [motion for sides in shown for motion in sides]
    values = {"COUNT": str(len(shown)), "CHOICE": escape(study.choice)}
    above = re.sub(r"\{\{([A-Z]+)\}\}", lambda mark: values[mark[1]], _asset("above.html"))
    pairs = [
        {"pair": pair, "text": sides[0].text} for pair, sides in zip(names, shown, strict=True)
    ]
    additions = Additions(
        above=above,
        below=_asset("below.html"),
        style=_asset("study.css"),
        program=_asset("study.js"),
        data={"study": {"id": name, "pairs": pairs}},
    )
    figures = [clip_figure(f"moving figure, {side}", side, "") for _ in shown for side in _SIDES]
    return player_page(motions, figures, "How do these movements look?", 2, additions)


def _key(study: Study, name: str, names: Sequence[str], first_is_left: Sequence[bool]) -> dict:
    pairs = [
        {
            "pair": pair,
            "text": motions.first.text,
            "seed": motions.first.seed,
            "seconds": round(motions.first.seconds, 3),
            "change": round(motions.change, 4),
            "left": study.systems[0 if first else 1],
            "right": study.systems[1 if first else 0],
        }
        for pair, motions, first in zip(names, study.pairs, first_is_left, strict=True)
    ]
    return {
        "schema": SCHEMA,
        "study": name,
        "systems": [*study.systems],
        "choice": study.choice,
        "candidates": study.candidates,
        "seed": study.seed,
        "pairs": pairs,
    }


def _asset(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")
