"""What the files of a packed dataset hold, by hash; and whether one was changed in place since.

Hashes stand in the manifest, and name caches and runs. ``stamps.json`` beside it has the size and
time of each file: where these are as they were, nothing is hashed again. Times are no part of the
manifest, so that equal data make equal manifests.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated

from pydantic import Field

from lead.core.errors import LeadError
from lead.core.files import content_hash, write_json
from lead.core.reading import check_regular
from lead.core.schema import FileName, Hash, Schema, read_file

STATISTICS = ("Mean.npy", "Std.npy")
STAMPS = "stamps.json"


class Contents(Schema):
    """What a manifest says of the files beside it."""

    hashes: dict[FileName, Hash] = {}  # of each split
    data_hash: Hash  # of all features, captions and statistics


class _Stamps(Schema):
    """``stamps.json``: bytes, and nanoseconds since 1970, of each file of this content."""

    data_hash: Hash
    files: dict[FileName, Annotated[list[int], Field(min_length=2, max_length=2)]]


def part_names(split: str) -> tuple[str, str]:
    """The files of one split: its features and its index."""
    return f"{split}.npy", f"{split}.index.json"


def record_contents(folder: Path, splits: Iterable[str]) -> dict[str, object]:
    """Write the stamps of a dataset's files; returns the entries of its manifest about them."""
    hashes = {split: _hash(folder, part_names(split)) for split in splits}
    data_hash = _data_hash(folder, hashes)
    _write_stamps(folder, data_hash, _stamps(folder, hashes))
    return {"hashes": hashes, "data_hash": data_hash}


def find_changed(folder: Path, recorded: Contents, advice: str) -> str | None:
    """The first file with another content than was recorded, None where all are as they were.

    A file that is missing is passed over: who reads it says so. A copied dataset has new times: it
    is hashed once. None, too, for a dataset of before there were stamps.
    """
    if not (folder / STAMPS).is_file():
        return None
    known = read_file(_Stamps, folder / STAMPS, advice)
    files = known.files if known.data_hash == recorded.data_hash else {}
    found = _stamps(folder, recorded.hashes)
    apart = [name for name, stamp in found.items() if stamp != files.get(name)]
    for split, wanted in recorded.hashes.items():
        own = [name for name in part_names(split) if name in apart]
        if own and _hash(folder, part_names(split)) != wanted:
            return own[0]
    own = [name for name in STATISTICS if name in apart]
    if own and _data_hash(folder, recorded.hashes) != recorded.data_hash:
        return own[0]
    if apart:
        with suppress(OSError, LeadError):  # where it cannot be written it is hashed each time
            _write_stamps(folder, recorded.data_hash, found)
    return None


def _stamps(folder: Path, hashes: Mapping[str, str]) -> dict[str, list[int]]:
    """The stamp of each file that is there."""
    found = {}
    for name in (*STATISTICS, *(name for split in hashes for name in part_names(split))):
        with suppress(FileNotFoundError):
            state = (folder / name).stat()
            found[name] = [state.st_size, state.st_mtime_ns]
    return found


def _write_stamps(folder: Path, data_hash: str, files: Mapping[str, list[int]]) -> None:
    write_json(folder / STAMPS, {"data_hash": data_hash, "files": files})


def _hash(folder: Path, names: Iterable[str]) -> str:
    return content_hash(*(check_regular(folder / name) for name in names))


def _data_hash(folder: Path, hashes: Mapping[str, str]) -> str:
    statistics = _hash(folder, STATISTICS)
    return content_hash(*(hashes[name] for name in sorted(hashes)), statistics)
