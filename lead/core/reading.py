"""Reading what comes from outside: only regular files, of a judged size, and nothing in them runs.

Every limit stands here and is named in the message of what exceeds it.
"""

import json
import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from lead.core.errors import RequestError, WorkError

if TYPE_CHECKING:
    import numpy as np

TEXT_BYTES = 256 << 20  # of a text file: the index of HumanML3D has 30 MB
FORM_BYTES = 16 << 20  # of a file that people write or that describes one thing
ARCHIVE_BYTES = 512 << 20  # of an .npz, unpacked: an hour of motion with its features has 100 MB
ARRAY_BYTES = 64 << 30  # of one array: HumanML3D's features have 5 GB
JSON_DIGITS = 400  # of one number: the largest float has 309
SENTENCE_CHARACTERS = 10_000  # of a sentence, a caption, an option


def check_regular(path: Path | str, what: str = "", *, most: int = ARRAY_BYTES) -> Path:
    """``path`` where it is a readable regular file of at most ``most`` bytes, else RequestError.

    ``what`` is how the message calls it, such as ``prompts=``; links are followed.
    """
    path = Path(path)
    named = f"{what}{path}"
    try:
        state = path.stat()
    except FileNotFoundError as error:
        raise RequestError(f"{named} is missing") from error
    except (OSError, ValueError) as error:  # a loop of links, a name that is too long, a zero byte
        reason = getattr(error, "strerror", None) or error
        raise RequestError(f"{named} cannot be read ({reason}): check the path") from error
    if not stat.S_ISREG(state.st_mode):
        kind = "a folder" if stat.S_ISDIR(state.st_mode) else "no regular file"
        raise RequestError(f"{named} is {kind}: name a file")
    if state.st_size > most:
        raise RequestError(f"{named} has {state.st_size} bytes, {most} are the most")
    if not os.access(path, os.R_OK):
        raise RequestError(f"{named} cannot be read (permission denied): change its rights")
    return path


def read_text(path: Path | str, what: str = "", *, most: int = FORM_BYTES) -> str:
    """A UTF-8 text file, with or without a byte order mark; RequestError where it is none."""
    path = check_regular(path, what, most=most)
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise RequestError(
            f"{what}{path} is not UTF-8 text ({error.reason}, byte {error.start}): save it as UTF-8"
        ) from error
    except OSError as error:
        raise RequestError(f"{what}{path} cannot be read ({error.strerror}): check it") from error


def plain_text(name: str, text: object, *, most: int = SENTENCE_CHARACTERS) -> str:
    """``text`` if it is one that every file can hold; RequestError for NUL and half codes."""
    if not isinstance(text, str) or _BROKEN.search(text):
        raise RequestError(f"{name} must be plain text (UTF-8) without NUL or broken characters")
    if len(text) > most:
        raise RequestError(f"{name} has {len(text)} characters, {most} are the most: shorten it")
    return text


def read_json(path: Path | str, *, most: int = TEXT_BYTES) -> dict:
    """The object of a JSON file; RequestError where it is missing, WorkError where broken."""
    content = check_regular(path, most=most).read_bytes()
    try:
        value = parse_json(content)
    except ValueError as error:
        raise WorkError(f"{path} is not valid JSON ({error}): remake it") from error
    if not isinstance(value, dict):
        raise WorkError(f"{path} holds a {type(value).__name__}, not an object: remake it")
    return value


def read_tensors(path: Path | str) -> dict:
    """A safetensors file; RequestError where it is missing, WorkError where it is broken."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = check_regular(path)
    try:
        return load_file(path)
    except SafetensorError as error:
        raise WorkError(f"{path} is not a whole safetensors file ({error}): remake it") from error


def map_array(path: Path | str) -> "np.ndarray":
    """The array of an ``.npy`` file, mapped and read-only; RequestError where it is none.

    Its header is compared with the file's size before any memory is taken.
    """
    import numpy as np

    path = check_regular(path)
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # NumPy raises a dozen kinds on broken files
        raise RequestError(f"{path}: {_unreadable(error)}: get it again") from error
    if not isinstance(array, np.ndarray):
        array.close()
        raise RequestError(f"{path} is an archive, expected one .npy array: get it again")
    return array


def read_archive(path: Path | str, *, most: int = ARCHIVE_BYTES) -> dict[str, "np.ndarray"]:
    """The arrays of an ``.npz`` file by name; RequestError where it is none.

    What it unpacks to is judged by its table of contents before anything is unpacked.
    """
    import zipfile

    import numpy as np

    path = check_regular(path)
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
        if unpacked > most:
            raise RequestError(f"{path} unpacks to {unpacked} bytes, {most} are the most")
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except RequestError:
        raise
    except Exception as error:  # zip, zlib and NumPy each fail in their own ways
        raise RequestError(
            f"{path}: {_unreadable(error, '.npz archive')}: make it again"
        ) from error


def _unreadable(error: Exception, kind: str = ".npy array") -> str:
    text = str(error)
    if "pickle" in text or "Python objects" in text:
        return "holds Python objects, which are never loaded"
    first = text.splitlines()[0] if text else type(error).__name__
    return f"not a whole {kind} ({first})"


def parse_json(text: str | bytes) -> object:
    """The value of a JSON text; ValueError, of one short line, says why it is none.

    Refused too: nesting that no reader follows, numbers of more than ``JSON_DIGITS`` digits, and
    half of a surrogate pair, which no UTF-8 file can hold.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8")  # UnicodeDecodeError is a ValueError
    try:
        value = json.loads(text, parse_int=_whole)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if _HALF.search(text):
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # UnicodeEncodeError, as above
    return value


def read_yaml(path: Path | str, what: str = "") -> object:
    """The value of a YAML file, plain types only; RequestError where it is none."""
    return parse_yaml(read_text(path, what), f"{what}{path}")


def parse_yaml(text: str, where: str) -> object:
    """The value of a YAML text, plain types only; RequestError where it is none.

    Aliases (``*name``) are refused: a few lines of them unfold to more than any memory holds.
    """
    import yaml

    class Loader(yaml.SafeLoader):
        def compose_node(self, parent, index):
            if self.check_event(yaml.events.AliasEvent):
                mark = self.peek_event().start_mark
                raise yaml.composer.ComposerError(None, None, "an alias, write it out", mark)
            return super().compose_node(parent, index)

    try:
        return yaml.load(text, Loader)
    except RecursionError as error:
        raise RequestError(f"{where} is not valid YAML: nested too deeply") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date such as 2026-13-45
        mark = getattr(error, "problem_mark", None)
        line = f" in line {mark.line + 1}" if mark else ""
        reason = getattr(error, "problem", None) or "a value that cannot be read"
        raise RequestError(f"{where} is not valid YAML ({reason}{line}): correct it") from error


_BROKEN = re.compile("[\0\ud800-\udfff]")
_HALF = re.compile(r"[\ud800-\udfff]|\\u[dD][89a-fA-F]")


def _whole(digits: str) -> int:
    if len(digits) > JSON_DIGITS:
        raise ValueError(f"a number of {len(digits)} digits, {JSON_DIGITS} are the most")
    return int(digits)
