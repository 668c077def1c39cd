"""Draw docs/images/layout263.png: the 22 joints, and the 263 columns of a walk."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

from lead.data.sources.cmu_open import CmuOpenSource
from lead.representation import features_to_joints, get_skeleton

OUTPUT = Path(__file__).resolve().parents[1] / "docs" / "images" / "layout263.png"
FRAMES = 100
PARTS = (  # first column, name, what it is, colour
    (0, "root", "turn, velocity, height", "#c1440e"),
    (4, "positions", "joints 1-21 x 3", "#2b6cb0"),
    (67, "rotations", "joints 1-21 x 6", "#2f855a"),
    (193, "velocities", "joints 0-21 x 3", "#b7791f"),
    (259, "contacts", "feet on the floor", "#6b46c1"),
)
COLUMNS = 263


def find_clip() -> tuple[np.ndarray, str]:
    """Features of the first walk that is long enough, and its caption."""
    source = CmuOpenSource()
    items = [item for item in source.list_items() if "walk" in item.captions[0].text]
    for item in items:
        (clip,) = source.load([item])
        if len(clip.features) >= FRAMES:
            return clip.features[:FRAMES], item.captions[0].text
    raise SystemExit("none of the clips is a long walk")


def draw_skeleton(axes, joints: np.ndarray) -> None:
    """The figure from the front, each joint with its number."""
    parents = get_skeleton("humanml3d").parents
    for joint, parent in enumerate(parents):
        if parent >= 0:
            axes.plot(*joints[[parent, joint], :2].T, color="#888888", lw=2, zorder=1)
    axes.scatter(joints[:, 0], joints[:, 1], s=130, color="white", edgecolor="#333333", zorder=2)
    for number, (x, y, _) in enumerate(joints):
        axes.text(x, y, number, ha="center", va="center", fontsize=6, zorder=3)
    axes.margins(0.25, 0.08)
    axes.set(aspect="equal")
    axes.set_title("joints 0 - 21, seen from the front", fontsize=10)
    axes.axis("off")


def rest_pose() -> np.ndarray:
    """The reference skeleton, arms a little to the side, and joints that are near drawn apart."""
    skeleton = get_skeleton("humanml3d")
    offsets = skeleton.reference_offsets().numpy().copy()
    for side, sign in (((18, 20), 1), ((19, 21), -1)):
        offsets[list(side)] = offsets[list(side)] @ turn(sign * 0.35)
    offsets[[16, 17]] = [[0.13, 0, 0], [-0.13, 0, 0]]
    offsets[[10, 11]] = [[0.08, -0.1, 0.1], [-0.08, -0.1, 0.1]]
    offsets[[13, 14], 1] += 0.1
    offsets[15, 1] = 0.16
    offsets[[6, 9], 1] += 0.05
    joints = np.zeros((skeleton.joints, 3))
    for chain in skeleton.chains:
        for parent, child in zip(chain, chain[1:], strict=False):
            joints[child] = joints[parent] + offsets[child]
    return joints


def turn(angle: float) -> np.ndarray:
    """A rotation about z, for row vectors."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])


def draw_columns(axes, features: np.ndarray, caption: str) -> None:
    """The clip as a picture, every column scaled to its own range, under a bar of its parts."""
    spread = np.maximum(features.std(0), 1e-6)
    scaled = np.clip((features - features.mean(0)) / spread, -2.5, 2.5)
    axes.imshow(scaled, aspect="auto", cmap="RdBu_r", interpolation="nearest")
    ends = [start for start, *_ in PARTS[1:]] + [COLUMNS]
    for (start, name, what, colour), end in zip(PARTS, ends, strict=True):
        axes.add_patch(
            plt.Rectangle((start - 0.5, -9), end - start, 7, color=colour, clip_on=False, lw=0)
        )
        if start:
            axes.axvline(start - 0.5, color="black", lw=0.8)
        words, numbers = f"{name}: {what}", f"{start} - {end - 1}"
        if end - start > 10:
            middle, style = (start + end - 1) / 2, {"ha": "center", "color": colour}
            axes.text(middle, -24, name, weight="bold", **style)
            axes.text(middle, -18, what, fontsize=8, **style)
            axes.text(middle, -12, numbers, fontsize=8, **style)
        else:  # too narrow to write above it
            side, place = ("left", start - 0.5) if start == 0 else ("right", end - 0.5)
            axes.text(place, -33, f"{words}, {numbers}", ha=side, color=colour, weight="bold")
    axes.set_xticks([start for start, *_ in PARTS if start not in (4, 259)] + [COLUMNS - 1])
    axes.set(xlabel="column", ylabel="frame (20 a second)")
    axes.set_title(f'"{caption}"', style="italic", fontsize=10, pad=86)


def main() -> None:
    """Write the picture."""
    features, caption = find_clip()
    if features_to_joints(features).shape != (FRAMES, 22, 3):
        raise SystemExit("the clip is not one of 22 joints")
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(11, 4.6), width_ratios=(1, 2.6), layout="constrained"
    )
    draw_skeleton(left, rest_pose())
    draw_columns(right, features, caption)
    figure.savefig(OUTPUT, dpi=110)


if __name__ == "__main__":
    main()
