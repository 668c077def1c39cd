"""H.264 without a codec: blocks that changed are stored as they are, all others are skipped.

The smallest stream that every player reads (ITU-T H.264, constrained baseline): macroblocks of the
kinds I_PCM, which holds its 384 samples, and P_Skip, which is that of the picture before. A figure
that moves before a background that does not changes a tenth of a picture.
"""

import re
from collections.abc import Iterable, Iterator

import numpy as np
from jaxtyping import UInt8

BLOCK = 16  # pixels of a macroblock's side
KEY = 250  # pictures from one that needs no other to the next, at most
_PROFILE, _CONSTRAINED = 66, 0xC0  # constrained baseline
_LEVELS = ((8192, 40), (139264, 60))  # macroblocks of a picture, level_idc
_SPS, _PPS, _KEY_SLICE, _SLICE = 0x67, 0x68, 0x65, 0x41  # headers of the units
_I_PCM, _I_PCM_IN_P = 25, 30  # mb_type

# BT.709 in the range of television: Y, Cb, Cr of red, green and blue from 0 to 255.
_MATRIX = (
    np.array(
        [
            [0.2126 * 219, 0.7152 * 219, 0.0722 * 219],
            [-0.1146 * 224, -0.3854 * 224, 0.5 * 224],
            [0.5 * 224, -0.4542 * 224, -0.0458 * 224],
        ]
    )
    / 255
)
_BLACK = np.array([16.0, 128.0, 128.0])


def parameter_sets(width: int, height: int) -> tuple[bytes, bytes]:
    """Sequence and picture parameter sets of pictures of this size in pixels, both even."""
    across, down = -(-width // BLOCK), -(-height // BLOCK)
    level = next(level for most, level in _LEVELS if across * down <= most)
    crop = [(BLOCK * across - width) // 2, (BLOCK * down - height) // 2]
    sequence = (
        f"{_PROFILE:08b}{_CONSTRAINED:08b}{level:08b}"
        + _ue(0, 12, 2, 1)  # its number; frame numbers of 16 bits; in order; one reference
        + "0"
        + _ue(across - 1, down - 1)
        + "11"  # whole frames
        + ("1" + _ue(0, crop[0], 0, crop[1]) if any(crop) else "0")
        + "1001"  # more is said: no aspect ratio, no overscan, but the colours
        + f"{5:03b}01{1:08b}{1:08b}{1:08b}"  # BT.709, in the range of television
        + "000001"  # no timing, but that pictures come in order
        + "1"
        + _ue(0, 0, 10, 10, 0, 1)
    )
    picture = _ue(0, 0) + "00" + _ue(0, 0, 0) + "000" + _ue(0, 0, 0) + "100"  # deblocking is chosen
    return _unit(_SPS, _packed(sequence + "1")), _unit(_PPS, _packed(picture + "1"))


def encode(pictures: Iterable[UInt8[np.ndarray, "height width 3"]]) -> Iterator[tuple[bytes, bool]]:
    """One unit for each RGB picture, and whether it needs no other before it.

    Decoded, a picture is the one given, in Y'CbCr with a colour for each 2 x 2 pixels.
    """
    before = np.zeros((0, 0), dtype=np.uint8)
    for number, picture in enumerate(pictures):
        blocks = _blocks(picture)
        key = number % KEY == 0
        changed = np.arange(len(blocks)) if key else np.flatnonzero((blocks != before).any(axis=1))
        yield _slice(number, key, blocks, changed), key
        before = blocks


def _slice(
    number: int, key: bool, blocks: UInt8[np.ndarray, "blocks 384"], changed: np.ndarray
) -> bytes:
    """A picture: some blocks as they are, the others as in the picture before."""
    head = _ue(0, 7 if key else 5, 0) + f"{number % KEY:016b}"
    head += _ue(number // KEY % 2) + "00" if key else "000"
    head += _ue(0, 1)  # the usual quantiser; no deblocking
    parts, last = [], -1
    for block in changed.tolist():
        bits = _ue(_I_PCM) if key else _ue(block - last - 1, _I_PCM_IN_P)
        parts += [_packed(head + bits), blocks[block].tobytes()]
        head, last = "", block
    skipped = len(blocks) - 1 - last
    parts.append(_packed(head + (_ue(skipped) if skipped else "") + "1"))
    return _unit(_KEY_SLICE if key else _SLICE, b"".join(parts))


def _blocks(picture: UInt8[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "blocks 384"]:
    """Each macroblock's Y, Cb and Cr in the order of the stream; edges are repeated outwards."""
    height, width = picture.shape[:2]
    spare = ((0, -height % BLOCK), (0, -width % BLOCK), (0, 0))
    colours = np.pad(picture, spare, mode="edge").astype(np.float32) @ _MATRIX.T.astype(np.float32)
    colours += _BLACK.astype(np.float32)
    down, across = colours.shape[0] // BLOCK, colours.shape[1] // BLOCK
    tiles = colours.reshape(down, BLOCK, across, BLOCK, 3).transpose(0, 2, 4, 1, 3)
    tiles = tiles.reshape(down * across, 3, BLOCK, BLOCK)
    chroma = tiles[:, 1:].reshape(-1, 2, BLOCK // 2, 2, BLOCK // 2, 2).mean(axis=(3, 5))
    parts = [part.reshape(len(tiles), -1) for part in (tiles[:, 0], chroma)]
    return np.round(np.concatenate(parts, axis=1)).astype(np.uint8)


def _ue(*numbers: int) -> str:
    """Numbers as Exp-Golomb codes: n + 1 in binary, behind a zero for each digit but one."""
    codes = (f"{number + 1:b}" for number in numbers)
    return "".join("0" * (len(code) - 1) + code for code in codes)


def _packed(bits: str) -> bytes:
    """Bits as bytes, the last filled up with zeros."""
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def _unit(header: int, content: bytes) -> bytes:
    """A unit of the stream; two zeros and a small number, which would begin one, are kept apart."""
    return bytes([header]) + re.sub(rb"\0\0(?=[\0-\3])", b"\0\0\3", content)
