"""Small ASF and AMC files, and where their joints are by SciPy's rotations."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

# A whole person: bone -> (parent, from its start to its end in metres).
PERSON = {
    "lowerback": ("root", (0, 0.12, 0)),
    "upperback": ("lowerback", (0, 0.12, 0)),
    "thorax": ("upperback", (0, 0.12, 0.01)),
    "lowerneck": ("thorax", (0, 0.09, 0)),
    "upperneck": ("lowerneck", (0, 0.09, 0)),
    "head": ("upperneck", (0, 0.1, 0.02)),
}
for _side, _sign in (("l", 1), ("r", -1)):
    PERSON |= {
        f"{_side}hipjoint": ("root", (0.1 * _sign, -0.1, 0.04)),
        f"{_side}femur": (f"{_side}hipjoint", (0.14 * _sign, -0.39, 0)),
        f"{_side}tibia": (f"{_side}femur", (0.14 * _sign, -0.4, 0)),
        f"{_side}foot": (f"{_side}tibia", (0.01 * _sign, -0.03, 0.12)),
        f"{_side}toes": (f"{_side}foot", (0, 0, 0.06)),
        f"{_side}clavicle": ("thorax", (0.19 * _sign, 0.05, 0)),
        f"{_side}humerus": (f"{_side}clavicle", (0.28 * _sign, 0, 0)),
        f"{_side}radius": (f"{_side}humerus", (0.19 * _sign, 0, 0)),
        f"{_side}wrist": (f"{_side}radius", (0.09 * _sign, 0, 0)),
        f"{_side}hand": (f"{_side}wrist", (0.03 * _sign, 0, 0)),
    }


@dataclass
class Dialect:
    """How a pair of files is written; the defaults are CMU's way."""

    axis_order: str = "XYZ"
    dofs: tuple[str, ...] = ("rx", "ry", "rz")
    root_order: tuple[str, ...] = ("TX", "TY", "TZ", "RX", "RY", "RZ")
    asf_radians: bool = False
    amc_angle: str | None = ":DEGREES"  # None: as the skeleton's
    length: float = 0.45
    keyword: str = ":FULLY-SPECIFIED"
    newline: str = "\n"
    comments: bool = False
    indent: str = "  "
    without_dof: tuple[str, ...] = ("lhipjoint", "rhipjoint")
    missing: tuple[str, ...] = ()  # bones that the motion does not name


@dataclass
class Figure:
    """Random turns of every bone in a dialect, its two files, and its joints."""

    dialect: Dialect
    frames: int = 5
    seed: int = 0
    axes: dict[str, np.ndarray] = field(default_factory=dict)
    turns: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        seconds = np.arange(self.frames)[:, None] / 120
        for bone in PERSON:
            count = 0 if bone in self.dialect.without_dof else len(self.dialect.dofs)
            waves = np.sin(3 * seconds + rng.uniform(0, 6, count))
            self.axes[bone] = rng.uniform(-180, 180, 3).round(3)
            self.turns[bone] = (rng.uniform(-20, 20, count) + 20 * waves).round(4)
        count = len(self.dialect.root_order)
        self.root = (rng.uniform(-20, 20, count) + rng.uniform(-9, 9, count) * seconds).round(4)

    def write(self, folder: Path, stem: str = "01_01", skeleton: str = "01") -> Path:
        """Write SKELETON.asf and STEM.amc; the path of the second."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, lines in ((f"{skeleton}.asf", self.asf()), (f"{stem}.amc", self.amc())):
            if self.dialect.comments:
                lines = [f"# {name} # of a test", *(f"{line} # {line}" for line in lines)]
            text = self.dialect.newline.join(lines) + self.dialect.newline
            (folder / name).write_bytes(text.encode())
        return folder / f"{stem}.amc"

    def asf(self) -> list[str]:
        """The lines of the skeleton."""
        dialect, tab = self.dialect, self.dialect.indent
        lines = [":version 1.10", ":name TEST", ":units", f"{tab}mass 1.0"]
        lines += [f"{tab}length {dialect.length}", f"{tab}angle {self._asf_unit()}"]
        lines += [":documentation", f"{tab}made by a test", ":root"]
        lines += [f"{tab}order {' '.join(dialect.root_order)}", f"{tab}axis XYZ"]
        lines += [f"{tab}position 0 0 0", f"{tab}orientation 0 0 0", ":bonedata"]
        for number, (bone, (_, vector)) in enumerate(PERSON.items(), 1):
            length = np.linalg.norm(vector)
            direction = " ".join(map(repr, map(float, np.array(vector) / length)))
            angles = np.deg2rad(self.axes[bone]) if dialect.asf_radians else self.axes[bone]
            axis = " ".join(repr(float(angle)) for angle in angles)
            lines += [f"{tab}begin", f"{tab}{tab}id {number}", f"{tab}{tab}name {bone}"]
            lines += [f"{tab}{tab}direction {direction}"]
            lines += [f"{tab}{tab}length {float(length / self.metres)!r}"]
            lines += [f"{tab}{tab}axis {axis} {dialect.axis_order}"]
            if self.turns[bone].shape[1]:
                lines += [f"{tab}{tab}dof {' '.join(dialect.dofs)}", f"{tab}{tab}limits (-1 1)"]
                lines += [f"{tab}{tab}(-1 1)"] * (len(dialect.dofs) - 1)
            lines += [f"{tab}end"]
        lines += [":hierarchy", f"{tab}begin"]
        for parent in ("root", *PERSON):
            children = [bone for bone, (above, _) in PERSON.items() if above == parent]
            if children:
                lines += [f"{tab}{tab}{parent} {' '.join(children)}"]
        return [*lines, f"{tab}end"]

    def amc(self) -> list[str]:
        """The lines of the motion."""
        dialect = self.dialect
        lines = [word for word in (dialect.keyword, dialect.amc_angle) if word]
        for frame in range(self.frames):
            lines += [str(frame + 1), f"root {self._numbers(self._root_values(frame))}"]
            for bone, turns in self.turns.items():
                if turns.shape[1] and bone not in dialect.missing:
                    lines += [f"{bone} {self._numbers(self._angles(turns[frame]))}"]
        return lines

    @property
    def bones(self) -> list[str]:
        """Names of all bones but the root."""
        return list(PERSON)

    @property
    def metres(self) -> float:
        """Metres in a unit of the files."""
        return 0.0254 / self.dialect.length

    def write_bvh(self, folder: Path, stem: str = "01_01") -> Path:
        """The same motion as cgspeed converted it: other names, no thorax, a T-pose first."""
        folder.mkdir(parents=True, exist_ok=True)
        names = {
            **{"root": "Hips", "lowerback": "LowerBack", "upperback": "Spine", "thorax": "Spine1"},
            **{"lowerneck": "Neck", "upperneck": "Neck1", "head": "Head"},
        }
        for side, word in (("l", "Left"), ("r", "Right")):
            names |= {f"{side}hipjoint": f"{side.upper()}HipJoint", f"{side}femur": f"{word}UpLeg"}
            names |= {f"{side}tibia": f"{word}Leg", f"{side}foot": f"{word}Foot"}
            names |= {f"{side}toes": f"{word}ToeBase", f"{side}clavicle": f"{word}Shoulder"}
            names |= {f"{side}humerus": f"{word}Arm", f"{side}radius": f"{word}ForeArm"}
            names |= {f"{side}wrist": f"{word}Hand", f"{side}hand": f"{word}FingerBase"}
        lines, columns, rest = ["HIERARCHY"], [], []

        def add(bone: str) -> None:
            parent = PERSON[bone][0] if bone in PERSON else "root"
            offset = np.array(PERSON[parent][1] if parent in PERSON else (0, 0, 0)) / self.metres
            if parent in ("thorax", "lwrist", "rwrist") or bone == "root":
                offset = np.zeros(3)
            lines.extend([f"{'JOINT' if columns else 'ROOT'} {names[bone]}", "{"])
            lines.append(f"OFFSET {' '.join(repr(float(x)) for x in offset)}")
            position = "" if columns else "Xposition Yposition Zposition "
            channels = f"{6 if position else 3} {position}Zrotation Yrotation Xrotation"
            lines.append(f"CHANNELS {channels}")
            if position:
                columns.append(self.root[:, [self._root_column(f"T{axis}") for axis in "XYZ"]])
            columns.append(self.local_rotation(bone).as_euler("ZYX", degrees=True))
            straight = {"lfemur": -19.7, "rfemur": 19.7}  # the T-pose has its legs together
            rest.extend([straight.get(bone, 0.0), 0.0, 0.0])
            children = [child for child, (above, _) in PERSON.items() if above == bone]
            for child in children:
                add(child)
            if not children:
                lines.extend(["End Site", "{", "OFFSET"])
                tip = np.array(PERSON[bone][1]) / self.metres
                lines[-1] += " " + " ".join(repr(float(x)) for x in tip)
                lines.append("}")
            lines.append("}")

        add("root")
        values = np.concatenate(columns, axis=1)
        values = np.concatenate([[[*values[0, :3], *rest]], values])
        lines += ["MOTION", f"Frames: {len(values)}", "Frame Time: .0083333"]
        lines += [" ".join(repr(float(x)) for x in row) for row in values]
        path = folder / f"{stem}.bvh"
        path.write_text("\n".join(lines) + "\n")
        return path

    def local_rotation(self, bone: str) -> Rotation:
        """A bone's rotation in its parent's frame, or the root's in the world."""
        if bone == "root":
            order = [name.upper() for name in self.dialect.root_order]
            turns = [(name[1], self.root[:, n]) for n, name in enumerate(order) if name[0] == "R"]
            return _product(turns, self.frames)
        pairs = zip(self.dialect.axis_order, self.axes[bone], strict=True)
        own = _product([(axis, np.full(self.frames, angle)) for axis, angle in pairs])
        if not self.turns[bone].shape[1] or bone in self.dialect.missing:
            return Rotation.identity(self.frames)
        dofs = zip(self.dialect.dofs, self.turns[bone].T, strict=True)
        return own * _product([(dof[1].upper(), angles) for dof, angles in dofs]) * own.inv()

    def starts(self) -> dict[str, np.ndarray]:
        """Where every bone begins (frames, 3), and where it ends as ``end NAME``; file units."""
        order = [name.upper() for name in self.dialect.root_order]
        values = dict(zip(order, self.root.T, strict=True))
        place = np.stack([values.get(f"T{axis}", 0 * self.root[:, 0]) for axis in "XYZ"], axis=-1)
        world = {"root": self.local_rotation("root")}
        ends, found = {"root": place}, {"root": place}
        for bone, (parent, vector) in PERSON.items():
            world[bone] = world[parent] * self.local_rotation(bone)
            found[bone] = ends[parent]
            ends[bone] = ends[parent] + world[bone].apply(np.array(vector) / self.metres)
        return found | {f"end {bone}": place for bone, place in ends.items()}

    def _root_column(self, name: str) -> int:
        return [word.upper() for word in self.dialect.root_order].index(name)

    def _asf_unit(self) -> str:
        return "rad" if self.dialect.asf_radians else "deg"

    def _angles(self, degrees: np.ndarray) -> np.ndarray:
        radians = self.dialect.asf_radians
        if self.dialect.amc_angle is not None:
            radians = self.dialect.amc_angle.upper() == ":RADIANS"
        return np.deg2rad(degrees) if radians else degrees

    def _root_values(self, frame: int) -> np.ndarray:
        values = self.root[frame].copy()
        turned = np.array([name.upper().startswith("R") for name in self.dialect.root_order])
        values[turned] = self._angles(values[turned])
        return values

    def _numbers(self, values: np.ndarray) -> str:
        return " ".join(repr(float(value)) for value in values)


def _product(turns: list[tuple[str, np.ndarray]], frames: int = 1) -> Rotation:
    """Turns about fixed axes, one after the other: the first is made first."""
    rotation = Rotation.identity(len(turns[0][1]) if turns else frames)
    for axis, degrees in turns:
        vectors = np.outer(np.deg2rad(degrees), np.eye(3)["XYZ".index(axis)])
        rotation = Rotation.from_rotvec(vectors) * rotation
    return rotation
