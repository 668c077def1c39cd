"""The published word vectors (``our_vab_*``), read without executing anything in them."""

import io
import pickle
from pathlib import Path

import torch

from lead.core.errors import RequestError
from lead.core.reading import TEXT_BYTES, check_regular, read_floats
from lead.evaluation.extractor.words import Vocabulary, WordVectors

FILES = ("our_vab_data.npy", "our_vab_words.pkl", "our_vab_idx.pkl")


class _PlainUnpickler(pickle.Unpickler):
    """Reads lists, dictionaries, strings and numbers; refuses every name of a class or function."""

    def find_class(self, module: str, name: str):
        raise pickle.UnpicklingError(f"it names {module}.{name}")

    def persistent_load(self, pid: object):  # noqa: ARG002
        raise pickle.UnpicklingError("it refers to objects outside the file")


def read_plain_pickle(path: Path) -> object:
    """Contents of a pickle of plain values; RequestError where it is broken or holds more."""
    try:
        content = check_regular(path, most=TEXT_BYTES).read_bytes()
        return _PlainUnpickler(io.BytesIO(content)).load()
    except RequestError:
        raise
    except Exception as error:  # a broken pickle can fail in any way
        reason = " ".join(str(error).split()) or type(error).__name__
        raise RequestError(
            f"{path} is not a pickle of plain words and numbers ({reason}); it was not executed: "
            "copy the published file again"
        ) from error


def read_glove(folder: Path) -> tuple[Vocabulary, WordVectors]:
    """The vocabulary and the vectors in a folder with the three published files.

    Raises RequestError for a missing or broken file, and where the three do not fit together.
    """
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise RequestError(
            f"{folder} lacks {', '.join(missing)}: put the evaluator's word vectors there"
        )
    data, words, rows = (folder / name for name in FILES)
    vectors = read_floats(data, ("words", "numbers"), "copy the published file again")
    listed, indices = read_plain_pickle(words), read_plain_pickle(rows)
    if not (isinstance(listed, list) and all(isinstance(word, str) for word in listed)):
        raise RequestError(f"{words} is not a list of words: copy the published file again")
    if not isinstance(indices, dict) or not all(
        type(indices.get(word)) is int and 0 <= indices[word] < len(vectors) for word in listed
    ):
        raise RequestError(f"{rows} does not give each word a row of {data}: copy both again")
    table = WordVectors(len(listed), vectors.shape[1])
    order = [indices[word] for word in listed]
    table.vectors.data = torch.from_numpy(vectors[order])
    return Vocabulary(tuple(listed)), table
