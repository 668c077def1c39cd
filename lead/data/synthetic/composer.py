"""From a clip's name and a seed to joints and captions."""

from dataclasses import replace

import numpy as np

from lead.data.synthetic.captions import write_captions
from lead.data.synthetic.figure import Figure, draw_figure
from lead.data.synthetic.pose import CHANNELS, LIFT, Track, joints_of
from lead.data.synthetic.script import WHILE, Act, Script, generator, plan
from lead.data.synthetic.timing import FPS, add_drift, window

MIN_FRAMES, MAX_FRAMES = 41, 197  # of joints; features are one frame shorter


def compose(clip_id: str, seed: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """Joints (frames, 22, 3) float32 in metres at 20 fps, and three captions.

    They depend on the name and the seed alone: any subset, order or worker gives the same clip.
    """
    track = perform(plan(clip_id, seed), generator(seed, "motion", clip_id))
    return joints_of(track).astype(np.float32), write_captions(clip_id, seed)


def perform(script: Script, rng: np.random.Generator) -> Track:
    """Act out a script: MIN_FRAMES to MAX_FRAMES frames, starting at the origin."""
    figure = draw_figure(rng)
    if script.joined == WHILE:
        track = _at_once(script, figure, rng)
    else:
        track = _one_after_another([_act(act, figure, rng) for act in script.acts])
    if len(script.acts) == 1 and script.acts[0].action.croppable:
        track = _crop(track, rng)
    track = _fit(_hold_ends(track, rng))
    return add_drift(track, rng, rng.uniform(0.5, 1.3))


def _act(act: Act, figure: Figure, rng: np.random.Generator) -> Track:
    track = act.action.perform(figure, act.manner, rng)
    return track.mirrored() if act.manner.side == "left" else track


def _one_after_another(parts: list[Track]) -> Track:
    """Each part starts where the one before it left the figure standing."""
    values = [parts[0].values]
    for part in parts[1:]:
        end = Track(values[-1][-1:])
        placed = part.placed(end["x"][0], end["z"][0], end["yaw"][0])
        for arm in ("left_arm", "right_arm"):  # after full circles of an arm
            turns = np.round((end[arm][0, LIFT] - placed[arm][0, LIFT]) / (2 * np.pi))
            placed[arm][:, LIFT] += 2 * np.pi * turns
        values.append(placed.values[1:])
    return Track(np.concatenate(values))


def _at_once(script: Script, figure: Figure, rng: np.random.Generator) -> Track:
    """A gait below and a gesture above: the arms that the gesture moves follow it."""
    gait_act, gesture_act = script.acts
    gesture = _act(gesture_act, figure, rng)
    seconds = len(gesture) / FPS + rng.uniform(1.2, 2.0)
    manner = replace(gait_act.manner, seconds=seconds)
    track = _act(Act(gait_act.action, manner), figure, rng)
    start = max(0, (len(track) - len(gesture)) // 2)
    span = slice(start, min(len(track), start + len(gesture)))
    over = Track(gesture.values[: span.stop - start])
    below = Track(track.values[span])
    stand = figure.stand()
    t = np.arange(len(over)) / FPS
    for arm in ("left_arm", "right_arm"):
        moves = over[arm] - stand[CHANNELS[arm]]
        if np.abs(moves).max() > 0.05:
            weight = window(t, 0.0, t[-1], min(0.5, 0.3 * t[-1]))[:, None]
            below[arm] = below[arm] * (1 - weight) + over[arm] * weight
    for name in ("spine_pitch", "spine_roll", "spine_twist", "head_pitch", "head_roll", "head_yaw"):
        below[name] = below[name] + over[name] - stand[CHANNELS[name]]
    return track


def _crop(track: Track, rng: np.random.Generator) -> Track:
    """Leave out the start or the end now and then, so that clips also begin in full swing."""
    start = int(rng.integers(14, 26)) if rng.random() < 0.35 else 0
    end = int(rng.integers(14, 26)) if rng.random() < 0.35 else 0
    if len(track) - start - end < MIN_FRAMES:
        return track
    return Track(track.values[start : len(track) - end])


def _hold_ends(track: Track, rng: np.random.Generator) -> Track:
    """A moment of standing before and after, where the track begins and ends at rest."""
    before, after = int(rng.integers(0, 7)), int(rng.integers(0, 13))
    values, moving = track.values, np.abs(np.diff(track.values[:, :3], axis=0)).max(1) > 0.004
    before = 0 if moving[0] else before
    after = 0 if moving[-1] else max(after, MIN_FRAMES - len(track) - before)
    return Track(np.pad(values, ((before, after), (0, 0)), mode="edge"))


def _fit(track: Track) -> Track:
    """At most MAX_FRAMES: a longer performance is done a little faster."""
    frames = len(track)
    if MIN_FRAMES <= frames <= MAX_FRAMES:
        return track
    times = np.linspace(0, frames - 1, min(max(frames, MIN_FRAMES), MAX_FRAMES))
    left = np.minimum(times.astype(int), frames - 2)
    part = (times - left)[:, None]
    return Track(track.values[left] * (1 - part) + track.values[left + 1] * part)
