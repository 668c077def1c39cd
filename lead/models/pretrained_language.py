"""GPT-2 as others have trained it, from a folder or the hub: its sizes, pieces and weights."""

from pathlib import Path

from torch import nn

from lead.core.errors import RequestError
from lead.core.schema import Schema, read_file
from lead.core.sizes import Layers, Size
from lead.models.sentence_pieces import SentencePieces
from lead.models.text_encoders.loading import load_model
from lead.models.text_encoders.locate import locate_model


class _Config(Schema):
    """Of config.json what the sizes are."""

    n_positions: Size
    n_embd: Size
    n_layer: Layers
    n_head: Size
    vocab_size: int


def language_sizes(name: str) -> tuple[SentencePieces, dict[str, int]]:
    """The pieces of the model in a folder, or of a hub name, and the options of a network for it.

    RequestError where the folder holds no GPT-2.
    """
    folder = _folder(name)
    pieces = SentencePieces.read(folder)
    config = read_file(_Config, folder / "config.json", "name a GPT-2", error=RequestError)
    sizes = {
        **{"vocabulary": config.vocab_size, "end": pieces.end, "longest": config.n_positions},
        **{"language_width": config.n_embd, "language_layers": config.n_layer},
        "language_heads": config.n_head,
    }
    return pieces, sizes


def load_language(name: str, language: nn.Module) -> None:
    """Fill a fresh network of these sizes with the trained weights."""
    trained = load_model("GPT2LMHeadModel", _folder(name), "gpt2")
    language.load_state_dict(trained.transformer.state_dict())


def _folder(name: str) -> Path:
    folder = Path(name).expanduser()
    hub = name if "/" in name else f"openai-community/{name}"
    return folder if folder.is_dir() else locate_model(name.rpartition("/")[2], hub=hub)
