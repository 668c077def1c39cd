"""Curves over time: minimum-jerk easing, key poses, smooth random drift."""

from collections.abc import Mapping, Sequence

import numpy as np

from lead.data.synthetic.pose import CHANNELS, WIDTH, Track

FPS = 20.0

Key = tuple[float, Mapping[str, object]]
"""A time in seconds and what differs there from standing: channel name -> value(s)."""


def ease(progress: np.ndarray) -> np.ndarray:
    """The minimum-jerk curve from 0 to 1 (Flash and Hogan 1985), flat outside [0, 1]."""
    u = np.clip(progress, 0.0, 1.0)
    return u**3 * (10.0 + u * (6.0 * u - 15.0))


def window(t: np.ndarray, start: float, end: float, ramp: float) -> np.ndarray:
    """1 between ``start`` and ``end``, rising and falling within them over ``ramp`` seconds."""
    return ease((t - start) / ramp) * ease((end - t) / ramp)


def bump(progress: np.ndarray) -> np.ndarray:
    """A smooth hill over [0, 1], 1 in the middle and 0 with zero slope at both ends."""
    return np.sin(np.pi * np.clip(progress, 0.0, 1.0)) ** 2


def frame_times(seconds: float) -> np.ndarray:
    """Times of the frames that cover ``seconds``, both ends included."""
    return np.arange(int(np.ceil(seconds * FPS)) + 1) / FPS


def interpolate(t: np.ndarray, times: Sequence[float], values: np.ndarray) -> np.ndarray:
    """Smooth curve through ``values`` (keys, ...) at rising ``times``; at rest at both ends.

    Minimum-jerk (quintic, no acceleration at the keys). A key between a lower and a higher one is
    passed with the harmonic mean of the slopes around it (Fritsch and Butland 1984), any other is
    a stop, so that nothing overshoots and what is held stays still.
    """
    times = np.asarray(times, dtype=float)
    values = np.asarray(values, dtype=float)
    wide = (-1,) + (1,) * (values.ndim - 1)
    slopes = np.diff(values, axis=0) / np.diff(times).reshape(wide)
    before, after = slopes[:-1], slopes[1:]
    same_way = before * after > 0
    passing = 2 * before * after / np.where(same_way, before + after, 1.0)
    rest = np.zeros_like(values[:1])
    velocity = np.concatenate([rest, np.where(same_way, passing, 0.0), rest])
    right = np.clip(np.searchsorted(times, t, side="right"), 1, len(times) - 1)
    left, span = right - 1, (times[right] - times[right - 1]).reshape(wide)
    u = np.clip((t.reshape(wide) - times[left].reshape(wide)) / span, 0.0, 1.0)
    rise = values[right] - values[left]
    start, end = velocity[left] * span, velocity[right] * span
    cubic = 10 * rise - 6 * start - 4 * end
    quartic = -15 * rise + 8 * start + 7 * end
    quintic = 6 * rise - 3 * start - 3 * end
    return values[left] + start * u + u**3 * (cubic + u * (quartic + u * quintic))


def animate(stand: np.ndarray, keys: Sequence[Key]) -> Track:
    """A track through key poses, each given by its difference from the pose ``stand`` (WIDTH,)."""
    poses = np.repeat(stand[None], len(keys), axis=0)
    for pose, (_, changes) in zip(poses, keys, strict=True):
        for name, value in changes.items():
            pose[CHANNELS[name]] = value
    times = [time for time, _ in keys]
    return Track(interpolate(frame_times(times[-1]), times, poses))


def hurried(keys: Sequence[Key], tempo: float) -> list[Key]:
    """Key poses with their times made shorter by ``tempo``."""
    return [(time / tempo, changes) for time, changes in keys]


def hermite(t, start: float, end: float, position: tuple, velocity: tuple) -> np.ndarray:
    """Cubic from position[0] to position[1] over [start, end] with the given end velocities."""
    span = end - start
    u = np.clip((t - start) / span, 0.0, 1.0)
    return (
        (1 + 2 * u) * (1 - u) ** 2 * position[0]
        + u * (1 - u) ** 2 * span * velocity[0]
        + u**2 * (3 - 2 * u) * position[1]
        + u**2 * (u - 1) * span * velocity[1]
    )


_DRIFT = np.zeros(WIDTH)
for _name, _size in {
    **{"x": 0.006, "z": 0.006, "pitch": 0.008, "roll": 0.008, "twist": 0.012},
    **{"spine_pitch": 0.02, "spine_roll": 0.015, "spine_twist": 0.02},
    **{"head_pitch": 0.04, "head_roll": 0.02, "head_yaw": 0.06},
    "left_arm": (0.03, 0.03, 0.008, 0.05, 0.015),
    "right_arm": (0.03, 0.03, 0.008, 0.05, 0.015),
}.items():
    _DRIFT[CHANNELS[_name]] = _size


def add_drift(track: Track, rng: np.random.Generator, size: float) -> Track:
    """Slow smooth wandering of body, head and arms (never of the feet), as of a living figure."""
    t = np.arange(len(track)) / FPS
    waves = 3
    frequency = rng.uniform(0.08, 0.55, (waves, WIDTH))
    phase = rng.uniform(0, 2 * np.pi, (waves, WIDTH))
    sway = np.sin(2 * np.pi * frequency * t[:, None, None] + phase).sum(1) / np.sqrt(waves)
    return Track(track.values + size * _DRIFT * sway)
