"""The CMU motions that come with lead, made anew from the raw files and their sentences.

usage: python scripts/make_cmu_open.py DIR      (a folder that `lead prepare data=cmu` reads)
"""

import sys
from pathlib import Path

from lead.data.cmu_open import FOLDER, read_joints, write_clips
from lead.data.source import usable
from lead.data.sources.cmu import CmuSource


def main(source: Path) -> None:
    """Write lead/data/cmu_open/clips.npz and index.json."""
    collection = CmuSource(source)
    clips, rejected = collection.load_joints(usable(collection.list_items()))
    longest = collection.max_frames + 1
    kept = [
        (item, joints) for item, joints in clips if collection.min_frames < len(joints) <= longest
    ]
    write_clips(FOLDER, kept)
    frames = sum(len(joints) for _, joints in read_joints({item.id for item, _ in kept}))
    left = len(rejected) + len(clips) - len(kept)
    size = (FOLDER / "clips.npz").stat().st_size / 1e6
    print(f"{len(kept)} clips, {frames / 20 / 60:.1f} minutes, {size:.1f} MB; {left} left out")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
