"""New captions in a packed dataset: what changes, what stays bit for bit, and what is refused."""

import json

import numpy as np
import pytest

from lead.core.errors import RequestError
from lead.data.packed import open_dataset
from lead.data.packing import pack
from lead.data.recaption import recaption
from lead.data.source import Caption
from lead.data.sources.cmu_open import CmuOpenSource


class Poet:
    name = "cmu_open"

    def captions_of(self, clip_id: str, labels: dict) -> tuple[Caption, ...]:
        return (Caption(f"an ode to {clip_id}"), Caption("another ode"))


@pytest.fixture
def folder(tmp_path):
    pack(CmuOpenSource(clips=8), tmp_path / "data", workers=1)
    return tmp_path / "data"


def test_captions_change_and_nothing_else(folder) -> None:
    before = open_dataset(folder)
    arrays = {path.name: path.read_bytes() for path in folder.glob("*.npy")}
    labels = before.split("train").labels
    splits = list(before.manifest.clips)
    clips = sum(len(before.split(name)) for name in splits)
    assert recaption(Poet(), folder) == 2 * clips
    after = open_dataset(folder)
    assert {path.name: path.read_bytes() for path in folder.glob("*.npy")} == arrays
    train = after.split("train")
    assert train.labels == labels
    assert train.captions[0] == [f"an ode to {train.ids[0].partition('#')[0]}", "another ode"]
    assert after.data_hash != before.data_hash
    assert after.manifest.same_motions == [before.data_hash]
    assert np.array_equal(train.clip(0), before.split("train").clip(0))


def test_back_again_is_the_first_hash(folder) -> None:
    first = open_dataset(folder).data_hash
    index = json.loads((folder / "train.index.json").read_text())
    texts = {
        clip: tuple(Caption(*pair) for pair in zip(captions, tokens, strict=True))
        for split in open_dataset(folder).manifest.clips
        for clip, captions, tokens in zip(
            *(
                json.loads((folder / f"{split}.index.json").read_text())[key]
                for key in ("id", "captions", "tokens")
            ),
            strict=True,
        )
    }
    assert set(index["id"]) <= set(texts)
    recaption(Poet(), folder)

    class Original(Poet):
        def captions_of(self, clip_id: str, labels: dict) -> tuple[Caption, ...]:
            return next(own for name, own in texts.items() if name.partition("#")[0] == clip_id)

    recaption(Original(), folder)
    again = open_dataset(folder)
    assert again.data_hash == first and len(again.manifest.same_motions) == 1


def test_another_source_is_refused_and_nothing_is_touched(folder) -> None:
    class Stranger(Poet):
        name = "kitml"

    first = open_dataset(folder).data_hash
    with pytest.raises(RequestError, match="holds 'cmu_open'"):
        recaption(Stranger(), folder)
    assert open_dataset(folder).data_hash == first
