"""New captions for a packed dataset, without reading a motion again."""

import os
import shutil
from pathlib import Path
from typing import Protocol, runtime_checkable

from lead.core.errors import RequestError
from lead.core.files import atomic_folder, content_hash, write_json
from lead.core.reading import read_json
from lead.data.packed import open_dataset
from lead.data.source import Caption

_ARRAYS = ("Mean.npy", "Std.npy", "report.json")


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
    if manifest["name"] != captioner.name:
        raise RequestError(
            f"{folder} holds '{manifest['name']}', not '{captioner.name}': name its own source"
        )
    hashes, written = {}, 0
    with atomic_folder(folder, replace=True) as new:
        for name in _ARRAYS:
            _link(folder / name, new / name)
        for split in manifest["clips"]:
            index = read_json(folder / f"{split}.index.json")
            clips = zip(index["id"], index["labels"], strict=True)
            captions = [captioner.captions_of(clip.partition("#")[0], of) for clip, of in clips]
            index["captions"] = [[caption.text for caption in clip] for clip in captions]
            index["tokens"] = [[caption.tokens for caption in clip] for clip in captions]
            written += sum(map(len, captions))
            _link(folder / f"{split}.npy", new / f"{split}.npy")
            write_json(new / f"{split}.index.json", index)
            hashes[split] = content_hash(new / f"{split}.npy", new / f"{split}.index.json")
        statistics = content_hash(new / "Mean.npy", new / "Std.npy")
        data_hash = content_hash(*(hashes[name] for name in sorted(hashes)), statistics)
        same = {manifest["data_hash"], *dataset.same_motions} - {data_hash}
        changes = {"hashes": hashes, "data_hash": data_hash, "same_motions": sorted(same)}
        write_json(new / "manifest.json", {**manifest, **changes})
    return written


def _link(old: Path, new: Path) -> None:
    """The same file under a second name; a copy where the disk cannot do that."""
    try:
        os.link(old, new)
    except OSError:
        shutil.copyfile(old, new)
