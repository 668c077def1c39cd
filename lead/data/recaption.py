"""New captions for a packed dataset, without reading a motion again."""

import os
import shutil
from pathlib import Path
from typing import Protocol, runtime_checkable

from lead.core.errors import RequestError
from lead.core.files import atomic_folder, write_json
from lead.core.schema import read_file
from lead.data.contents import STATISTICS, part_names, record_contents
from lead.data.packed import AGAIN, Index, open_dataset
from lead.data.source import Caption


@runtime_checkable
class Captioner(Protocol):
    """A source that writes captions from what a clip is labelled with."""

    name: str

    def captions_of(self, clip_id: str, labels: dict[str, str]) -> tuple[Caption, ...]:
        """Captions of one clip, the same for the same id always."""


def recaption(captioner: Captioner, folder: Path) -> int:
    """Write the captions of a prepared dataset anew, in place, and return how many there are.

    Motions and splits stay bit for bit, and the manifest notes the earlier hashes under
    ``same_motions``: VAE runs that read no captions stay valid. Caches go. Raises RequestError for
    a dataset of another source.
    """
    dataset = open_dataset(folder)
    manifest = dataset.manifest
    if manifest.name != captioner.name:
        raise RequestError(
            f"{folder} holds '{manifest.name}', not '{captioner.name}': name its own source"
        )
    written = 0
    with atomic_folder(folder, replace=True) as new:
        for name in (*STATISTICS, "report.json"):
            _link(folder / name, new / name)
        for split in manifest.clips:
            array, listed = part_names(split)
            index = read_file(Index, folder / listed, AGAIN)
            clips = zip(index.id, index.labels, strict=True)
            captions = [captioner.captions_of(clip.partition("#")[0], of) for clip, of in clips]
            written += sum(map(len, captions))
            _link(folder / array, new / array)
            changes = {
                "captions": [[caption.text for caption in clip] for clip in captions],
                "tokens": [[caption.tokens for caption in clip] for clip in captions],
            }
            write_json(new / listed, index.model_dump() | changes)
        contents = record_contents(new, manifest.clips)
        same = {manifest.data_hash, *manifest.same_motions} - {contents["data_hash"]}
        kept = manifest.model_dump(by_alias=True, exclude_unset=True)
        write_json(new / "manifest.json", {**kept, **contents, "same_motions": sorted(same)})
    return written


def _link(old: Path, new: Path) -> None:
    """The same file under a second name; a copy where the disk cannot do that."""
    try:
        os.link(old, new)
    except OSError:
        shutil.copyfile(old, new)
