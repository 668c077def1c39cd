"""What the joints of a written skeleton are called, so that other programs recognise them."""

from lead.core.errors import RequestError
from lead.representation.skeletons import HUMANML3D, Skeleton

# lead's name without its side; Mixamo's; the humanoid bone of VRM and Unity; SMPL's.
_PARTS = {
    "pelvis": ("Hips", "hips", "Pelvis"),
    "spine1": ("Spine", "spine", "Spine1"),
    "spine2": ("Spine1", "chest", "Spine2"),
    "spine3": ("Spine2", "upperChest", "Spine3"),
    "neck": ("Neck", "neck", "Neck"),
    "head": ("Head", "head", "Head"),
    "hip": ("UpLeg", "UpperLeg", "Hip"),
    "knee": ("Leg", "LowerLeg", "Knee"),
    "ankle": ("Foot", "Foot", "Ankle"),
    "foot": ("ToeBase", "Toes", "Foot"),
    "collar": ("Shoulder", "Shoulder", "Collar"),
    "shoulder": ("Arm", "UpperArm", "Shoulder"),
    "elbow": ("ForeArm", "LowerArm", "Elbow"),
    "wrist": ("Hand", "Hand", "Wrist"),
}
NAMES = ("lead", "mixamo", "vrm", "smpl")


def joint_names(skeleton: Skeleton, names: str) -> tuple[str, ...]:
    """The skeleton's joint names in one of the vocabularies of NAMES.

    ``smpl`` are those of SMPL's own FBX figures (``L_Hip``), ``vrm`` the humanoid bones of VRM, as
    Unity has them too. Raises RequestError for KIT-ML's skeleton, which has no such names.
    """
    if names == "lead":
        return skeleton.joint_names
    if skeleton != HUMANML3D:
        raise RequestError(
            f"names={names} are of humanml3d's joints: leave names out for '{skeleton.name}'"
        )
    return tuple(_named(name, names) for name in skeleton.joint_names)


def _named(name: str, names: str) -> str:
    side, _, part = name.rpartition("_")
    found = _PARTS[part][NAMES.index(names) - 1]
    if names == "mixamo":
        return f"mixamorig:{side.capitalize()}{found}"
    if names == "smpl":
        return f"{side[0].upper()}_{found}" if side else found
    return f"{side}{found}"
