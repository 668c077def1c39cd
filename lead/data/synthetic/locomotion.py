"""Actions that travel or step: walking, running, turning, stepping, marching."""

from dataclasses import replace

import numpy as np

from lead.data.synthetic.figure import Figure, Manner
from lead.data.synthetic.gait import Gait, Path, steps_along
from lead.data.synthetic.pose import AZIMUTH, LIFT, REACH, SPREAD, SWIVEL, Track
from lead.data.synthetic.timing import FPS, window

_WALK_SPEED = 1.15  # metres a second
_RUN_SPEED = 2.7


def _walking(tempo: float) -> tuple[Gait, float]:
    """Gait and metres a second: cadence and stride share a change of tempo."""
    gait = Gait(step_time=0.54 * tempo**-0.45, lean=0.03 + 0.05 * max(tempo - 1, 0))
    return gait, _WALK_SPEED * tempo


def _running(tempo: float) -> tuple[Gait, float]:
    gait = Gait(
        step_time=0.37 * tempo**-0.3,
        swing=1.28,
        lift=0.13,
        push=0.75,
        kick_up=0.7,
        strike=0.1,
        crouch=0.04,
        bounce=0.03,
        sway=0.008,
        lean=0.2 + 0.1 * max(tempo - 1, 0),
        width=0.6,
        twist=0.08,
        arm_swing=0.75,
        arm_forward=0.62,
        arm_reach=0.74,
        accelerate=3.0,
    )
    return gait, _RUN_SPEED * tempo**0.8


def _travel(
    figure: Figure, manner: Manner, rng: np.random.Generator, pace: tuple[Gait, float], path=None
) -> Track:
    """Go on for ``manner.seconds`` along ``path`` (of progress and metres), straight by default."""
    gait, speed = pace
    steps = max(3, round((manner.seconds - 0.5) / gait.step_time))
    metres = figure.stride * speed * gait.step_time * (steps - 0.4 * gait.accelerate)
    first = "left" if rng.random() < 0.5 else "right"
    return steps_along(figure, gait, (path or _straight)(metres), steps, first)


def _straight(metres: float) -> Path:
    return lambda u: np.stack([0 * u, metres * u, 0 * u], axis=-1)


def _arc(metres: float, angle: float) -> Path:
    """Circular arc that turns by ``angle`` radians in all (positive: left)."""
    radius = metres / angle

    def path(u):
        yaw = angle * u
        return np.stack([radius * (1 - np.cos(yaw)), radius * np.sin(yaw), yaw], axis=-1)

    return path


def _corner(metres: float, angle: float, where: float, sharpness: float) -> Path:
    """Straight, then a turn by ``angle`` around the share ``where`` of the way, then straight."""
    fine = np.linspace(0.0, 1.0, 300)
    yaw = angle / (1 + np.exp(-sharpness * (fine - where)))
    yaw -= yaw[0]
    yaw *= angle / yaw[-1]
    step = metres / (len(fine) - 1)
    x = np.concatenate([[0], np.cumsum(np.sin(yaw[:-1]))]) * step
    z = np.concatenate([[0], np.cumsum(np.cos(yaw[:-1]))]) * step
    return lambda u: np.stack([np.interp(u, fine, line) for line in (x, z, yaw)], axis=-1)


def _weave(metres: float, turns: float) -> Path:
    """Curves to alternate sides around a straight line."""
    fine = np.linspace(0.0, 1.0, 300)
    yaw = 0.75 * np.sin(2 * np.pi * turns * fine) * np.minimum(1, 8 * np.minimum(fine, 1 - fine))
    step = metres / (len(fine) - 1)
    x, z = np.cumsum(np.sin(yaw)) * step, np.cumsum(np.cos(yaw)) * step
    x, z = x - x[0], z - z[0]
    return lambda u: np.stack([np.interp(u, fine, line) for line in (x, z, yaw)], axis=-1)


def walk(figure: Figure, manner: Manner, rng: np.random.Generator) -> Track:
    """Straight ahead, plainly or in the style that the variant names."""
    gait, speed = _walking(manner.tempo)
    if manner.variant == "crouched":
        gait = replace(gait, crouch=0.17, lean=0.45, bounce=0.0, push=0.4, arm_swing=0.4)
        speed *= 0.75
    if manner.variant == "high_knees":
        gait = replace(gait, lift=0.28, lift_forward=0.16, push=0.5, strike=0.0)
        speed *= 0.7
    if manner.variant == "march":
        gait = replace(gait, lift=0.17, lift_forward=0.05, arm_swing=1.15, lean=0.0)
    track = _travel(figure, manner, rng, (gait, speed))
    if manner.variant in _HELD_ARMS:
        _hold_arms(track, manner.variant)
    return track


_HELD_ARMS = {
    "arms_out": (0.0, 0.1, 0.97, 0.3, 0.0),
    "arms_ahead": (-0.03, 1.5, 0.95, 0.4, 0.0),
    "hands_up": (1.25, 0.6, 0.94, 0.0, 0.0),
}


def _hold_arms(track: Track, name: str) -> None:
    t = np.arange(len(track)) / FPS
    held = window(t, 0.0, t[-1], 0.7)[:, None]
    for arm in ("left_arm", "right_arm"):
        wobble = 0.15 * (track[arm] - track[arm].mean(0)) * [1, 1, 0, 0, 0]
        track[arm] = track[arm] * (1 - held) + (np.array(_HELD_ARMS[name]) + wobble) * held


def walk_backward(figure: Figure, manner: Manner, rng: np.random.Generator) -> Track:
    """Straight back, with short steps."""
    gait, speed = _walking(0.8 * manner.tempo)
    gait = replace(gait, strike=0.0, push=0.35, lean=-0.02, lift=0.08, arm_swing=0.5)
    return _travel(figure, manner, rng, (gait, -0.75 * speed))


def run(figure: Figure, manner: Manner, rng: np.random.Generator) -> Track:
    """Straight ahead, with both feet off the floor between steps."""
    return _travel(figure, manner, rng, _running(manner.tempo))


def walk_in_circle(figure: Figure, manner: Manner, rng: np.random.Generator) -> Track:
    """Clockwise (a right turn), seen from above."""
    gait, speed = _walking(manner.tempo)
    speed *= 0.95
    radius = rng.uniform(0.75, 1.0) * min(1.0, speed)
    seconds = 2 * np.pi * radius / speed + 1.2
    return _travel(
        figure,
        replace(manner, seconds=seconds),
        rng,
        (gait, speed),
        lambda metres: _arc(metres, -2 * np.pi),
    )


def run_in_circle(figure: Figure, manner: Manner, rng: np.random.Generator) -> Track:
    """Clockwise, once around."""
    gait, speed = _running(0.75 * manner.tempo)
    seconds = 2 * np.pi * rng.uniform(1.3, 1.7) / speed + 1.3
    return _travel(
        figure,
        replace(manner, seconds=seconds),
        rng,
        (gait, speed),
        lambda metres: _arc(metres, -2 * np.pi),
    )


def veer(figure: Figure, manner: Manner, rng: np.random.Generator) -> Track:
    """Along a gentle arc to the right."""
    angle = -rng.uniform(0.9, 1.7)
    pace = _walking(manner.tempo)
    return _travel(figure, manner, rng, pace, lambda metres: _arc(metres, angle))


def walk_and_turn(figure: Figure, manner: Manner, rng: np.random.Generator) -> Track:
    """Straight, around a corner to the right, straight."""
    where = rng.uniform(0.4, 0.6)
    pace = _walking(manner.tempo)
    return _travel(
        figure, manner, rng, pace, lambda metres: _corner(metres, -np.pi / 2, where, 6 * metres)
    )


def walk_and_return(figure: Figure, manner: Manner, rng: np.random.Generator) -> Track:
    """Straight, around to the right, and back."""
    gait, speed = _walking(manner.tempo)
    return _travel(
        figure,
        manner,
        rng,
        (gait, 0.85 * speed),
        lambda metres: _corner(metres, -np.pi, 0.5, 7 * metres),
    )


def zigzag(figure: Figure, manner: Manner, rng: np.random.Generator) -> Track:
    """In curves to alternate sides."""
    turns = rng.choice([1.0, 1.5, 2.0])
    sign = rng.choice([-1.0, 1.0])
    pace = _walking(manner.tempo)

    def path(metres):
        straight = _weave(metres, turns)
        return lambda u: straight(u) * [sign, 1.0, sign]

    return _travel(figure, manner, rng, pace, path)


_TURNS = {"": np.pi / 2, "around": np.pi, "full": 2 * np.pi}


def turn(figure: Figure, manner: Manner, rng: np.random.Generator) -> Track:
    """On the spot to the right: a quarter, half ("around") or whole ("full") turn."""
    angle = _TURNS[manner.variant] * rng.uniform(0.93, 1.07)
    gait = Gait(step_time=0.46 / manner.tempo**0.8, lift=0.05, push=0.4, strike=0.0, accelerate=1.5)
    steps = 2 * max(1, round(angle / 1.25))
    if manner.variant == "full":
        steps = 8
    return steps_along(
        figure, gait, lambda u: np.stack([0 * u, 0 * u, -angle * u], -1), steps, first="right"
    )


def side_step(figure: Figure, manner: Manner, rng: np.random.Generator) -> Track:
    """To the right; each step is closed by the left foot."""
    gait = Gait(
        step_time=0.48 / manner.tempo**0.8,
        lift=0.06,
        push=0.35,
        strike=0.0,
        width=1.3,
        accelerate=1.0,
        sway=0.03,
        arm_forward=0.05,
    )
    metres = manner.count * 0.34 * manner.size * rng.uniform(0.9, 1.15)
    path: Path = lambda u: np.stack([-metres * u, 0 * u, 0 * u], axis=-1)  # noqa: E731
    return steps_along(figure, gait, path, 2 * manner.count, first="right")


def take_steps(figure: Figure, manner: Manner, rng: np.random.Generator) -> Track:
    """A counted number of steps, the last of which brings the feet together."""
    gait, speed = _walking(0.85 * manner.tempo)
    stride = figure.stride * speed * gait.step_time * rng.uniform(0.85, 1.1)
    metres = manner.count * stride
    if manner.variant == "back":
        gait, metres = replace(gait, strike=0.0, push=0.4), -0.7 * metres
    first = "left" if rng.random() < 0.5 else "right"
    gait = replace(gait, accelerate=1.2)
    return steps_along(figure, gait, _straight(metres), manner.count + 1, first)


def march(figure: Figure, manner: Manner, rng: np.random.Generator) -> Track:
    """On the spot, knees high."""
    gait = Gait(
        step_time=0.5 / manner.tempo,
        lift=0.26 * manner.size,
        lift_forward=0.17,
        push=0.0,
        strike=0.0,
        arm_reach=0.9,
    )
    return _on_the_spot(figure, manner, rng, gait, swing=0.55)


def jog_on_the_spot(figure: Figure, manner: Manner, rng: np.random.Generator) -> Track:
    """Running steps without getting ahead."""
    gait, _ = _running(manner.tempo)
    gait = replace(gait, swing=1.1, lift=0.16, lift_forward=-0.12, kick_up=0.0, lean=0.08)
    return _on_the_spot(figure, manner, rng, gait, swing=0.35)


def _on_the_spot(
    figure: Figure, manner: Manner, rng: np.random.Generator, gait: Gait, swing: float
) -> Track:
    steps = max(4, round((manner.seconds - 0.5) / gait.step_time))
    first = "left" if rng.random() < 0.5 else "right"
    track = steps_along(figure, gait, _straight(0.0), steps, first)
    lifted = (track["left_foot"] - track["right_foot"])[:, 1] / gait.lift
    heel = 0.5 if gait.swing < 1 else 1.0
    for sign, side in ((-1.0, "left"), (1.0, "right")):
        arm, foot = track[f"{side}_arm"], track[f"{side}_foot"]
        arm[:, LIFT] += sign * swing * figure.arm_swing * lifted
        arm[:, AZIMUTH] += 0.2 * np.maximum(sign * lifted, 0)
        arm[:, REACH] -= 0.12 * np.maximum(sign * lifted, 0)
        arm[:, SWIVEL] -= 0.2 * np.maximum(sign * lifted, 0)
        arm[:, SPREAD] += 0.02
        foot[:, 4] += heel * np.maximum(-sign * lifted, 0) ** 2
    return track
