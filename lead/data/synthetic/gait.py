"""Steps along any path: feet planted where the pelvis will pass, swung from print to print.

One planner serves walking, running, stepping aside, walking backward, turning and marching: only
the path of the pelvis and the numbers of the gait differ.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lead.data.synthetic.figure import FIRST_BALL, Figure
from lead.data.synthetic.pose import (
    AZIMUTH,
    FOOT_PITCH,
    FOOT_X,
    FOOT_Y,
    FOOT_YAW,
    FOOT_Z,
    LIFT,
    REACH,
    SPREAD,
    SWIVEL,
    Track,
)
from lead.data.synthetic.timing import bump, ease, frame_times, window

Path = Callable[[np.ndarray], np.ndarray]
"""Progress 0..1 (...) -> x, z, yaw of the pelvis (..., 3); starts at the origin facing +Z."""

LEAD_IN = 0.3  # seconds before the first foot leaves the floor
LEAD_OUT = 0.35  # seconds of settling after the last foot is down


@dataclass(frozen=True)
class Gait:
    """The numbers of a gait; times in units of one step, lengths in metres, angles in radians."""

    step_time: float  # seconds from one lift-off to the next
    swing: float = 0.76  # above 1 both feet are off the floor between steps
    lift: float = 0.07
    lift_forward: float = 0.0  # of the knee: how far a lifted foot is held ahead
    push: float = 0.75  # heel up before and after lift-off, for a stride of a metre
    kick_up: float = 0.0  # more heel up in the swing (running)
    strike: float = 0.35  # toes up at landing, for a stride of a metre
    crouch: float = 0.015  # lower pelvis
    bounce: float = -0.012  # of the pelvis; positive is highest in flight
    sway: float = 0.022  # of the pelvis towards the standing foot
    lean: float = 0.03
    width: float = 1.0  # of the track, relative to standing
    twist: float = 0.16  # of the pelvis, per metre between the feet
    arm_swing: float = 0.65  # radians per metre between the feet
    arm_forward: float = 0.08
    arm_reach: float = 0.95
    accelerate: float = 2.0  # steps to reach full speed


@dataclass(frozen=True)
class _Prints:
    """Footprints of one foot: when it leaves each, when it reaches the next."""

    leave: np.ndarray  # (steps,) seconds
    land: np.ndarray  # (steps,)
    places: np.ndarray  # (steps + 1, 3): x, z, yaw


def steps_along(figure: Figure, gait: Gait, path: Path, steps: int, first: str = "right") -> Track:
    """Walk ``steps`` steps along ``path`` from standing to standing."""
    last_landing = LEAD_IN + (steps - 1 + gait.swing) * gait.step_time
    t = frame_times(last_landing + LEAD_OUT)
    arrive = last_landing + 0.6 * LEAD_OUT
    progress = _progress_curve(arrive, gait.accelerate * gait.step_time)
    track = Track(np.repeat(figure.stand()[None], len(t), axis=0))
    pelvis = path(progress(t))
    active = window(t, 0.0, t[-1], LEAD_IN + gait.step_time)
    order = ("right", "left") if first == "right" else ("left", "right")
    for index, side in enumerate(order):
        prints = _prints(figure, gait, path, progress, range(index, steps, 2), steps, side)
        track[f"{side}_foot"] = _foot(track[f"{side}_foot"], t, gait, prints)
    _move_pelvis(track, t, figure, gait, pelvis, active, 1.0 if first == "right" else -1.0)
    _swing_arms(track, figure, gait, active)
    return track


def _progress_curve(arrive: float, ramp: float) -> Callable[[np.ndarray], np.ndarray]:
    """Share of the path covered over time: speeds up over ``ramp`` seconds, keeps on, slows."""
    start = 0.4 * LEAD_IN
    ramp = min(ramp, 0.5 * (arrive - start))
    fine = np.linspace(0.0, arrive, 400)
    covered = np.cumsum(window(fine, start, arrive, ramp))
    covered = covered / covered[-1]
    return lambda t: np.interp(t, fine, covered)


def _prints(figure, gait, path, progress, mine: range, steps: int, side: str) -> _Prints:
    sign = 1.0 if side == "left" else -1.0
    leave = LEAD_IN + gait.step_time * np.array(mine, dtype=float)
    land = leave + gait.swing * gait.step_time
    middle = leave + gait.step_time * (1 + gait.swing / 2)  # of the stance that follows
    staying = np.array(mine) >= steps - 2
    passing = path(progress(np.where(staying, 1e9, middle)))
    width = np.where(staying, 1.0, gait.width) * figure.stance * sign
    start = path(np.zeros(1))
    passing = np.concatenate([start, passing])
    width = np.concatenate([[sign * figure.stance], width])
    yaw = passing[:, 2]
    x = passing[:, 0] + width * np.cos(yaw) + FIRST_BALL * np.sin(yaw)
    z = passing[:, 1] - width * np.sin(yaw) + FIRST_BALL * np.cos(yaw)
    return _Prints(leave, land, np.stack([x, z, yaw + sign * figure.toes_out], axis=-1))


def _foot(stand: np.ndarray, t: np.ndarray, gait: Gait, prints: _Prints) -> np.ndarray:
    foot = stand.copy()
    if not len(prints.leave):
        return foot
    taken = np.searchsorted(prints.leave, t, side="right")  # lift-offs so far
    step = np.maximum(taken - 1, 0)
    swing_time = gait.swing * gait.step_time
    u = np.where(taken > 0, (t - prints.leave[step]) / swing_time, 0.0)
    before, after = prints.places[step], prints.places[step + 1]
    plain = np.clip(u, 0.0, 1.0)
    smooth = 0.5 * ease(u) + 0.5 * plain**2 * (3 - 2 * plain)  # slower midway than ease alone
    place = before + (after - before) * smooth[:, None]
    stride = after - before
    along = stride[:, 0] * np.sin(after[:, 2]) + stride[:, 1] * np.cos(after[:, 2])
    hill = bump(u)
    foot[:, FOOT_X] = place[:, 0] + gait.lift_forward * hill * np.sin(place[:, 2])
    foot[:, FOOT_Z] = place[:, 1] + gait.lift_forward * hill * np.cos(place[:, 2])
    foot[:, FOOT_Y] = gait.lift * hill
    foot[:, FOOT_YAW] = place[:, 2]
    foot[:, FOOT_PITCH] = _foot_pitch(t, gait, prints, u, step, taken, along)
    return foot


def _foot_pitch(t, gait: Gait, prints: _Prints, u, step, taken, along) -> np.ndarray:
    """Heel up around lift-off, toes up around landing, each in proportion to the stride."""
    swing_time = gait.swing * gait.step_time
    coming = np.minimum(taken, len(prints.leave) - 1)
    next_stride = np.linalg.norm(np.diff(prints.places[:, :2], axis=0), axis=-1)
    push = gait.push * np.minimum(next_stride, 1.2)
    pushing_time = 0.5 * gait.step_time
    until = prints.leave[coming] - t
    before = push[coming] * np.where(until > 0, ease(1 - until / pushing_time), 0.0)
    swinging = taken > 0
    after = np.where(swinging, push[step] * (1 - ease(u / 0.75)), 0.0)
    kick = gait.kick_up * np.minimum(next_stride, 1.2)[step] * bump(u / 0.8)
    strike = gait.strike * np.clip(along, 0.0, 1.0)
    settled = ease((t - prints.leave[step] - swing_time) / (0.3 * gait.step_time))
    toes_up = strike * ease((u - 0.5) / 0.5) * (1 - settled)
    return before + np.where(swinging, after + kick - toes_up, 0.0)


def _move_pelvis(track, t, figure: Figure, gait: Gait, pelvis, active, first: float) -> None:
    """``first`` is 1 where the right foot swings first, so that the body leans left at first."""
    steps = (t - LEAD_IN) / gait.step_time
    airborne = np.cos(2 * np.pi * (steps - (gait.swing - 1) / 2))
    side = first * np.cos(np.pi * (steps - gait.swing / 2)) * gait.sway * figure.sway * active
    yaw = pelvis[:, 2]
    track["x"] = pelvis[:, 0] + side * np.cos(yaw)
    track["z"] = pelvis[:, 1] - side * np.sin(yaw)
    track["yaw"] = yaw
    height = gait.bounce * figure.bounce * airborne - gait.crouch
    track["y"] = track["y"] + active * height
    track["pitch"] = track["pitch"] + 0.4 * gait.lean * active
    track["spine_pitch"] = track["spine_pitch"] + 0.6 * gait.lean * active
    track["roll"] = track["roll"] + 0.9 * side
    track["spine_roll"] = track["spine_roll"] - 1.1 * side
    turning = np.gradient(yaw, t)
    track["head_yaw"] = np.clip(0.3 * turning, -0.6, 0.6)
    track["spine_twist"] = np.clip(0.1 * turning, -0.25, 0.25)


def _swing_arms(track: Track, figure: Figure, gait: Gait, active: np.ndarray) -> None:
    """Arms swing against the legs, by as much as the feet are apart along the way they face."""
    yaw = track["yaw"]
    apart = track["left_foot"] - track["right_foot"]
    ahead = apart[:, FOOT_X] * np.sin(yaw) + apart[:, FOOT_Z] * np.cos(yaw)
    ahead = np.clip(ahead, -1.0, 1.0)
    track["twist"] = track["twist"] - gait.twist * ahead
    track["spine_twist"] = track["spine_twist"] + 2 * gait.twist * ahead
    for sign, name in ((-1.0, "left_arm"), (1.0, "right_arm")):
        swing = sign * gait.arm_swing * figure.arm_swing * ahead
        arm = track[name]
        arm[:, LIFT] += swing + gait.arm_forward * active
        arm[:, REACH] += (gait.arm_reach - figure.arm_reach) * active
        arm[:, REACH] -= 0.10 * np.maximum(swing, 0)
        arm[:, AZIMUTH] += 0.25 * np.maximum(swing, 0)
        arm[:, SWIVEL] -= 0.3 * active * max(0.0, 0.94 - gait.arm_reach)
        arm[:, SPREAD] += 0.02 * active
