"""A figure posed by a few channels: pelvis, spine, head, arms and feet -> 22 joints.

Feet are given in the world and the legs follow by two-bone inverse kinematics, so a planted foot
stays planted whatever the body does. World: metres, y up, a figure facing +Z has its left at +X.
"""

from dataclasses import dataclass

import numpy as np

from lead.representation import get_skeleton

_WIDTHS = {
    "x": 1,  # pelvis, metres
    "y": 1,
    "z": 1,
    "yaw": 1,  # radians, positive turns left
    "pitch": 1,  # of the pelvis, positive leans forward
    "roll": 1,  # positive leans to the right
    "twist": 1,  # of the pelvis against the yaw, positive turns left
    "spine_pitch": 1,
    "spine_roll": 1,
    "spine_twist": 1,
    "head_pitch": 1,
    "head_roll": 1,
    "head_yaw": 1,
    "left_arm": 5,  # lift, azimuth, reach, swivel, spread
    "right_arm": 5,
    "left_foot": 6,  # x, y, z of the ball on the flat sole, yaw, pitch (positive: heel up), splay
    "right_foot": 6,
}
_ENDS = np.cumsum(list(_WIDTHS.values()))
CHANNELS = {
    name: slice(int(end) - width, int(end))
    for (name, width), end in zip(_WIDTHS.items(), _ENDS, strict=True)
}
WIDTH = int(_ENDS[-1])
LIFT, AZIMUTH, REACH, SWIVEL, SPREAD = range(5)
FOOT_X, FOOT_Y, FOOT_Z, FOOT_YAW, FOOT_PITCH, SPLAY = range(6)
_SIDEWAYS = ("x", "yaw", "roll", "twist", "spine_roll", "spine_twist", "head_roll", "head_yaw")

ANKLE_HEIGHT = 0.06  # of the ankle above the ball of a flat foot
HEEL_BEHIND = 0.05  # of the heel behind the ankle
_SIDE = np.array([1.0, -1.0])  # left, right along x


@dataclass(frozen=True)
class Track:
    """Channels over time: ``values`` (frames, WIDTH). ``track["x"]`` is a view that can be set."""

    values: np.ndarray

    def __getitem__(self, name: str) -> np.ndarray:
        """The channel ``name``: (frames,), or (frames, parts) for arms and feet."""
        view = self.values[:, CHANNELS[name]]
        return view[:, 0] if view.shape[1] == 1 else view

    def __setitem__(self, name: str, value: np.ndarray) -> None:
        self[name][...] = value

    def __len__(self) -> int:
        return len(self.values)

    def mirrored(self) -> "Track":
        """Left and right exchanged."""
        swapped = Track(self.values.copy())
        for name in _SIDEWAYS:
            swapped[name] = -self[name]
        for limb in ("arm", "foot"):
            swapped[f"left_{limb}"] = self[f"right_{limb}"]
            swapped[f"right_{limb}"] = self[f"left_{limb}"]
        for foot in (swapped["left_foot"], swapped["right_foot"]):
            foot[:, [FOOT_X, FOOT_YAW]] *= -1
        return swapped

    def placed(self, x: float, z: float, yaw: float) -> "Track":
        """Turned by ``yaw`` about the origin, then moved to (x, z)."""
        moved = Track(self.values.copy())
        cos, sin = np.cos(yaw), np.sin(yaw)
        moved["x"] = x + cos * self["x"] + sin * self["z"]
        moved["z"] = z - sin * self["x"] + cos * self["z"]
        moved["yaw"] = self["yaw"] + yaw
        for name in ("left_foot", "right_foot"):
            old, new = self[name], moved[name]
            new[:, FOOT_X] = x + cos * old[:, FOOT_X] + sin * old[:, FOOT_Z]
            new[:, FOOT_Z] = z - sin * old[:, FOOT_X] + cos * old[:, FOOT_Z]
            new[:, FOOT_YAW] = old[:, FOOT_YAW] + yaw
        return moved


def _rest_offsets() -> np.ndarray:
    """Anatomical rest pose with the reference skeleton's bone lengths (joints, 3), arms down."""
    outward = {"hip": (0.62, -0.78, 0), "collar": (0.6, 0.8, 0.0), "shoulder": (0.95, 0.28, -0.1)}
    middle = {"spine1": (0, 1, -0.03), "spine2": (0, 1, 0), "spine3": (0, 1, 0.06)}
    middle |= {"neck": (0, 1, -0.05), "head": (0, 0.86, 0.5)}
    shape = get_skeleton("humanml3d")
    rest = np.zeros((shape.joints, 3))
    for joint, name in enumerate(shape.joint_names):
        side, _, part = name.rpartition("_")
        direction = np.array(middle.get(name) or outward.get(part) or (0, -1, 0), dtype=float)
        direction[0] *= -1 if side == "right" else 1
        rest[joint] = direction / np.linalg.norm(direction) * shape.bone_lengths[joint]
    return rest


REST = _rest_offsets()
_LENGTHS = np.linalg.norm(REST, axis=-1)
THIGH, SHIN, FOOT = _LENGTHS[[4, 5]], _LENGTHS[[7, 8]], _LENGTHS[[10, 11]]
_UPPER_ARM, _FOREARM = _LENGTHS[[18, 19]], _LENGTHS[[20, 21]]
_FOOT_ANGLE = np.arcsin(ANKLE_HEIGHT / FOOT)  # of the bone below the horizontal in a flat foot


def standing_height(bend: float = 0.994) -> float:
    """Pelvis height of a figure whose legs are stretched to the fraction ``bend``."""
    return ANKLE_HEIGHT - REST[1, 1] + bend * float((THIGH + SHIN).min())


def rotation(pitch: np.ndarray, roll: np.ndarray, yaw: np.ndarray) -> np.ndarray:
    """Rotation matrices (frames, 3, 3): roll about z, then pitch about x, then yaw about y."""
    cp, sp, cr, sr, cy, sy = (
        *(np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll)),
        *(np.cos(yaw), np.sin(yaw)),
    )
    entries = [
        *(cy * cr + sy * sp * sr, sy * sp * cr - cy * sr, sy * cp),
        *(cp * sr, cp * cr, -sp),
        *(cy * sp * sr - sy * cr, sy * sr + cy * sp * cr, cy * cp),
    ]
    return np.stack(entries, axis=-1).reshape(-1, 3, 3)


def joints_of(track: Track) -> np.ndarray:
    """Joint positions (frames, 22, 3) in metres; bones keep the reference lengths.

    The pelvis is lowered where a foot on the floor would otherwise be out of the legs' reach.
    """
    joints = np.zeros((len(track), len(REST), 3))
    pelvis = rotation(track["pitch"], track["roll"], track["yaw"] + track["twist"])
    ankles, balls = _feet(track)
    hips = np.stack([pelvis @ REST[1], pelvis @ REST[2]], axis=1)
    joints[:, 0] = np.stack([track["x"], track["y"], track["z"]], axis=-1)
    joints[:, 0, 1] = _reachable_height(track, joints[:, 0] * [1, 0, 1], hips, ankles)
    _pose_spine_and_arms(track, pelvis, joints)
    _pose_legs(track, hips, ankles, balls, joints)
    return joints


def _feet(track: Track) -> tuple[np.ndarray, np.ndarray]:
    """Ankles and balls (frames, side, 3). Heel up turns about the ball, toes up about the heel."""
    foot = np.stack([track["left_foot"], track["right_foot"]], axis=1)
    pitch, yaw = foot[..., FOOT_PITCH], foot[..., FOOT_YAW]
    forward = np.stack([np.sin(yaw), np.zeros_like(yaw), np.cos(yaw)], axis=-1)
    up = np.array([0.0, 1.0, 0.0])
    toes_up = np.maximum(-pitch, 0)[..., None]
    sole = FOOT * np.cos(_FOOT_ANGLE) + HEEL_BEHIND
    turn = (np.cos(toes_up) - 1) * forward + np.sin(toes_up) * up
    balls = foot[..., :3] + sole[:, None] * turn
    angle = (_FOOT_ANGLE + pitch)[..., None]
    ankles = balls + FOOT[:, None] * (np.sin(angle) * up - np.cos(angle) * forward)
    return ankles, balls


def _reachable_height(track: Track, ground: np.ndarray, hips: np.ndarray, ankles: np.ndarray):
    """The wanted pelvis height, or less where a foot near the floor needs it (a soft minimum)."""
    gap = (ankles - ground[:, None] - hips)[..., [0, 2]]
    reach = 0.998 * (THIGH + SHIN)
    drop = np.sqrt(np.maximum(reach**2 - (gap**2).sum(-1), 0.01))
    airborne = np.maximum(np.stack([track["left_foot"], track["right_foot"]], 1)[..., FOOT_Y], 0)
    limit = (ankles[..., 1] + drop - hips[..., 1] + 4 * airborne).min(axis=1)
    excess = track["y"] - limit
    softness = 0.008
    return track["y"] - softness * np.logaddexp(0, excess / softness)


def _pose_spine_and_arms(track: Track, pelvis: np.ndarray, joints: np.ndarray) -> None:
    bend = rotation(track["spine_pitch"] / 3, track["spine_roll"] / 3, track["spine_twist"] / 3)
    joints[:, 3] = joints[:, 0] + pelvis @ REST[3]
    lower = pelvis @ bend
    joints[:, 6] = joints[:, 3] + lower @ REST[6]
    middle = lower @ bend
    joints[:, 9] = joints[:, 6] + middle @ REST[9]
    chest = middle @ bend
    joints[:, 12] = joints[:, 9] + chest @ REST[12]
    head = chest @ rotation(track["head_pitch"], track["head_roll"], track["head_yaw"])
    joints[:, 15] = joints[:, 12] + head @ REST[15]
    for index, arm in enumerate((track["left_arm"], track["right_arm"])):
        joints[:, 13 + index] = joints[:, 9] + chest @ REST[13 + index]
        _pose_arm(arm, index, chest, joints)


def _pose_arm(arm: np.ndarray, index: int, chest: np.ndarray, joints: np.ndarray) -> None:
    """Wrist at (lift, azimuth, reach) from the shoulder in the chest's frame; elbow by swivel.

    Lift is -90 degrees for a hanging arm and may pass it (backward swing); azimuth 0 is outward,
    90 degrees forward. Swivel turns the elbow outward from below (or behind, when hanging).
    """
    lift, azimuth, side = arm[:, LIFT], arm[:, AZIMUTH], _SIDE[index]
    zero = np.zeros_like(lift)
    raised = side * 0.17 * (1 + np.sin(lift)) ** 1.4
    forward = -side * 0.22 * np.maximum(np.cos(lift), 0) * np.sin(azimuth) * arm[:, REACH]
    collar = chest @ rotation(zero, raised, forward)
    shoulder = joints[:, 13 + index] + collar @ REST[16 + index]
    outward, ahead = side * np.cos(azimuth), np.sin(azimuth)
    cos, sin = np.cos(lift), np.sin(lift)
    direction = np.stack([cos * outward + side * arm[:, SPREAD], sin, cos * ahead], axis=-1)
    direction = _unit(direction)
    below = np.stack([sin * outward, -cos, sin * ahead], axis=-1)
    across = side * np.cross(direction, below)
    pole = np.cos(arm[:, SWIVEL, None]) * below + np.sin(arm[:, SWIVEL, None]) * across
    direction, pole = ((chest @ v[..., None])[..., 0] for v in (direction, pole))
    upper, fore = _UPPER_ARM[index], _FOREARM[index]
    wrist = shoulder + direction * (arm[:, REACH, None] * (upper + fore))
    joints[:, 16 + index] = shoulder
    joints[:, 18 + index], joints[:, 20 + index] = _two_bones(shoulder, wrist, upper, fore, pole)


def _pose_legs(track: Track, hips, ankles, balls, joints: np.ndarray) -> None:
    facing = track["yaw"] + track["twist"]
    for index, foot in enumerate((track["left_foot"], track["right_foot"])):
        hip = joints[:, 0] + hips[:, index]
        knee_yaw = 0.5 * (facing + foot[:, FOOT_YAW]) + _SIDE[index] * foot[:, SPLAY]
        left = np.stack([np.cos(knee_yaw), 0 * knee_yaw, -np.sin(knee_yaw)], axis=-1)
        pole = np.cross(ankles[:, index] - hip, left)
        knee, ankle = _two_bones(hip, ankles[:, index], THIGH[index], SHIN[index], pole)
        joints[:, 1 + index], joints[:, 4 + index], joints[:, 7 + index] = hip, knee, ankle
        joints[:, 10 + index] = ankle + (balls - ankles)[:, index]


def _two_bones(root, target, first: float, second: float, pole):
    """Middle and end of a two-bone limb that reaches for ``target`` and bends towards ``pole``."""
    reach = target - root
    axis = _unit(reach)
    shortest, longest = 1.02 * abs(first - second) + 0.05, 0.999 * (first + second)
    distance = np.clip(np.linalg.norm(reach, axis=-1, keepdims=True), shortest, longest)
    along = (first**2 - second**2 + distance**2) / (2 * distance)
    aside = np.sqrt(np.maximum(first**2 - along**2, 0))
    bend = _unit(pole - (pole * axis).sum(-1, keepdims=True) * axis)
    return root + along * axis + aside * bend, root + distance * axis


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)
