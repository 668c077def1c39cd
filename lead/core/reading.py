"""Reading what comes from outside: only regular files, of a judged size, and nothing in them runs.

Every limit stands here and is named in the message of what exceeds it.
"""

import json
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lead.core.errors import RequestError, WorkError, plain

if TYPE_CHECKING:
    import numpy as np

TEXT_BYTES = 256 << 20  # of a text file: the index of HumanML3D has 30 MB
FORM_BYTES = 16 << 20  # of a file that people write or that describes one thing
ARCHIVE_BYTES = 512 << 20  # of an .npz, unpacked: an hour of motion with its features has 100 MB
ARRAY_BYTES = 64 << 30  # of one array: HumanML3D's features have 5 GB
YAML_BYTES = 512 << 10  # its reader takes seconds for that; long lists go as JSONL
YAML_VALUES = 1_000_000  # with all that aliases repeat
JSON_DIGITS = 400  # of one number: the largest float has 309
SENTENCE_CHARACTERS = 10_000  # of a sentence, a caption, an option


def check_regular(
    path: Path | str, what: str = "", *, most: int = ARRAY_BYTES, advice: str = "check the path"
) -> Path:
    """``path`` where it is a readable regular file of at most ``most`` bytes, else RequestError.

    ``what`` is how the message calls it, such as ``prompts=``; links are followed. ``advice`` says
    what to do where it is missing, here and below.
    """
    path = Path(path)
    named = f"{what}{path}"
    try:
        state = path.stat()
    except FileNotFoundError as error:
        raise RequestError(f"{named} is missing: {advice}") from error
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


def read_json(path: Path | str, *, most: int = TEXT_BYTES, advice: str = "remake it") -> dict:
    """The object of a JSON file; RequestError where it is missing, WorkError where broken."""
    value = read_json_value(path, most=most, advice=advice)
    if not isinstance(value, dict):
        raise WorkError(f"{path} holds a {type(value).__name__}, not an object: {advice}")
    return value


def read_json_value(
    path: Path | str, *, most: int = TEXT_BYTES, advice: str = "remake it"
) -> object:
    """The value of a JSON file, whatever it is."""
    path = check_regular(path, most=most, advice=advice)
    try:
        return parse_json(path.read_bytes())
    except OSError as error:
        raise RequestError(f"{path} cannot be read ({error.strerror}): check it") from error
    except ValueError as error:
        raise WorkError(f"{path} is not valid JSON ({error}): {advice}") from error


def read_json_lines(path: Path | str, what: str = "") -> Iterator[tuple[int, object]]:
    """Number and value of every line of a JSONL file; RequestError where one is no JSON."""
    for number, line in enumerate(read_text(path, what, most=TEXT_BYTES).split("\n"), start=1):
        if line.strip():
            try:
                yield number, parse_json(line)
            except ValueError as error:
                raise RequestError(
                    f"{path}:{number}: not valid JSON ({error}): correct the line"
                ) from error


def read_csv(
    path: Path | str, columns: Sequence[str], what: str = ""
) -> Iterator[tuple[int, dict[str, str]]]:
    """Line and fields of every row of a CSV file; keys are the header's names in lower case.

    Raises RequestError where the header lacks one of ``columns``, and for a row that is no CSV.
    """
    import csv

    text = read_text(path, what, most=TEXT_BYTES)
    rows = csv.DictReader(text.splitlines(keepends=True), strict=True, restval="")
    line = 1
    try:
        names = rows.fieldnames = [name.strip().lower() for name in rows.fieldnames or ()]
        for column in columns:
            if column not in names:
                known = ", ".join(names) or "nothing"
                raise RequestError(f"{path}:1: no column '{column}', the header names {known}")
        line = 2
        for row in rows:
            if None in row:
                raise RequestError(f"{path}:{line}: more fields than the header: quote the commas")
            yield line, row
            line = rows.line_num + 1
    except csv.Error as error:
        raise RequestError(f"{path}:{line}: not valid CSV ({error}): correct the line") from error


def read_tensors(
    path: Path | str, wanted: Callable[[str], bool] | None = None, *, advice: str = "remake it"
) -> dict:
    """A safetensors file; RequestError where it is missing, WorkError where it is broken.

    Broken is, too, what holds a number that is not finite. Only tensors whose name is ``wanted``
    are read, by default all.
    """
    return _tensors(path, wanted, ARRAY_BYTES, advice)[0]


def read_described(path: Path | str, entry: str, advice: str) -> tuple[dict, object]:
    """The tensors of a small safetensors file, and what one entry of its metadata says as JSON.

    RequestError where it is missing, WorkError where it is broken or has no such entry.
    """
    tensors, metadata = _tensors(path, None, TEXT_BYTES, advice)
    if entry not in metadata:
        raise WorkError(f"{path} is of another kind (it has no entry '{entry}'): {advice}")
    try:
        return tensors, parse_json(metadata[entry])
    except ValueError as error:
        raise WorkError(f"{path}: its entry '{entry}' is no JSON ({error}): {advice}") from error


def _tensors(
    path: Path | str, wanted: Callable[[str], bool] | None, most: int, advice: str
) -> tuple[dict, dict[str, str]]:
    from safetensors import SafetensorError, safe_open

    path = check_regular(path, most=most, advice=advice)
    try:
        with safe_open(_utf8(path), framework="pt") as stored:
            names = [name for name in stored.keys() if wanted is None or wanted(name)]  # noqa: SIM118
            tensors = {name: stored.get_tensor(name) for name in names}
            metadata = stored.metadata() or {}
    except SafetensorError as error:
        raise WorkError(f"{path} is not a whole safetensors file ({error}): {advice}") from error
    for name, tensor in tensors.items():
        if not (tensor.float() if tensor.itemsize == 1 else tensor).isfinite().all():
            raise WorkError(
                f"{path}: '{name:.60}' holds a number that is not finite (NaN, infinity): {advice}"
            )
    return tensors, metadata


def _utf8(path: Path) -> Path:
    """The same file for libraries that take names in UTF-8 alone."""
    for name in (path, Path(os.path.relpath(path))):  # from a working folder of such a name
        if plain(name) == str(name):
            return name
    raise RequestError(f"{plain(path)} has a name that is no UTF-8: rename it")


def map_array(path: Path | str, advice: str = "get it again") -> "np.ndarray":
    """The array of an ``.npy`` file, mapped and read-only; RequestError where it is none.

    Its header is compared with the file's size before any memory is taken.
    """
    import numpy as np

    path = check_regular(path, advice=advice)
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # NumPy raises a dozen kinds on broken files
        raise RequestError(f"{path}: {_unreadable(error)}: {advice}") from error
    if not isinstance(array, np.ndarray):
        array.close()
        raise RequestError(f"{path} is an archive, expected one .npy array: {advice}")
    return array


def map_floats(
    path: Path | str, shape: tuple[int | str, ...], advice: str = "get it again"
) -> "np.ndarray":
    """The same of floating-point numbers in ``shape``, such as ("frames", 263); a word is any."""
    array = map_array(path, advice)
    fits = array.ndim == len(shape) and all(
        isinstance(want, str) or length == want
        for want, length in zip(shape, array.shape, strict=True)
    )
    if array.dtype.kind != "f" or not fits:
        wanted = f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"
        raise RequestError(
            f"{path} holds {array.dtype} of shape {array.shape}, expected {wanted} of a "
            f"floating-point type: {advice}"
        )
    return array


def read_floats(
    path: Path | str, shape: tuple[int | str, ...], advice: str = "get it again"
) -> "np.ndarray":
    """The same as finite float32 in memory."""
    import numpy as np

    with np.errstate(over="ignore"):
        values = np.array(map_floats(path, shape, advice), dtype=np.float32)
    if not np.isfinite(values).all():
        raise RequestError(f"{path} holds a value that is not finite (NaN or infinity): {advice}")
    return values


def read_archive(
    path: Path | str, *, most: int = ARCHIVE_BYTES, advice: str = "make it again"
) -> dict[str, "np.ndarray"]:
    """The arrays of an ``.npz`` file by name; RequestError where it is none.

    What it unpacks to is judged by its table of contents before anything is unpacked.
    """
    import zipfile

    import numpy as np

    path = check_regular(path, advice=advice)
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
        raise RequestError(f"{path}: {_unreadable(error, '.npz archive')}: {advice}") from error


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
    if _HALF.search(text) or _WRITTEN_HALF.search(text):
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # UnicodeEncodeError, as above
    return value


def read_yaml(path: Path | str, what: str = "") -> object:
    """The value of a YAML file, plain types only; RequestError where it is none."""
    return parse_yaml(read_text(path, what, most=YAML_BYTES), f"{what}{path}")


def parse_yaml(text: str, where: str) -> object:
    """The value of a YAML text, plain types only; RequestError where it is none.

    Aliases (``*name``) count as what they stand for: a few lines of them unfold to more than any
    memory holds.
    """
    import yaml

    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _unfolded(node, {})
        return loader.construct_document(node)
    except RecursionError as error:
        raise RequestError(f"{where} is not valid YAML: nested too deeply") from error
    except Exception as error:  # its constructors raise what int, date and others do
        mark = getattr(error, "problem_mark", None)
        line = f" in line {mark.line + 1}" if mark else ""
        reason = getattr(error, "problem", None) or str(error) or type(error).__name__
        raise RequestError(f"{where} is not valid YAML ({reason}{line}): correct it") from error


def _unfolded(node, sizes: dict[int, int]) -> int:
    """How many values a YAML node stands for; ValueError where they are too many, or half letters.

    ``sizes`` remembers those that are done; one that is being counted stands in itself.
    """
    if id(node) not in sizes:
        sizes[id(node)] = YAML_VALUES
        below = () if isinstance(node.value, str) else node.value
        pairs = (part if isinstance(part, tuple) else (part,) for part in below)
        size = 1 + sum(_unfolded(part, sizes) for pair in pairs for part in pair)
        if size > YAML_VALUES:
            raise ValueError(f"it unfolds to more than {YAML_VALUES} values")
        if isinstance(node.value, str) and _HALF.search(node.value):
            raise ValueError("half of a surrogate pair")
        sizes[id(node)] = size
    return sizes[id(node)]


_BROKEN = re.compile("[\0\ud800-\udfff]")
_HALF = re.compile(r"[\ud800-\udfff]")
_WRITTEN_HALF = re.compile(r"\\u[dD][89a-fA-F]")


def _whole(digits: str) -> int:
    if len(digits) > JSON_DIGITS:
        raise ValueError(f"a number of {len(digits)} digits, {JSON_DIGITS} are the most")
    return int(digits)
