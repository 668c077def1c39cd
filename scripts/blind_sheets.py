"""Motions judged blind: pictures in random order, each with five sentences to choose from.

usage: python scripts/blind_sheets.py draw OUTPUT FOLDER_OF_CLIPS ...    clips of `lead generate`
       python scripts/blind_sheets.py real OUTPUT DATASET COUNT          clips of people, test split
       python scripts/blind_sheets.py score OUTPUT ANSWERS

`draw` writes NUMBER.png for each clip, questions.txt (a clip's number and five sentences, one of
which is its own and the others of other kinds) and key.json, which a judge does not see. `real`
writes such a folder of clips for `draw`. ANSWERS has a line a clip, number and letter.
"""

import sys
from pathlib import Path

import numpy as np

from lead.core.files import write_json
from lead.core.reading import read_json
from lead.data.packed import open_dataset
from lead.evaluation.estimate import estimate
from lead.export.contact_sheet import write_contact_sheet
from lead.export.motion_file import Motion, read_motion, write_motion
from lead.representation import features_to_joints

CHOICES, SEED, POSES = 5, 1, 12
KINDS = Path(__file__).parents[1] / "docs" / "results" / "sixty_sentences.tsv"


def draw(output: Path, folders: list[Path]) -> None:
    """Pictures without captions, the questions, and the key."""
    kinds = dict(line.split("\t")[::2] for line in KINDS.read_text(encoding="utf-8").splitlines())
    clips = []
    for folder in folders:
        for path in sorted(folder.glob("*.npz")):
            motion = read_motion(path)
            kind = motion.provenance.get("kind", kinds.get(motion.text, motion.text))
            clips.append((folder.name, kind, motion))
    rng = np.random.default_rng(SEED)
    output.mkdir(parents=True, exist_ok=True)
    key, lines = {}, []
    for number, place in enumerate(rng.permutation(len(clips)).tolist()):
        source, kind, motion = clips[place]
        text, joints, fps = motion.text, motion.joints, motion.fps
        others = sorted({m.text for s, k, m in clips if s == source and k != kind})
        offered = [text, *rng.choice(others, CHOICES - 1, replace=False).tolist()]
        offered = [offered[at] for at in rng.permutation(CHOICES)]
        name = f"{number:03d}"
        sheet = [(joints, f"{len(joints) / fps:.1f} s")]
        write_contact_sheet(output / f"{name}.png", sheet, 1, POSES, fps=fps, cell=(1600, 420))
        lines.append(f"{name}\n" + "".join(f"  {chr(97 + i)} {t}\n" for i, t in enumerate(offered)))
        key[name] = {"source": source, "text": text, "kind": kind}
        key[name]["letter"] = chr(97 + offered.index(text))
    (output / "questions.txt").write_text("\n".join(lines), encoding="utf-8")
    write_json(output / "key.json", key)


def real(output: Path, dataset: Path, count: int) -> None:
    """Clips of the test split that people described, one of each sentence, as npz files."""
    opened = open_dataset(dataset)
    split, rng = opened.split("test"), np.random.default_rng(SEED)
    people = [at for at, labels in enumerate(split.labels) if labels.get("captions") != "lead"]
    order = [people[at] for at in rng.permutation(len(people))]
    seen: set[str] = set()
    for place in order:
        group = split.labels[place].get("content") or split.captions[place][0]
        if group in seen or len(seen) == count:
            continue
        seen.add(group)
        features = split.clip(place)
        joints = features_to_joints(features, opened.skeleton.name)
        text = str(rng.choice(split.captions[place]))
        motion = Motion(joints, features, text, 0, opened.fps, provenance={"kind": group})
        write_motion(output / f"{len(seen):03d}.npz", motion)


def score(output: Path, answers: Path) -> None:
    """The share of right choices by source, with intervals over clips, and each wrong one."""
    key = read_json(output / "key.json")
    given = dict(
        line.split()[:2]
        for line in answers.read_text(encoding="utf-8").splitlines()
        if line.strip()
    )
    right: dict[str, list[float]] = {}
    for name, entry in key.items():
        hit = given.get(name, "").lower().strip(".)") == entry["letter"]
        right.setdefault(entry["source"], []).append(float(hit))
        if not hit:
            print(
                f"  {entry['source']}, taken for something else: {entry['kind']}: {entry['text']}"
            )
    for source, hits in right.items():
        share = estimate(hits)
        print(f"{source}: {share.mean:.1%} ± {share.margin:.1%} of {len(hits)} (chance 20 %)")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["draw", output, *folders] if folders:
            draw(Path(output), [*map(Path, folders)])
        case ["real", output, dataset, count]:
            real(Path(output), Path(dataset), int(count))
        case ["score", output, answers]:
            score(Path(output), Path(answers))
        case _:
            sys.exit(__doc__)
