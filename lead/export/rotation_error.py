"""What a motion loses where a format holds rotations of constant bones."""

import numpy as np

from lead.representation.joint_rotations import JointRotations

WORTH_A_REMARK = 0.001  # metres


def rotation_remark(*figures: JointRotations) -> str | None:
    """One line on how far the joints have moved, or None where it is less than a millimetre.

    Bones of generated motions change their lengths a little from frame to frame.
    """
    errors = np.concatenate([figure.errors for figure in figures])
    if errors.max() < WORTH_A_REMARK:
        return None
    joint = figures[0].skeleton.joint_names[int(errors.max(axis=0).argmax())]
    return (
        f"constant bone lengths move the joints by {1000 * errors.mean():.1f} mm on average, by up "
        f"to {1000 * errors.max():.0f} mm ({joint})"
    )
