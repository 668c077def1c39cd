"""Feet that stand still: a clean-up of foot skate for clips to be shown, never for clips measured.

Generated feet slide in two ways: the root travels further than the legs step, and a standing foot
drifts a little. The first is mended in the root's path, the second by moving the ankle and bending
the knee. Bones keep the length that they have in each frame.

Lengths and speeds are for legs of 0.82 m and scale with a figure's legs. Contacts are found in the
joints alone, so that any clip can be cleaned.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from lead.core.errors import RequestError
from lead.representation.legs import STRETCH, bend_leg, leg_length, legs_of, missing_reach
from lead.representation.skeletons import Skeleton, get_skeleton

LEG = 0.82  # m; hip to ankle of the figure that the numbers below are for
LOW = (0.04, 0.03)  # m; a toe, a heel below may stand; heights are above their usual lowest
HIGH = (0.06, 0.05)  # m; a toe, a heel above does not stand
STILL, MOVING = 0.2, 0.3  # m/s; a foot below the first stands, and on until it passes the second
LIFTING = 0.3  # m/s; a foot that moves up or down as fast says little about sliding
SLIP = 0.2  # m/s; of low feet and moments the slowest one stands, if they differ by about as much
STOPPED = 0.5  # m/s; what still slides as fast after the first rounds is taken not to stand
STEP = 0.25  # s; how far around a moment the slowest one is looked for
QUIET = 0.15  # m/s; slower slides are left to the legs: real feet roll and turn as much
PULL = 0.02  # of the root towards the path it had, where 1 is that of a standing foot
EASE = 0.2  # s; over which the correction of the root's speed is smoothed
ROUNDS = (3, 5)  # of finding what stands and how the root slides: by comparison, then for sure
SHORTEST = 0.15  # s; a shorter stop of a foot is no step
USUAL = 5.0  # per cent of frames in which a foot is lower than its usual lowest
DROP = 0.05  # m; the root is lowered by no more than that to let a leg reach
DROP_EASE = 0.3  # s; over which the root is lowered and rises again

Points = Float[np.ndarray, "frames 2 2 3"]  # left and right: toe, heel (the ankle joint)


@dataclass(frozen=True)
class FootReport:
    """By how much a clean-up changed a clip."""

    mean_change: float  # distance of joints from where they were, mean over joints and frames, mm
    max_change: float  # the largest such distance, mm
    root_change: float  # distance of the root's last place from where it was, mm
    standing: float  # share of frames x feet that were found to stand


def clean_feet(
    joints: np.ndarray, fps: float | int, skeleton: str = "humanml3d"
) -> tuple[np.ndarray, FootReport]:
    """Stop feet from sliding: joints (frames, J, 3) in metres, y up -> the same, and a report.

    The slide of the standing foot is taken out of the root's path (smooth least squares); then
    each foot is held where it stands on average, on its toe or heel, and blended in between. Knees
    follow by two-bone inverse kinematics; the pelvis comes down where a leg cannot reach. Feet keep
    their height and orientation. A figure that glides without a step comes to stand on the spot,
    which the report shows. Raises RequestError for a wrong shape, value or rate.
    """
    shape = get_skeleton(skeleton)
    before = _checked(joints, fps, shape)
    if len(before) < 3:
        return np.array(joints), FootReport(0.0, 0.0, 0.0, 0.0)
    legs = legs_of(shape)
    unit = max(leg_length(before, legs), 1e-3) / LEG
    after = before / unit
    feet = [[leg.toe, leg.ankle] for leg in legs]
    after = after + root_correction(after[:, feet], fps)[:, None]
    stands = standing(after[:, feet], fps)
    shifts = [_holding_shift(after[:, feet[side]], stands[:, side]) for side in (0, 1)]
    after = _with_feet_shifted(after, shifts, legs, fps) * unit
    change = np.linalg.norm(after - before, axis=-1) * 1000
    report = FootReport(
        mean_change=float(change.mean()),
        max_change=float(change.max()),
        root_change=float(change[-1, 0]),
        standing=float(stands.any(axis=2).mean()),
    )
    return after.astype(joints.dtype), report


def root_correction(points: Points, fps: float | int) -> Float[np.ndarray, "frames 3"]:
    """How far the root has to move along the floor for standing feet to stay, zero in frame 0.

    Minimises sum_c w_c |s_c + v|^2 + PULL |v|^2 + |EASE dv/dt|^2 over the root's added velocity v,
    where s_c is the velocity of a toe or heel. The weights w_c favour what is low and not lifting,
    and of these, anew in each round, what moves least within a step; in the last rounds only what
    comes to stand counts, so that feet which never stand do not move the root. Speeds of v below
    QUIET are dropped, larger ones kept nearly whole.
    """
    from scipy.ndimage import minimum_filter1d

    step = np.diff(points, axis=0) * fps
    heights = _heights(points)
    low = np.clip((np.array(HIGH) - heights) / np.subtract(HIGH, LOW), 0.0, 1.0)
    low = np.minimum(low[1:], low[:-1]) * np.exp(-((step[..., 1] / LIFTING) ** 2))
    low, slide = low.reshape(len(low), 4), step[..., ::2].reshape(len(low), 4, 2)
    velocity = np.zeros((len(slide), 2))
    for number in range(sum(ROUNDS)):
        left = ((slide + velocity[:, None]) ** 2).sum(-1)
        least = np.where(low > 0.1, left, np.inf).min(axis=1, keepdims=True)
        least = minimum_filter1d(least, 2 * round(STEP * fps) + 1, axis=0, mode="nearest")
        weight = low * np.exp(-np.maximum(left - least, 0.0) / SLIP**2)
        if number >= ROUNDS[0]:
            weight *= np.exp(-left / STOPPED**2)
        velocity = _smooth_fit(-slide, weight, (EASE * fps) ** 2)
    speed = np.linalg.norm(velocity, axis=1, keepdims=True)
    velocity *= np.maximum(1 - (QUIET / np.maximum(speed, QUIET)) ** 2, 0.0)
    path = np.zeros((len(points), 3))
    path[1:, ::2] = np.cumsum(velocity, axis=0) / fps
    return path


def standing(points: Points, fps: float | int) -> Bool[np.ndarray, "steps 2 2"]:
    """Which toe and heel stands from each frame to the next, (left and right; toe, heel).

    A stand has low height and speed throughout, and somewhere very low ones (hysteresis); with
    gaps in between, heel and toe of a foot have to stand for SHORTEST together.
    """
    heights = _heights(points)
    heights = np.maximum(heights[1:], heights[:-1])
    speed = np.linalg.norm(np.diff(points[..., ::2], axis=0), axis=-1) * fps
    may = (heights < np.array(HIGH)) & (speed < MOVING)
    does = (heights < np.array(LOW)) & (speed < STILL)
    found = np.zeros_like(may)
    for side in (0, 1):
        for kind in (0, 1):
            for start, stop in _runs(may[:, side, kind]):
                found[start:stop, side, kind] = does[start:stop, side, kind].any()
        for start, stop in _runs(found[:, side].any(axis=1)):
            if stop - start < SHORTEST * fps:
                found[start:stop, side] = False
    return found


def _checked(joints: np.ndarray, fps: float | int, skeleton: Skeleton) -> np.ndarray:
    joints = np.asarray(joints)
    if joints.ndim != 3 or joints.shape[1:] != (skeleton.joints, 3) or not len(joints):
        raise RequestError(
            f"joints must be (frames, {skeleton.joints}, 3) for skeleton '{skeleton.name}', "
            f"got {joints.shape}"
        )
    if joints.dtype.kind != "f" or not np.isfinite(joints).all():
        raise RequestError("joints must be finite floating point numbers")
    if not (np.isfinite(fps) and fps > 0):
        raise RequestError(f"fps must be a positive number, got {fps}")
    return joints.astype(np.float64)


def _heights(points: Points) -> Float[np.ndarray, "frames 2 2"]:
    """Of toes and heels above the usual lowest of either foot."""
    heights = points[..., 1]
    return heights - np.percentile(heights.min(axis=1), USUAL, axis=0)


def _runs(mask: Bool[np.ndarray, " steps"]) -> list[tuple[int, int]]:
    """(start, stop) of each stretch of true values."""
    edges = np.flatnonzero(np.diff(mask.astype(np.int8), prepend=0, append=0))
    return [(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]


def _smooth_fit(
    values: Float[np.ndarray, "steps points 2"],
    weights: Float[np.ndarray, "steps points"],
    stiffness: float,
) -> Float[np.ndarray, "steps 2"]:
    """The smooth course closest to weighted values, and to zero with weight PULL."""
    from scipy.linalg import solveh_banded

    bands = np.zeros((2, len(values)))
    bands[1] = weights.sum(axis=1) + PULL
    bands[1, 1:] += stiffness
    bands[1, :-1] += stiffness
    bands[0, 1:] = -stiffness
    return solveh_banded(bands, (weights[..., None] * values).sum(axis=1))


def _holding_shift(
    foot: Float[np.ndarray, "frames 2 3"], stands: Bool[np.ndarray, "steps 2"]
) -> Float[np.ndarray, "frames 3"]:
    """Shift of one foot along the floor that holds it while it stands.

    A foot rolls from heel to toe, so the shift adds up the steps of whichever stands, first the
    toe. It is zero on average over each stand and passes smoothly from one to the next.
    """
    from scipy.interpolate import PchipInterpolator

    step = np.diff(foot, axis=0) * np.array([1.0, 0.0, 1.0])
    step = np.where(stands[:, :1], step[:, 0], step[:, 1])
    shift = np.zeros((len(foot), 3))
    held = []
    for start, stop in _runs(stands.any(axis=1)):
        shift[start + 1 : stop + 1] = -np.cumsum(step[start:stop], axis=0)
        shift[start : stop + 1] -= shift[start : stop + 1].mean(axis=0)
        held.extend(range(start, stop + 1))
    if not held:
        return shift
    between = np.clip(np.arange(len(foot)), held[0], held[-1])
    return PchipInterpolator(held, shift[held])(between)


def _with_feet_shifted(
    joints: Float[np.ndarray, "frames joints 3"],
    shifts: list[Float[np.ndarray, "frames 3"]],
    legs: tuple,
    fps: float | int,
) -> Float[np.ndarray, "frames joints 3"]:
    """The figure with each foot moved, knees bent to match, and lowered where it must be."""
    from scipy.ndimage import maximum_filter1d, uniform_filter1d

    hips = [joints[:, leg.hip] for leg in legs]
    bones = [joints[:, [leg.hip, leg.knee, leg.ankle]] for leg in legs]
    reach = [
        np.maximum(
            STRETCH * np.linalg.norm(np.diff(bone, axis=1), axis=-1).sum(axis=1),
            np.linalg.norm(bone[:, 2] - bone[:, 0], axis=-1),
        )
        for bone in bones
    ]
    missing = [
        missing_reach(hip, bone[:, 2] + shift, longest)
        for hip, bone, shift, longest in zip(hips, bones, shifts, reach, strict=True)
    ]
    window = 2 * round(DROP_EASE * fps / 2) + 1
    drop = np.minimum(np.max(missing, axis=0), DROP)
    drop = uniform_filter1d(maximum_filter1d(drop, window, mode="nearest"), window, mode="nearest")
    moved = joints - drop[:, None, None] * np.array([0.0, 1.0, 0.0])
    for leg, bone, shift in zip(legs, bones, shifts, strict=True):
        knee, ankle = bend_leg(
            *(bone[:, place] for place in range(3)),
            new_hip=moved[:, leg.hip],
            target=bone[:, 2] + shift,
            forward=joints[:, leg.toe] - bone[:, 2],
        )
        moved[:, leg.knee], moved[:, leg.ankle] = knee, ankle
        moved[:, leg.foot] = joints[:, leg.foot] + (ankle - bone[:, 2])[:, None]
    return moved
