"""Actions of arms, head and trunk, done standing; most can also be done while walking.

An arm is (lift, azimuth, reach, swivel, spread), see pose.py. Sided actions use the right arm.
"""

import numpy as np

from lead.data.synthetic.figure import Figure, Manner
from lead.data.synthetic.pose import AZIMUTH, LIFT, REACH, SWIVEL, Track
from lead.data.synthetic.timing import FPS, animate, hurried, window

UP = (1.35, 1.0, 0.97, 0.1, 0.0)
FORWARD = (0.0, 1.5, 0.97, 0.4, 0.0)
SIDEWAYS = (0.0, 0.05, 0.98, 0.3, 0.0)
GUARD = (0.05, 1.85, 0.5, 0.25, 0.0)
ON_HIP = (-1.42, 1.57, 0.735, 1.2, -0.12)
BESIDE = (-1.45, 0.1, 0.97, 1.4, 0.05)  # hanging, but ready to be lifted to the side


def _times(track: Track) -> np.ndarray:
    return np.arange(len(track)) / FPS


def _arms(manner: Manner, pose: tuple, **others: object) -> dict:
    """``pose`` for the right arm, for both arms in the variant "both"."""
    changes: dict = {"right_arm": pose, **others}
    if manner.variant == "both":
        changes["left_arm"] = pose
    return changes


def wave(figure: Figure, manner: Manner, rng: np.random.Generator) -> Track:
    """A raised hand (or both) swings from side to side."""
    tempo, waves = manner.tempo, 1 + 2 * manner.count
    period = rng.uniform(0.5, 0.62) / tempo
    start, end = 0.75 / tempo, 0.75 / tempo + waves * period
    high = rng.uniform(-0.1, 0.35)
    raised = (0.62 + high, 0.55, 0.74, -0.55, 0.0)
    keys = [(0.0, {}), (start, _arms(manner, raised)), (end, _arms(manner, raised))]
    track = animate(figure.stand(), [*keys, (end + 0.75 / tempo, {})])
    t = _times(track)
    swing = window(t, start - 0.3 * period, end + 0.3 * period, 0.4 * period)
    swing = swing * np.sin(2 * np.pi * (t - start) / period) * 0.30 * manner.size
    for name in ("right_arm", "left_arm") if manner.variant == "both" else ("right_arm",):
        track[name][:, AZIMUTH] += 0.9 * swing
        track[name][:, LIFT] += 0.35 * swing
        track[name][:, SWIVEL] -= 0.4 * swing
    return track


def raise_arm(figure: Figure, manner: Manner, rng: np.random.Generator) -> Track:
    """One arm up, out to the side or straight ahead, and down again."""
    lift = {"sideways": SIDEWAYS, "forward": FORWARD}.get(manner.variant, UP)
    through = {"sideways": BESIDE}.get(manner.variant)
    hold = rng.uniform(0.3, 1.0)
    keys, now = [(0.0, {})], 0.0
    for _ in range(manner.count):
        rise, fall = now + 0.9, now + 0.9 + hold
        if through:
            keys.append((now + 0.25, _arms(manner, through)))
        keys += [(rise, _arms(manner, lift)), (fall, _arms(manner, lift))]
        now = fall + 0.95
        keys.append((now, {}))
    return animate(figure.stand(), hurried(keys, manner.tempo))


def both_arms(figure: Figure, manner: Manner, rng: np.random.Generator) -> Track:
    """Both arms up, out to the sides (T pose), forward, or up over the sides."""
    poses = {"up": UP, "sideways": SIDEWAYS, "forward": FORWARD, "stretch": (1.5, 1.2, 0.985, 0, 0)}
    pose, hold = poses[manner.variant], rng.uniform(0.5, 1.2)
    body: dict = {"left_arm": pose, "right_arm": pose}
    if manner.variant == "stretch":
        body |= {"spine_pitch": -0.18, "head_pitch": -0.35}
    sides = {"left_arm": BESIDE, "right_arm": BESIDE}
    outward = manner.variant == "sideways"
    keys: list = [(0.0, {})]
    now = 0.0
    for _ in range(manner.count):
        if outward:
            keys.append((now + 0.2, sides))
        keys += [(now + 1.0, body), (now + 1.0 + hold, body)]
        now += 2.0 + hold
        if outward:
            keys.append((now - 0.2, sides))
        keys.append((now, {}))
    return animate(figure.stand(), hurried(keys, manner.tempo))


def punch(figure: Figure, manner: Manner, rng: np.random.Generator) -> Track:
    """From a guard; in the variant "both" the fists take turns."""
    tempo = manner.tempo
    guard = {"right_arm": GUARD, "left_arm": GUARD, "spine_twist": 0.0, "spine_pitch": 0.1}
    guard |= {"y": figure.stand()[1] - 0.05, "twist": 0.0}
    target = (0.02 + rng.uniform(-0.12, 0.2), 1.12, 0.97, 0.7, 0.0)
    hits = 2 * manner.count if manner.variant == "both" else manner.count
    keys: list = [(0.0, {}), (0.5 / tempo, guard), (0.65 / tempo, guard)]
    now = 0.65 / tempo
    for hit in range(hits):
        left = manner.variant == "both" and hit % 2 == 1
        sign = -1.0 if left else 1.0
        arm = "left_arm" if left else "right_arm"
        load = {**guard, "spine_twist": -0.25 * sign, "twist": -0.08 * sign}
        blow = {**guard, arm: target, "spine_twist": 0.5 * sign, "twist": 0.2 * sign, "z": 0.05}
        keys += [(now + 0.16 / tempo, load), (now + 0.36 / tempo, blow)]
        keys += [(now + 0.42 / tempo, blow), (now + 0.72 / tempo, guard)]
        now += 0.78 / tempo
    return animate(figure.stand(), [*keys, (now + 0.1, guard), (now + 0.1 + 0.6 / tempo, {})])


def clap(figure: Figure, manner: Manner, rng: np.random.Generator) -> Track:
    """Hands before the chest or over the head, apart and together."""
    over = manner.variant == "overhead"
    lift, reach = (1.15, 0.9) if over else (-0.42, 0.62)
    apart = (lift - 0.1, 1.05, reach, 0.35, 0.0)
    together = (lift, 2.35 if over else 2.2, reach, 0.55, 0.0)
    claps = int(rng.integers(4, 8)) if manner.count == 1 else manner.count
    period = rng.uniform(0.42, 0.52) / manner.tempo
    ready = 0.75 if over else 0.6
    now = ready / manner.tempo
    keys: list = [(0.0, {}), (now, {"left_arm": apart, "right_arm": apart})]
    for _ in range(claps):
        keys.append((now + 0.45 * period, {"left_arm": together, "right_arm": together}))
        keys.append((now + period, {"left_arm": apart, "right_arm": apart}))
        now += period
    return animate(figure.stand(), [*keys, (now + ready / manner.tempo, {})])


def throw(figure: Figure, manner: Manner, rng: np.random.Generator) -> Track:
    """Overarm: wind up, release ahead, follow through."""
    over = rng.uniform(-0.1, 0.15)
    back = {"right_arm": (0.55 + over, 0.1, 0.62, 0.2, 0.0), "spine_twist": -0.55, "twist": -0.2}
    back |= {"left_arm": (-0.35, 1.3, 0.85, 0.3, 0.0), "z": -0.06, "spine_pitch": -0.08}
    release = {"right_arm": (0.5, 1.3, 0.95, 0.2, 0.0), "spine_twist": 0.25, "twist": 0.1}
    release |= {"z": 0.07, "spine_pitch": 0.1}
    after = {"right_arm": (-0.75, 1.45, 0.9, 0.3, 0.0), "spine_twist": 0.55, "twist": 0.22}
    after |= {"z": 0.08, "spine_pitch": 0.28, "left_arm": (-1.7, 1.5, 0.9, 0.3, 0.2)}
    keys: list = [(0.0, {})]
    now = 0.0
    for _ in range(manner.count):
        keys += [(now + 0.7, back), (now + 0.95, release), (now + 1.2, after), (now + 2.0, {})]
        now += 2.0
    return animate(figure.stand(), hurried(keys, manner.tempo))


def point(figure: Figure, manner: Manner, rng: np.random.Generator) -> Track:
    """A straight arm ahead, to the side or up, with a look there."""
    poses = {
        "forward": {"right_arm": (0.02, 1.45, 0.98, 0.4, 0.0)},
        "side": {"right_arm": (0.05, 0.1, 0.98, 0.2, 0.0), "head_yaw": -0.9, "spine_twist": -0.2},
        "up": {"right_arm": (1.2, 1.35, 0.98, 0.2, 0.0), "head_pitch": -0.55},
    }
    pose, hold = poses[manner.variant], rng.uniform(0.6, 1.5)
    keys = [(0.0, {}), (0.7, pose), (0.7 + hold, pose), (1.5 + hold, {})]
    return animate(figure.stand(), hurried(keys, manner.tempo))


def hold(figure: Figure, manner: Manner, rng: np.random.Generator) -> Track:
    """Crossed arms, hands on the hips, a hand at the head, a salute, a drink, a phone."""
    poses = {
        "crossed": {
            "right_arm": (-0.36, 2.7, 0.74, 0.4, 0.0),
            "left_arm": (-0.52, 2.78, 0.72, 0.4, 0.0),
        },
        "hips": {"right_arm": ON_HIP, "left_arm": ON_HIP},
        "salute": {"right_arm": (0.8, 2.15, 0.46, 1.2, 0.0), "spine_pitch": -0.04},
        "drink": {"right_arm": (0.4, 2.3, 0.49, 0.3, 0.0), "head_pitch": -0.3},
        "phone": {"right_arm": (0.8, 2.6, 0.37, 0.5, 0.0), "head_roll": 0.15},
        "cover": {
            "right_arm": (0.47, 2.15, 0.51, 0.4, 0.0),
            "left_arm": (0.47, 2.15, 0.51, 0.4, 0.0),
            "spine_pitch": 0.2,
            "head_pitch": 0.3,
        },
    }
    pose, hold = poses[manner.variant], rng.uniform(0.8, 2.2)
    keys = [(0.0, {}), (0.9, pose), (0.9 + hold, pose), (1.8 + hold, {})]
    return animate(figure.stand(), hurried(keys, manner.tempo))


def scratch_head(figure: Figure, manner: Manner, rng: np.random.Generator) -> Track:
    """A hand on top of the head, rubbing."""
    pose = {"right_arm": (1.05, 2.6, 0.61, 0.9, 0.0), "head_pitch": 0.2, "head_roll": 0.1}
    hold = rng.uniform(1.0, 2.0)
    keys = [(0.0, {}), (0.9, pose), (0.9 + hold, pose), (1.8 + hold, {})]
    track = animate(figure.stand(), hurried(keys, manner.tempo))
    t = _times(track) * manner.tempo
    rub = window(t, 0.8, 1.0 + hold, 0.2) * np.sin(2 * np.pi * 2.3 * t)
    track["right_arm"][:, AZIMUTH] += 0.14 * rub
    track["right_arm"][:, LIFT] += 0.06 * rub
    return track


def knock(figure: Figure, manner: Manner, rng: np.random.Generator) -> Track:
    """Short knocks ahead at shoulder height."""
    near = (0.12, 1.5, 0.56, 0.2, 0.0)
    far = (0.14, 1.5, 0.72, 0.2, 0.0)
    period = rng.uniform(0.32, 0.4) / manner.tempo
    now = 0.7 / manner.tempo
    keys: list = [(0.0, {}), (now, {"right_arm": near})]
    for _ in range(2 + manner.count):
        keys += [(now + 0.45 * period, {"right_arm": far}), (now + period, {"right_arm": near})]
        now += period
    return animate(figure.stand(), [*keys, (now + 0.75 / manner.tempo, {})])


def push(figure: Figure, manner: Manner, rng: np.random.Generator) -> Track:
    """Both hands from the chest straight ahead, leaning in."""
    near, far = (-0.15, 1.5, 0.45, 0.6, 0.0), (0.0, 1.55, 0.95, 0.5, 0.0)
    lean = rng.uniform(0.1, 0.2)
    ready = {"left_arm": near, "right_arm": near, "z": -0.03}
    pushed = {"left_arm": far, "right_arm": far, "spine_pitch": 0.05 + lean, "z": 0.06}
    keys: list = [(0.0, {})]
    now = 0.6
    keys.append((now, ready))
    for _ in range(manner.count):
        keys += [(now + 0.55, pushed), (now + 0.85, pushed), (now + 1.4, ready)]
        now += 1.5
    return animate(figure.stand(), hurried([*keys, (now + 0.6, {})], manner.tempo))


def arm_circles(figure: Figure, manner: Manner, rng: np.random.Generator) -> Track:
    """Straight arms (or one) circling forward: up in front after going back and over."""
    tempo, start = manner.tempo, 0.3
    period = rng.uniform(1.1, 1.4) / tempo
    end = start + (1 + manner.count) * period
    track = animate(figure.stand(), [(0.0, {}), (end + 0.4, {})])
    t = _times(track)
    turns = np.clip((t - start) / period, 0, 1 + manner.count)
    for name in ("right_arm", "left_arm") if manner.variant == "both" else ("right_arm",):
        arm = track[name]
        active = window(t, start - 0.3, end + 0.4, 0.6)
        arm[:, LIFT] += 2 * np.pi * turns
        arm[:, SWIVEL] -= 0.3 * active
        arm[:, 4] += 0.35 * active
        arm[:, REACH] = np.minimum(arm[:, REACH] + 0.02 * active, 0.985)
    return track


def flap(figure: Figure, manner: Manner, rng: np.random.Generator) -> Track:
    """Both arms beat up and down at the sides like wings."""
    high, low = (0.6, 0.1, 0.95, 0.3, 0.0), (-0.75, 0.1, 0.93, 0.3, 0.05)
    period = rng.uniform(0.75, 0.95) / manner.tempo
    now = 0.4 / manner.tempo
    keys: list = [(0.0, {}), (now, {"left_arm": BESIDE, "right_arm": BESIDE})]
    for _ in range(2 + manner.count):
        keys += [
            (now + 0.5 * period, {"left_arm": high, "right_arm": high}),
            (now + period, {"left_arm": low, "right_arm": low}),
        ]
        now += period
    keys.append((now + 0.3, {"left_arm": BESIDE, "right_arm": BESIDE}))
    return animate(figure.stand(), [*keys, (now + 0.7, {})])


def look(figure: Figure, manner: Manner, rng: np.random.Generator) -> Track:
    """Turn the head to a side, to both, up or down."""
    far = rng.uniform(0.8, 1.1)
    right = {"head_yaw": -far, "spine_twist": -0.25}
    left = {"head_yaw": far, "spine_twist": 0.25}
    up, down = {"head_pitch": -0.65, "spine_pitch": -0.08}, {"head_pitch": 0.75}
    orders = {"": (right,), "around": (right, left), "up": (up,), "down": (down,)}
    keys: list = [(0.0, {})]
    now = 0.0
    for pose in orders[manner.variant]:
        keys += [(now + 0.7, pose), (now + 1.3, pose)]
        now += 1.4
    return animate(figure.stand(), hurried([*keys, (now + 0.7, {})], manner.tempo))


def nod(figure: Figure, manner: Manner, rng: np.random.Generator) -> Track:
    """Nod the head, or shake it."""
    shake = manner.variant == "shake"
    period = (0.6 if shake else 0.55) / manner.tempo
    seconds = (1 + manner.count) * period
    track = animate(figure.stand(), [(0.0, {}), (seconds + 0.8, {})])
    t = _times(track)
    swing = window(t, 0.3, 0.5 + seconds, 0.2) * np.sin(2 * np.pi * (t - 0.4) / period)
    size = rng.uniform(0.85, 1.2)
    if shake:
        track["head_yaw"] = 0.5 * size * swing
    else:
        track["head_pitch"] = track["head_pitch"] + size * (0.3 * swing + 0.12 * np.abs(swing))
    return track


def bend_trunk(figure: Figure, manner: Manner, rng: np.random.Generator) -> Track:
    """Lean to the right, or twist the upper body to the right."""
    far = rng.uniform(0.8, 1.1) * manner.size
    if manner.variant == "twist":
        pose = {"spine_twist": -0.75 * far, "twist": -0.2, "head_yaw": -0.3}
        pose |= {"right_arm": (-0.75, 0.6, 0.8, 0.3, 0), "left_arm": (-0.75, 1.75, 0.8, 0.3, 0)}
    else:
        pose = {"spine_roll": 0.55 * far, "roll": 0.1, "x": 0.05, "head_roll": 0.15}
        pose |= {"right_arm": (-1.55, 0.6, 0.975, 0.3, 0.0), "left_arm": ON_HIP}
    keys: list = [(0.0, {})]
    now = 0.0
    for _ in range(manner.count):
        keys += [(now + 0.8, pose), (now + 1.2, pose), (now + 2.0, {})]
        now += 2.05
    return animate(figure.stand(), hurried(keys, manner.tempo))


def stand_still(figure: Figure, manner: Manner, rng: np.random.Generator) -> Track:
    """Shift the weight a little, nothing else."""
    shift = rng.uniform(-0.03, 0.03)
    middle = {"x": shift, "roll": 0.5 * shift}
    return animate(
        figure.stand(), [(0.0, {}), (0.5 * manner.seconds, middle), (manner.seconds, {})]
    )
