"""The MP4 container (ISO/IEC 14496-12, -14 and -15) around a stream of H.264."""

import struct
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import numpy as np

from lead.export.h264 import encode, parameter_sets

_UNITY = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)  # neither turned nor moved
_START = 48  # bytes before the first picture


def write_mp4(
    path: Path, pictures: Iterable[np.ndarray], size: tuple[int, int], fps: float
) -> None:
    """Write RGB pictures (height, width, 3) of bytes as a film without sound.

    Pictures go to the disk one by one; the table of their places stands at the end.
    """
    sizes, keys = [], []
    with path.open("wb") as file:
        file.write(_box("ftyp", b"isom", struct.pack(">I", 512), b"isomiso2avc1mp41"))
        file.write(struct.pack(">I4sQ", 1, b"mdat", 0))  # its length comes when it is known
        for number, (unit, key) in enumerate(encode(pictures), start=1):
            file.write(struct.pack(">I", len(unit)) + unit)
            sizes.append(4 + len(unit))
            keys += [number] if key else []
        file.write(_movie(size, Fraction(fps).limit_denominator(1001), sizes, keys))
        file.seek(_START - 8)
        file.write(struct.pack(">Q", 16 + sum(sizes)))


def _movie(size: tuple[int, int], rate: Fraction, sizes: list[int], keys: list[int]) -> bytes:
    """The table: one track, a picture every ``1 / rate`` seconds."""
    scale, step = rate.numerator, rate.denominator
    duration = step * len(sizes)
    times = struct.pack(">5I", 0, 0, 0, scale, duration)
    sampled = [
        _box("stsd", struct.pack(">2I", 0, 1), _description(size)),
        _box("stts", struct.pack(">4I", 0, 1, len(sizes), step)),
        _box("stss", struct.pack(f">{2 + len(keys)}I", 0, len(keys), *keys)),
        _box("stsc", struct.pack(">5I", 0, 1, 1, len(sizes), 1)),
        _box("stsz", struct.pack(f">{3 + len(sizes)}I", 0, 0, len(sizes), *sizes)),
        _box("stco", struct.pack(">3I", 0, 1, _START)),
    ]
    source = _box("dinf", _box("dref", struct.pack(">2I", 0, 1), _box("url ", b"\0\0\0\1")))
    media = [
        _box("mdhd", times, struct.pack(">2H", 0x55C4, 0)),  # of no language
        _box("hdlr", bytes(8), b"vide", bytes(12), b"pictures\0"),
        _box("minf", _box("vmhd", b"\0\0\0\1", bytes(8)), source, _box("stbl", *sampled)),
    ]
    shown = struct.pack(">6I", 3, 0, 0, 1, 0, duration) + bytes(16) + _UNITY
    track = _box("tkhd", shown, struct.pack(">2I", *(side << 16 for side in size)))
    head = _box(
        "mvhd",
        times,
        struct.pack(">IH", 1 << 16, 1 << 8),
        bytes(10),
        _UNITY,
        bytes(24),
        b"\0\0\0\2",
    )
    return _box("moov", head, _box("trak", track, _box("mdia", *media)))


def _description(size: tuple[int, int]) -> bytes:
    """What a decoder has to know before the first picture."""
    sets = parameter_sets(*size)
    counted = [
        struct.pack(">BH", mark, len(unit)) + unit
        for mark, unit in zip((0xE1, 1), sets, strict=True)
    ]
    decoder = _box("avcC", b"\1", sets[0][1:4], b"\xff", *counted)
    facts = struct.pack(">6xH16x2H2I4xH32xHh", 1, *size, 72 << 16, 72 << 16, 1, 24, -1)
    return _box("avc1", facts, decoder)


def _box(kind: str, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return struct.pack(">I4s", 8 + len(content), kind.encode("ascii")) + content
