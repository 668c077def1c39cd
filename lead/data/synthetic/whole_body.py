"""Actions of the whole body on the spot or in the air: squats, jumps, kicks, sitting, bowing."""

import numpy as np

from lead.data.synthetic.figure import Figure, Manner
from lead.data.synthetic.gestures import FORWARD, GUARD, ON_HIP, SIDEWAYS
from lead.data.synthetic.pose import (
    AZIMUTH,
    CHANNELS,
    FOOT_PITCH,
    FOOT_Y,
    FOOT_Z,
    LIFT,
    REACH,
    Track,
)
from lead.data.synthetic.timing import (
    animate,
    ease,
    frame_times,
    hermite,
    hurried,
    interpolate,
    window,
)

GRAVITY = 9.81
_BOTH = ("left_foot", "right_foot")


def _foot(figure: Figure, side: str, **changes: float) -> np.ndarray:
    """Foot channels of standing with some changed: x, y, z, yaw, pitch, splay."""
    foot = figure.stand()[CHANNELS[f"{side}_foot"]].copy()
    for name, value in changes.items():
        foot[("x", "y", "z", "yaw", "pitch", "splay").index(name)] += value
    return foot


def squat(figure: Figure, manner: Manner, rng: np.random.Generator) -> Track:
    """Knees bend, arms held ahead; the variant "duck" goes down once, arms over the head."""
    height = figure.stand()[1]
    depth = rng.uniform(0.34, 0.46) * min(manner.size, 1.1)
    down = {"y": height - depth, "z": -0.06, "pitch": 0.35, "spine_pitch": 0.25}
    ahead = (0.5, *FORWARD[1:])  # level, as the chest leans
    down |= {"head_pitch": -0.25, "left_arm": ahead, "right_arm": ahead}
    if manner.variant == "duck":
        cover = (1.0, 2.5, 0.56, 0.8, 0.0)
        down |= {"spine_pitch": 0.75, "head_pitch": 0.45, "left_arm": cover, "right_arm": cover}
    for side in ("left", "right"):
        down[f"{side}_foot"] = _foot(figure, side, splay=0.3)
    keys: list = [(0.0, {})]
    now = 0.0
    hold = 0.7 if manner.variant == "duck" else 0.15
    for _ in range(manner.count):
        keys += [(now + 0.85, down), (now + 0.85 + hold, down), (now + 1.7 + hold, {})]
        now += 1.8 + hold
    return animate(figure.stand(), hurried(keys, manner.tempo))


def jump(figure: Figure, manner: Manner, rng: np.random.Generator) -> Track:
    """Both feet leave the floor; variants: "" on the spot, "forward", "back", "high"."""
    height = rng.uniform(0.13, 0.24) * (1.8 if manner.variant == "high" else 1.0)
    reach = {"forward": rng.uniform(0.45, 1.0), "back": -rng.uniform(0.25, 0.45)}
    distance = reach.get(manner.variant, 0.0) * manner.size
    parts = [_one_jump(figure, height, distance, manner.tempo) for _ in range(manner.count)]
    for index, part in enumerate(parts):
        parts[index] = part.placed(0.0, index * distance, 0.0)
    return _chain(parts)


def _chain(parts: list[Track]) -> Track:
    return Track(np.concatenate([part.values[:-1] for part in parts] + [parts[-1].values[-1:]]))


def _one_jump(figure: Figure, height: float, distance: float, tempo: float) -> Track:
    stand = figure.stand()
    rise = 0.07  # of the pelvis at take-off: on the toes
    speed = np.sqrt(2 * GRAVITY * height)
    down, push, fly = 0.5 / tempo, 0.26, 2 * speed / GRAVITY
    absorb, recover = 0.2, 0.55 / tempo
    leave = down + push
    land = leave + fly
    bottom = land + absorb
    t = frame_times(bottom + recover)
    track = Track(np.repeat(stand[None], len(t), axis=0))
    depth = 0.2 + 0.35 * height
    low = stand[1] - depth
    top = stand[1] + rise
    air = top + speed * (t - leave) - 0.5 * GRAVITY * (t - leave) ** 2
    pushing = hermite(t, down, leave, (low, top), (0.0, speed))
    landing = hermite(t, land, bottom, (top, low + 0.06), (-speed, 0.0))
    stages = (t < down, t < leave, t < land, t < bottom)
    rising = interpolate(t, (bottom, bottom + recover), np.array([low + 0.06, stand[1]]))
    sinking = interpolate(t, (0.0, down), np.array([stand[1], low]))
    track["y"] = np.select(stages, (sinking, pushing, air, landing), rising)
    _travel_in_jump(track, t, leave, fly, absorb + recover, distance)
    crouched = interpolate(
        t,
        (0.0, down, leave, land, bottom, bottom + recover),
        np.array([0.0, 1.0, 0.0, 0.15, 0.8, 0.0]),
    )
    track["pitch"] = track["pitch"] + 0.3 * crouched
    track["spine_pitch"] = track["spine_pitch"] + 0.3 * crouched
    tucked = np.maximum(air - top, 0) * (t > leave) * (t < land)
    heel = interpolate(t, (down, leave, land, land + 0.12), np.array([0.0, 0.8, 0.75, 0.0]))
    for name in _BOTH:
        track[name][:, FOOT_Y] = np.where((t > leave) & (t < land), 1.05 * tucked, 0.0)
        track[name][:, FOOT_PITCH] = heel
    keys = (0.0, down, leave, leave + 0.5 * fly, bottom, bottom + recover)
    lift = np.array([-1.47, -1.95, 0.0, 0.3, -0.9, -1.47])
    for name in ("left_arm", "right_arm"):
        track[name][:, LIFT] += interpolate(t, keys, lift - lift[0])
        track[name][:, REACH] -= 0.12 * crouched
    return track


def _travel_in_jump(track: Track, t, leave, fly, settle, distance: float) -> None:
    """Pelvis and feet forward; the body is ahead of the feet at take-off, behind at landing."""
    if not distance:
        return
    ahead = 0.22 * distance
    speed = (distance - 2 * ahead) / fly
    land = leave + fly
    path = np.where(t < leave, hermite(t, leave - 0.26, leave, (0, ahead), (0, speed)), 0.0)
    path = np.where(t >= leave, ahead + speed * (t - leave), path)
    end = land + settle
    braking = hermite(t, land, end, (distance - ahead, distance), (speed, 0.0))
    track["z"] = np.where(t > land, braking, path)
    u = np.clip((t - leave) / fly, 0, 1)
    for name in _BOTH:
        track[name][:, FOOT_Z] += distance * (0.35 * u + 0.65 * ease(u))


def hop(figure: Figure, manner: Manner, rng: np.random.Generator) -> Track:
    """Hops on the right leg, the left foot held up behind."""
    stand = figure.stand()
    lifted = {"x": -figure.stance + 0.01, "y": stand[1] - 0.04, "spine_pitch": 0.12}
    lifted |= {"left_foot": _foot(figure, "left", x=-0.03, y=0.24, z=-0.3, pitch=0.9)}
    lifted |= {"left_arm": (-1.1, 0.7, 0.85, 0.3, 0.2), "right_arm": (-1.1, 0.7, 0.85, 0.3, 0.2)}
    hops, ready = 2 + manner.count, 0.6
    height = rng.uniform(0.045, 0.09)
    speed = np.sqrt(2 * GRAVITY * height)
    fly, ground = 2 * speed / GRAVITY, 0.34 / manner.tempo
    end = ready + hops * (fly + ground) + ground
    track = animate(stand, [(0.0, {}), (ready, lifted), (end, lifted), (end + 0.6, {})])
    t = frame_times(end + 0.6)[: len(track)]
    for index in range(hops):
        leave = ready + ground + index * (fly + ground)
        air = (t >= leave) & (t <= leave + fly)
        arc = np.where(air, speed * (t - leave) - 0.5 * GRAVITY * (t - leave) ** 2, 0.0)
        before = hermite(t, leave - ground, leave, (0, 0), (-speed * (index > 0), speed))
        dip = np.where((t > leave - ground) & (t < leave), before, 0.0)
        track["y"] = track["y"] + arc + dip
        track["right_foot"][:, FOOT_Y] += arc
        track["left_foot"][:, FOOT_Y] += arc + dip
        heel = window(t, leave - 0.12, leave + fly + 0.12, 0.12)
        track["right_foot"][:, FOOT_PITCH] += 0.55 * heel
    return track


def jumping_jacks(figure: Figure, manner: Manner, rng: np.random.Generator) -> Track:
    """Feet apart with the arms overhead and back together, each with a small jump."""
    stand = figure.stand()
    half = rng.uniform(0.4, 0.46) / manner.tempo**0.6
    ready, flights = 0.35, 2 * (1 + manner.count)
    end = ready + flights * half
    fly = 0.45 * half
    times, spread = [0.0, ready], [0.0, 0.0]
    for index in range(flights):
        takeoff = ready + index * half + 0.45 * half
        times += [takeoff, takeoff + fly]
        spread += [spread[-1], 1.0 - spread[-1]]
    t = frame_times(end + 0.5)
    times, spread = [*times, t[-1] + 1.0], [*spread, 0.0]
    feet = interpolate(t, times, np.array(spread))
    arm_times = [0.0, *(ready + half * np.arange(flights + 1)), t[-1] + 1.0]
    arms = interpolate(t, arm_times, np.array([0.0] + [0.0, 1.0] * (flights // 2) + [0.0, 0.0]))
    track = Track(np.repeat(stand[None], len(t), axis=0))
    phase = (t - ready) / half
    active = (t > ready) & (t < end)
    u = (phase - np.floor(phase) - 0.45) / (fly / half)
    flight = np.where(active & (u > 0) & (u < 1), 4 * u * (1 - u), 0.0)
    height = GRAVITY * fly**2 / 8
    dip = 0.06 * window(t, ready - 0.2, end + 0.3, 0.25)
    grounded = np.where(active & (u <= 0), np.sin(np.pi * (1 + u / 0.999)) ** 2, 0.0)
    track["y"] = track["y"] + height * flight - dip - 0.02 * grounded
    for sign, side in ((1, "left"), (-1, "right")):
        foot, arm = track[f"{side}_foot"], track[f"{side}_arm"]
        foot[:, 0] += sign * 0.24 * feet
        foot[:, FOOT_Y] += height * flight
        foot[:, FOOT_PITCH] += 0.5 * flight**0.5
        arm[:, AZIMUTH] += (0.1 - np.pi / 2) * window(t, 0.0, t[-1], 0.3)
        arm[:, LIFT] += 2.75 * arms
        arm[:, REACH] -= 0.03 * arms
    return track


def kick(figure: Figure, manner: Manner, rng: np.random.Generator) -> Track:
    """Right foot: knee up, foot out to the front ("", "high") or to the side, and back."""
    high = {"": 0.48, "high": 0.98, "side": 0.55}[manner.variant] + rng.uniform(-0.06, 0.06)
    height = figure.stand()[1]
    shift = {"x": figure.stance - 0.01, "y": height - 0.02}
    shift |= {"left_arm": GUARD, "right_arm": GUARD}
    aside = manner.variant == "side"
    chamber = _foot(figure, "right", x=0.02 - 0.06 * aside, y=0.42, z=0.12, pitch=0.5)
    out = {"y": high, "z": 0.78, "pitch": 0.35 - 0.9 * (high > 0.7)}
    out |= {"x": 0.04}
    if aside:
        out = {"x": -0.72, "y": high, "z": -0.02, "pitch": 0.0, "yaw": -0.3}
    up = {**shift, "right_foot": chamber, "spine_pitch": 0.05, "pitch": -0.05}
    hit = {**shift, "right_foot": _foot(figure, "right", **out), "pitch": -0.3}
    hit |= {"spine_pitch": 0.12, "twist": 0.15, "roll": -0.05}
    if aside:
        hit |= {"roll": -0.35, "pitch": 0.0, "twist": 0.0, "spine_roll": -0.2}
    keys: list = [(0.0, {}), (0.45, shift)]
    now = 0.45
    for index in range(manner.count):
        keys += [(now + 0.3, up), (now + 0.52, hit), (now + 0.6, hit), (now + 0.88, up)]
        now += 1.2
        keys.append((now, shift))
        now += 0.1 if index + 1 < manner.count else 0.0
    return animate(figure.stand(), hurried([*keys, (now + 0.5, {})], manner.tempo))


def lift_knee(figure: Figure, manner: Manner, rng: np.random.Generator) -> Track:
    """Right knee up to the hip and down; the variant "balance" holds it, arms out."""
    balance = manner.variant == "balance"
    shift = {"x": figure.stance - 0.01}
    foot = _foot(figure, "right", x=0.02, y=rng.uniform(0.4, 0.5), z=0.3, pitch=0.35)
    up = {**shift, "right_foot": foot, "spine_pitch": 0.05}
    if balance:
        up |= {"left_arm": SIDEWAYS, "right_arm": SIDEWAYS}
    hold = rng.uniform(1.5, 3.0) if balance else 0.15
    keys: list = [(0.0, {}), (0.45, shift)]
    now = 0.45
    for _ in range(manner.count):
        keys += [(now + 0.6, up), (now + 0.6 + hold, up), (now + 1.2 + hold, shift)]
        now += 1.3 + hold
    return animate(figure.stand(), hurried([*keys, (now + 0.4, {})], manner.tempo))


def sit(figure: Figure, manner: Manner, rng: np.random.Generator) -> Track:
    """Down on a seat and up again; "down" stays seated, "up" starts seated."""
    seat = rng.uniform(0.47, 0.56)
    back = -rng.uniform(0.34, 0.42)
    hand = (-1.1, 1.4, 0.8, 0.5, 0.02)
    seated = {"y": seat, "z": back, "pitch": -0.1, "spine_pitch": 0.12}
    seated |= {"left_arm": hand, "right_arm": hand}
    stand = figure.stand()
    rest = rng.uniform(0.8, 2.0)
    down = [(0.0, {}), (1.6, seated), (1.6 + rest, seated)]
    leans = (0.8, 1.6 + rest + 0.8)
    if manner.variant == "up":
        down, leans = [(0.0, seated), (rest, seated), (rest + 1.6, {})], (rest + 0.8,)
    elif manner.variant != "down":
        down.append((3.2 + rest, {}))
    else:
        leans = leans[:1]
    track = animate(stand, hurried(down, manner.tempo))
    t = frame_times(down[-1][0] / manner.tempo)[: len(track)] * manner.tempo
    stooped = sum(window(t, middle - 0.8, middle + 0.8, 0.8) for middle in leans)
    track["pitch"] = track["pitch"] + 0.45 * stooped
    track["spine_pitch"] = track["spine_pitch"] + 0.25 * stooped
    track["head_pitch"] = track["head_pitch"] - 0.25 * stooped
    return track


def bow(figure: Figure, manner: Manner, rng: np.random.Generator) -> Track:
    """Bend at the hips and the back, and come up."""
    deep = rng.uniform(0.8, 1.15)
    arm = figure.hanging_arm(forward=0.35 * deep)
    down = {"pitch": 0.55 * deep, "spine_pitch": 0.45 * deep, "z": -0.12 * deep}
    down |= {"head_pitch": 0.2, "left_arm": arm, "right_arm": arm}
    hold = rng.uniform(0.2, 0.8)
    keys: list = [(0.0, {})]
    now = 0.0
    for _ in range(manner.count):
        keys += [(now + 0.9, down), (now + 0.9 + hold, down), (now + 1.8 + hold, {})]
        now += 1.95 + hold
    return animate(figure.stand(), hurried(keys, manner.tempo))


def pick_up(figure: Figure, manner: Manner, rng: np.random.Generator) -> Track:
    """Bend down to the floor and come up, with the right hand ("") or both ("toes")."""
    height = figure.stand()[1]
    down = {"y": height - rng.uniform(0.4, 0.48), "z": -0.14, "pitch": 0.8, "spine_pitch": 0.75}
    down |= {"head_pitch": -0.2, "right_arm": (0.15, 1.55, 0.97, 0.3, 0.0)}
    down |= {"left_arm": (-0.9, 1.3, 0.85, 0.4, 0.1), "spine_twist": 0.15}
    if manner.variant == "toes":
        arm = (0.65, 1.6, 0.985, 0.3, 0.0)
        down |= {"y": height - 0.05, "z": -0.2, "pitch": 1.2, "spine_pitch": 1.15}
        down |= {"left_arm": arm, "right_arm": arm, "spine_twist": 0.0}
    else:
        for side in ("left", "right"):
            down[f"{side}_foot"] = _foot(figure, side, splay=0.25)
    keys: list = [(0.0, {})]
    now = 0.0
    for _ in range(manner.count):
        keys += [(now + 1.0, down), (now + 1.25, down), (now + 2.2, {})]
        now += 2.3
    return animate(figure.stand(), hurried(keys, manner.tempo))


def lunge(figure: Figure, manner: Manner, rng: np.random.Generator) -> Track:
    """Right foot a long step ahead, knees bent, and back."""
    length = rng.uniform(0.6, 0.75)
    stand = figure.stand()
    swing = {"z": 0.3 * length, "right_foot": _foot(figure, "right", y=0.1, z=0.55 * length)}
    swing |= {"left_foot": _foot(figure, "left", pitch=0.25)}
    low = {"y": stand[1] - 0.3, "z": 0.55 * length, "spine_pitch": 0.08}
    low |= {"right_foot": _foot(figure, "right", z=length)}
    low |= {"left_foot": _foot(figure, "left", pitch=0.95), "left_arm": ON_HIP, "right_arm": ON_HIP}
    placed = {**low, "y": stand[1] - 0.14, "left_foot": _foot(figure, "left", pitch=0.55)}
    keys: list = [(0.0, {})]
    now = 0.0
    for _ in range(manner.count):
        keys += [(now + 0.35, swing), (now + 0.7, placed), (now + 1.2, low), (now + 1.45, low)]
        keys += [(now + 1.95, placed), (now + 2.3, swing), (now + 2.65, {})]
        now += 2.75
    return animate(figure.stand(), hurried(keys, manner.tempo))
