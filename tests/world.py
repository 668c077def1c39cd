"""One tiny trained chain for all tests of the commands, and a place to break copies of it."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lead.cli.main import main
from lead.core.errors import LINE_MOST
from lead.data.contents import STAMPS
from lead.data.packing import pack
from lead.data.sources.cmu_open import CmuOpenSource

LIGHT = (
    *("size=tiny", "text_encoder=hash", "trainer.accelerator=cpu", "trainer.precision=fp32"),
    *("trainer.progress=false", "trainer.threads=1", "trainer.validate_every=2"),
)
"""Options of a training that takes a second."""


@dataclass(frozen=True)
class World:
    """The trained chain (to read) and a folder of the test's own (to break)."""

    make_chain: Callable[[], Path]
    here: Path

    @property
    def chain(self) -> Path:
        return self.make_chain()

    @property
    def data(self) -> Path:
        return self.chain / "datasets" / "cmu_open"

    @property
    def motion(self) -> Path:
        return self.chain / "clips" / "000.npz"

    def run(self, stage: str) -> Path:
        return self.chain / "checkpoints" / f"cmu_open-tiny-{stage}"

    def train(self, stage: str, **options: object) -> list[str]:
        """Words of a training that would work, on the chain's runs; options replace or add."""
        earlier = {"vae": {}, "diffusion": {"vae": self.run("vae")}}
        earlier["projector"] = {"diffusion": self.run("diffusion")}
        earlier["distill"] = {"teacher": self.run("diffusion")}
        earlier |= {"evaluator": {}, "classifier": {"stage__labels": "[action]"}}
        earlier |= {"autoencoder": {}, "flow": {}}
        values = {"dataset": self.data, "run": self.here / "run", **earlier[stage], **options}
        given = [f"{key.replace('__', '.')}={value}" for key, value in values.items()]
        return ["train", f"stage={stage}", *LIGHT, "trainer.max_steps=2", *given]

    def generate(self, **options: object) -> list[str]:
        """Words of a generation that would work, on the chain's projector."""
        values = {"run": self.run("projector"), "output": self.here / "clips", "device": "cpu"}
        values |= {"formats": "[npz]", "sheet": "false", "sampling__steps": 2, "seconds": 3}
        values |= options
        if "prompts" not in values:
            values.setdefault("text", "a person walks")
        given = [f"{key.replace('__', '.')}={value}" for key, value in values.items()]
        return ["generate", *(word for word in given if not word.endswith("=None"))]

    def copy_data(self) -> Path:
        """A copy of the dataset, to be changed: without the stamps that would tell of it."""
        return shutil.copytree(
            self.data, self.here / "data", ignore=shutil.ignore_patterns("cache", STAMPS)
        )

    def copy_runs(self) -> Path:
        """Copies of the three runs, which find each other as the originals do."""
        return shutil.copytree(self.chain / "checkpoints", self.here / "checkpoints")

    def copy_run(self, stage: str) -> Path:
        """One run, beside copies of the ones it stands on."""
        return self.copy_runs() / f"cmu_open-tiny-{stage}"

    def file(self, name: str, content: str | bytes = "") -> Path:
        path = self.here / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def figure(self, name: str, frames: int = 61) -> Path:
        """A small BVH file in Mixamo's naming: a T pose that walks 3 cm a frame."""
        return self.file(name, bvh_text(frames))


def bvh_text(frames: int) -> str:
    lines = ["HIERARCHY"]

    def add(joint: str) -> None:
        kind, channels = (
            ("JOINT", "3") if lines[1:] else ("ROOT", "6 Xposition Yposition Zposition")
        )
        lines.extend([f"{kind} {joint}", "{", "OFFSET {} {} {}".format(*_RIG[joint][1])])
        lines.append(f"CHANNELS {channels} Zrotation Xrotation Yrotation")
        for child, (parent, _) in _RIG.items():
            if parent == joint:
                add(child)
        lines.append("}")

    add("Hips")
    lines += ["MOTION", f"Frames: {frames}", "Frame Time: 0.05"]
    for frame in range(frames):
        turns = 10 * np.sin(frame / 5 + np.arange(3 * len(_RIG)))
        turns[:3] = 0
        lines.append(" ".join(f"{value:.4f}" for value in (0, 95, 3 * frame, *turns)))
    return "\n".join(lines) + "\n"


_RIG = {
    "Hips": ("", (0, 95, 0)),
    "Spine": ("Hips", (0, 12, 1)),
    "Spine1": ("Spine", (0, 13, 1)),
    "Spine2": ("Spine1", (0, 6, 0)),
    "Neck": ("Spine2", (0, 20, -2)),
    "Head": ("Neck", (0, 9, 5)),
}
for _side, _sign in (("Left", 1), ("Right", -1)):
    _RIG |= {
        f"{_side}Shoulder": ("Spine2", (7 * _sign, 11, 0)),
        f"{_side}Arm": (f"{_side}Shoulder", (11 * _sign, 3, 0)),
        f"{_side}ForeArm": (f"{_side}Arm", (27 * _sign, 0, 0)),
        f"{_side}Hand": (f"{_side}ForeArm", (25 * _sign, 0, 0)),
        f"{_side}UpLeg": ("Hips", (9 * _sign, -7, 0)),
        f"{_side}Leg": (f"{_side}UpLeg", (_sign, -40, 1)),
        f"{_side}Foot": (f"{_side}Leg", (0, -41, -3)),
        f"{_side}ToeBase": (f"{_side}Foot", (_sign, -5, 13)),
    }


class Labelled(CmuOpenSource):
    """The motions that come with lead, with labels made up for what asks for classes."""

    def load(self, items):
        kinds = [(action, speed) for action in ("walk", "bow", "run") for speed in ("slow", "fast")]
        return [
            replace(clip, labels={**clip.labels, "action": f"{action}{place % 2}", "speed": speed})
            for place, clip in enumerate(super().load(items))
            for action, speed in [kinds[place % len(kinds)]]
        ]


def make_chain(folder: Path) -> Path:
    """A folder with a cmu_open dataset, a run of each stage and a generated clip."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        runs = {stage: f"checkpoints/cmu_open-tiny-{stage}" for stage in ("vae", "diffusion")}
        pack(Labelled(clips=16), Path("datasets/cmu_open"), workers=1)
        for words in (
            ["train", "stage=vae", *LIGHT, "trainer.max_steps=2"],
            ["train", "stage=diffusion", f"vae={runs['vae']}", *LIGHT, "trainer.max_steps=2"],
            [
                *("train", "stage=projector", f"diffusion={runs['diffusion']}", *LIGHT),
                "trainer.max_steps=2",
            ],
            [
                *("generate", "run=checkpoints/cmu_open-tiny-projector", "text=a person walks"),
                *("seconds=3", "output=clips", "sampling.steps=2", "formats=[npz]", "device=cpu"),
            ],
        ):
            assert main(words) == 0, words
    finally:
        os.chdir(before)
    return folder


def refusing(world: World, capfd, base: Path) -> Callable[..., str]:
    """Run a command that has to fail: one line, the right exit code, nothing changed on disk."""

    def run(words: list, code: int = 2) -> str:
        words = [str(word) for word in words]
        folders = [world.here, *base.glob("chain*")]
        before = [_listing(folder) for folder in folders]
        capfd.readouterr()
        given = main(words)
        stderr = capfd.readouterr().err
        assert "Traceback" not in stderr
        assert len(stderr.splitlines()) == 1, stderr
        assert stderr.startswith("lead: "), stderr
        assert given == code, (given, stderr)
        assert [_listing(folder) for folder in folders] == before, stderr
        return stderr.removeprefix("lead: ").strip()

    return run


def trying(world: World, capfd) -> Callable[[list], str | None]:
    """Run a command: what it said on one line where it failed, None where it did its work."""

    def run(words: list) -> str | None:
        before = sorted(world.here.rglob("*"))
        capfd.readouterr()
        code = main([str(word) for word in words])
        said = capfd.readouterr().err
        if code == 0:
            return None
        assert code in (1, 2)
        assert said.startswith("lead: "), said
        assert len(said.splitlines()) == 1, said
        assert len(said.strip()) <= LINE_MOST + len("lead: ")
        assert sorted(world.here.rglob("*")) == before, said
        return said

    return run


def _listing(folder: Path) -> dict[str, tuple]:
    """Every file with its size and time, every folder by name; twice for each refusal."""
    found = {}
    for place, folders, files in os.walk(folder):
        found.update((f"{place}/{name}", ()) for name in folders)
        for path in (f"{place}/{name}" for name in files):
            state = os.lstat(path)
            found[path] = (state.st_size, state.st_mtime_ns)
    return found
