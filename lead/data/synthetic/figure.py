"""Who acts and how: the person's habits, and the manner of one action."""

from dataclasses import dataclass

import numpy as np

from lead.data.synthetic.pose import CHANNELS, WIDTH, standing_height

FIRST_BALL = 0.10  # metres the balls of the feet stand ahead of the pelvis


@dataclass(frozen=True)
class Figure:
    """Habits that stay the same through a clip."""

    stance: float = 0.1  # half the distance between the feet, metres
    toes_out: float = 0.12  # radians
    slouch: float = 0.0
    arm_spread: float = 0.1
    arm_reach: float = 0.965
    arm_swing: float = 1.0
    sway: float = 1.0
    bounce: float = 1.0
    stride: float = 1.0

    def stand(self) -> np.ndarray:
        """Channels (WIDTH,) of standing at the origin, facing +Z, arms hanging."""
        pose = np.zeros(WIDTH)
        changes = {
            "y": standing_height(),
            "spine_pitch": 0.03 + self.slouch,
            "head_pitch": 0.05 + 0.6 * self.slouch,
            "left_arm": self.hanging_arm(),
            "right_arm": self.hanging_arm(),
            "left_foot": (self.stance, 0, FIRST_BALL, self.toes_out, 0, 0),
            "right_foot": (-self.stance, 0, FIRST_BALL, -self.toes_out, 0, 0),
        }
        for name, value in changes.items():
            pose[CHANNELS[name]] = value
        return pose

    def hanging_arm(self, forward: float = 0.1, reach: float = 0.0) -> tuple[float, ...]:
        """Arm channels of an arm that hangs, swung ``forward`` by some radians."""
        return (-np.pi / 2 + forward, np.pi / 2, reach or self.arm_reach, 0.2, self.arm_spread)


@dataclass(frozen=True)
class Manner:
    """How one action is done. Sided actions are authored for the right and mirrored."""

    variant: str = ""
    speed: str = ""  # "slowly", "" or "quickly"
    side: str = ""  # "left", "right", or "" where the action has no side
    count: int = 1
    tempo: float = 1.0  # 1 is normal, larger is faster
    size: float = 1.0  # of the movement
    seconds: float = 4.0  # wished length of actions that can go on


def draw_figure(rng: np.random.Generator) -> Figure:
    """A person with habits of their own."""
    return Figure(
        stance=rng.uniform(0.085, 0.125),
        toes_out=rng.uniform(0.04, 0.22),
        slouch=rng.uniform(-0.03, 0.07),
        arm_spread=rng.uniform(0.07, 0.16),
        arm_reach=rng.uniform(0.94, 0.985),
        arm_swing=rng.uniform(0.7, 1.35),
        sway=rng.uniform(0.7, 1.3),
        bounce=rng.uniform(0.7, 1.3),
        stride=rng.uniform(0.92, 1.08),
    )
