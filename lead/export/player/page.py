"""The page: template, styles and programs of this folder, with the motions as quantised joints."""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, field
from html import escape
from math import ceil, log2, sqrt
from pathlib import Path

import numpy as np

from lead.core.errors import RequestError
from lead.core.files import atomic_path
from lead.export.motion_file import Motion
from lead.export.player.solids import solids_of
from lead.representation import get_skeleton

STEP = 0.001  # m; joints are stored as whole numbers of it, doubled where a clip goes too far
_LEG = ("hip", "knee", "ankle")
PROGRAMS = ("scene.js", "player.js")  # of the page, in this order


@dataclass(frozen=True)
class Additions:
    """What a page has besides the player: HTML around the clips, a style, a program and its data.

    The program stands behind the player's and sees its functions; ``data`` is merged into the
    page's JSON. All HTML has to be escaped already.
    """

    above: str = ""
    below: str = ""
    style: str = ""
    program: str = ""
    data: Mapping[str, object] = field(default_factory=dict)


def write_player(path: Path | str, motions: Sequence[Motion]) -> None:
    """Write one HTML file that plays all ``motions`` side by side, atomically.

    It needs no network and no other file. Ten seconds of motion take about 35 kB; joints are
    rounded to a millimetre (coarser for a clip that goes further than 32 m). Raises RequestError
    where there is no motion.
    """
    if not motions:
        raise RequestError("a player needs at least one motion")
    title = motions[0].text if len(motions) == 1 else f"{len(motions)} motions"
    page = player_page(motions, [*map(_figure, motions)], title, _columns(len(motions)))
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def player_page(
    motions: Sequence[Motion],
    figures: Sequence[str],
    title: str,
    columns: int,
    additions: Additions | None = None,
) -> str:
    """The page's source: ``figures`` are the HTML of the clips, by ``clip_figure``."""
    more = additions or Additions()
    names = sorted({motion.skeleton for motion in motions})
    data = {
        "skeletons": {name: _skeleton(name) for name in names},
        "clips": [_clip(motion) for motion in motions],
        **more.data,
    }
    values = {
        "TITLE": escape(title),
        "STYLE": _asset("player.css") + more.style,
        "COLUMNS": str(columns),
        "ABOVE": more.above,
        "CLIPS": "\n".join(figures),
        "BELOW": more.below,
        "DATA": json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"),
        "PROGRAM": "\n".join([*map(_asset, PROGRAMS), more.program]),
    }
    return re.sub(r"\{\{([A-Z]+)\}\}", lambda mark: values[mark[1]], _asset("page.html"))


def clip_figure(name: str, caption: str, facts: str) -> str:
    """The HTML of one clip: ``name`` says to a screen reader what is shown."""
    name, caption, facts = map(escape, (name, caption, facts))
    return (
        f'<figure class="clip"><div class="view" role="img" aria-label="{name}">'
        f'</div><figcaption><i class="swatch"></i><span title="{caption}">{caption}</span>'
        f"<small>{facts}</small></figcaption></figure>"
    )


def _asset(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _columns(clips: int) -> int:
    """How many clips stand side by side on a wide screen."""
    return clips if clips <= 3 else min(4, ceil(sqrt(clips)))


def _figure(motion: Motion) -> str:
    made = "recorded" if "recorded" in motion.provenance else f"seed {motion.seed}"
    facts = f"{made} · {motion.seconds:.1f} s"
    return clip_figure(f"moving figure: {motion.text}", motion.text, facts)


def _skeleton(name: str) -> dict:
    """What the page has to know of a skeleton; lengths in leg lengths."""
    skeleton = get_skeleton(name)
    return {
        "joints": skeleton.joints,
        "solids": [list(astuple(solid)) for solid in solids_of(skeleton)],
    }


def _clip(motion: Motion) -> dict:
    farthest = max(float(np.abs(motion.joints).max()), STEP)
    step = STEP * 2.0 ** max(0, ceil(log2(farthest / STEP / np.iinfo(np.int16).max)))
    whole = np.round(motion.joints.astype(np.float64) / step).astype("<i2")
    names = get_skeleton(motion.skeleton).joint_names
    legs = [[names.index(f"{side}_{part}") for part in _LEG] for side in ("left", "right")]
    bones = np.linalg.norm(np.diff(motion.joints[:, legs], axis=2), axis=-1)
    return {
        "skeleton": motion.skeleton,
        "fps": motion.fps,
        "frames": motion.frames,
        "leg": round(float(np.median(bones.sum(axis=2))), 4),  # metres, over frames and legs
        "step": step,
        "joints": base64.b64encode(whole.tobytes()).decode("ascii"),
    }
