"""What a clip will show, drawn from its name and the seed alone, before anything moves."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lead.core.errors import RequestError, did_you_mean
from lead.core.seeding import derive_seed
from lead.data.synthetic.action import Action
from lead.data.synthetic.catalogue import ACTIONS
from lead.data.synthetic.figure import Manner

THEN, WHILE = "then", "while"
_TEMPO = {"slowly": 0.68, "": 1.0, "quickly": 1.42}
_SPEED_SHARES = {"slowly": 0.25, "": 0.5, "quickly": 0.25}
_FREQUENT = ("walk", "walk", "walk_backward", "run", "turn", "jump", "kick", "punch", "wave")
_SEQUENCES, _SIMULTANEOUS = 20, 10  # clips of two actions in a cycle through the catalogue


@dataclass(frozen=True)
class Act:
    """One action and its manner."""

    action: Action
    manner: Manner


@dataclass(frozen=True)
class Script:
    """One act, or two acts joined by "then" or "while"."""

    acts: tuple[Act, ...]
    joined: str = ""

    def labels(self) -> dict[str, str]:
        """Action names (joined as in the clip's name), and side and speed of the first."""
        names = f"_{self.joined}_".join(act.action.name for act in self.acts)
        manner = self.acts[0].manner
        return {
            "action": names,
            "variant": manner.variant,
            "side": manner.side,
            "speed": manner.speed or "normal",
            "count": str(manner.count),
        }


def generator(seed: int, *purpose: object) -> np.random.Generator:
    """A NumPy generator for one purpose of one clip."""
    return np.random.default_rng(derive_seed(seed, "synthetic", *purpose))


def clip_ids(clips: int, seed: int) -> list[str]:
    """Names of ``clips`` clips, such as ``walk-000012`` or ``walk_then_wave-000013``.

    Each cycle shows every action once or more in random order, so that any stretch is balanced,
    and the first names do not depend on how many follow.
    """
    ids: list[str] = []
    cycle = 0
    while len(ids) < clips:
        rng = generator(seed, "names", cycle)
        names = [*ACTIONS, *_FREQUENT]
        names += [_pair(rng, THEN) for _ in range(_SEQUENCES)]
        names += [_pair(rng, WHILE) for _ in range(_SIMULTANEOUS)]
        ids += [f"{names[i]}-{len(ids) + k:06d}" for k, i in enumerate(rng.permutation(len(names)))]
        cycle += 1
    return ids[:clips]


def _pair(rng: np.random.Generator, joined: str) -> str:
    if joined == WHILE:
        firsts = [a.name for a in ACTIONS.values() if a.role == "gait"]
        seconds = [a.name for a in ACTIONS.values() if a.role == "gesture"]
    else:
        firsts = [a.name for a in ACTIONS.values() if a.ends_standing and a.name != "stand_still"]
        seconds = [a.name for a in ACTIONS.values() if a.starts_standing]
    first = str(rng.choice(firsts))
    return f"{first}_{joined}_{rng.choice([name for name in seconds if name != first])}"


def plan(clip_id: str, seed: int) -> Script:
    """The script of a clip. Raises RequestError where the name holds an unknown action."""
    name, _, _ = clip_id.rpartition("-")
    joined = next((word for word in (THEN, WHILE) if f"_{word}_" in name), "")
    names = name.split(f"_{joined}_") if joined else [name]
    for part in names:
        if part not in ACTIONS:
            raise RequestError(
                f"no action '{part}' (clip {clip_id}): {did_you_mean(part, ACTIONS)}"
            )
    rng = generator(seed, "script", clip_id)
    acts = tuple(Act(ACTIONS[part], _draw_manner(rng, ACTIONS[part], joined)) for part in names)
    return Script(acts, joined)


def _draw_manner(rng: np.random.Generator, action: Action, joined: str) -> Manner:
    variant = str(rng.choice(list(action.phrases)))
    sided = action.sided and variant not in action.unsided
    speed = _weighted(rng, action.speeds, [_SPEED_SHARES[name] for name in action.speeds])
    if joined == WHILE:
        speed = ""
    counts = action.counts if not joined else action.counts[:2]
    shortest, longest = action.seconds
    if joined:
        longest = min(longest, shortest + 1.5)
    return Manner(
        variant=variant,
        speed=speed,
        side=str(rng.choice(["left", "right"])) if sided else "",
        count=int(_weighted(rng, counts, [(place + 1) ** -0.6 for place in range(len(counts))])),
        tempo=_TEMPO[speed] * rng.uniform(0.92, 1.08),
        size=rng.uniform(0.9, 1.12),
        seconds=rng.uniform(shortest, longest),
    )


def _weighted(rng: np.random.Generator, values: Sequence, weights: Sequence[float]):
    shares = np.asarray(weights, dtype=float)
    return values[int(rng.choice(len(values), p=shares / shares.sum()))]
