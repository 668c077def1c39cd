"""Caches of encodings: used when everything they depend on is the same, made again otherwise."""

import errno
import shutil
from pathlib import Path

import pytest
import torch

from lead.core.errors import RequestError
from lead.core.files import write_tensors
from lead.core.reading import read_tensors
from lead.data import cache
from lead.data.cache import NULL_TEXT, cached_posteriors, cached_texts
from lead.data.packed import PackedDataset, open_dataset
from lead.data.packing import pack
from lead.data.sources.cmu_open import CmuOpenSource


@pytest.fixture(scope="module")
def packed(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("packed") / "micro"
    pack(CmuOpenSource(clips=9), folder, workers=1)
    return folder


@pytest.fixture
def dataset(packed, tmp_path) -> PackedDataset:
    """A copy of its own for every test, with an empty cache."""
    shutil.copytree(packed, tmp_path / "micro")
    return open_dataset(tmp_path / "micro")


class CountingVae:
    """Mean and log-variance that can be computed by hand from the un-normalised features."""

    def __init__(self, scale: float = 1.0):
        self.scale, self.rows = scale, 0

    def __call__(self, batch) -> tuple[torch.Tensor, torch.Tensor]:
        self.rows += len(batch.ids)
        mean = (batch.x.sum(dim=1) / batch.mask.sum(dim=1, keepdim=True))[:, None, :4]
        return self.scale * mean, batch.mask.sum(dim=1)[:, None, None].float().expand(-1, 1, 4)


class CountingText:
    """A vector per text, from its letters."""

    def __init__(self, dim: int = 3):
        self.dim, self.texts = dim, []

    def __call__(self, texts: list[str]) -> torch.Tensor:
        self.texts += texts
        rows = [[float(len(text)), float(sum(map(ord, text))), float(self.dim)] for text in texts]
        return torch.tensor(rows)[:, None]


def cache_files(dataset: PackedDataset) -> list[Path]:
    return sorted((dataset.folder / "cache").glob("*"))


def test_rows_are_in_the_order_of_the_split_whatever_their_length(dataset):
    split = dataset.split("train")
    assert sorted(split.frames) != split.frames.tolist()  # encoding goes by length
    mu, logvar = cached_posteriors(dataset, "train", "w", CountingVae(), batch_size=3)
    assert mu.shape == logvar.shape == (len(split), 1, 4)
    for place in range(len(split)):
        mean = dataset.normalizer.normalize(torch.from_numpy(split.clip(place).copy())).mean(dim=0)
        torch.testing.assert_close(mu[place, 0], mean[:4], atol=1e-5, rtol=1e-5)
    assert logvar[:, 0, 0].tolist() == split.frames.tolist()


def test_a_hit_runs_no_encoder(dataset):
    first = cached_posteriors(dataset, "train", "w", CountingVae())
    again = CountingVae()
    hit = cached_posteriors(open_dataset(dataset.folder), "train", "w", again)
    assert again.rows == 0
    assert all(torch.equal(a, b) for a, b in zip(first, hit, strict=True))
    text = CountingText()
    embeddings, rows = cached_texts(dataset, "train", "f", text)
    again = CountingText()
    hit, hit_rows = cached_texts(open_dataset(dataset.folder), "train", "f", again)
    assert again.texts == [] and torch.equal(hit, embeddings) and hit_rows == rows


def test_other_weights_other_splits_and_other_data_are_encoded_anew(dataset):
    vae = CountingVae()
    cached_posteriors(dataset, "train", "w", vae)
    train = vae.rows
    cached_posteriors(dataset, "train", "other weights", vae)
    assert vae.rows == 2 * train
    cached_posteriors(dataset, "val", "w", vae)
    assert vae.rows == 2 * train + len(dataset.split("val"))
    other = dataset.manifest.model_copy(update={"data_hash": "0" * 64})
    vae.rows = 0
    cached_posteriors(PackedDataset(dataset.folder, other), "train", "w", vae)
    assert vae.rows == train
    assert len(cache_files(dataset)) == 4


def test_another_encoder_and_other_captions_are_embedded_anew(dataset):
    text = CountingText()
    cached_texts(dataset, "train", "f", text)
    once = len(text.texts)
    cached_texts(dataset, "train", "another encoder", text)
    assert len(text.texts) == 2 * once
    index = dataset.folder / "train.index.json"
    index.write_text(index.read_text().replace("a person", "somebody"))
    embeddings, rows = cached_texts(dataset, "train", "f", text)
    assert len(text.texts) == 3 * once
    assert any("somebody" in caption for caption in rows)


@pytest.mark.parametrize("damage", ["truncated", "empty", "rubbish"])
def test_a_damaged_cache_is_made_again(dataset, damage):
    whole = cached_posteriors(dataset, "train", "w", CountingVae())
    embeddings, _ = cached_texts(dataset, "train", "f", CountingText())
    for path in cache_files(dataset):
        data = path.read_bytes()
        path.write_bytes({"truncated": data[:-7], "empty": b"", "rubbish": b"{}" * 50}[damage])
    vae, text = CountingVae(), CountingText()
    again = cached_posteriors(dataset, "train", "w", vae)
    assert vae.rows == len(whole[0]) and all(map(torch.equal, again, whole))
    assert torch.equal(cached_texts(dataset, "train", "f", text)[0], embeddings) and text.texts
    assert all(read_tensors(path) for path in cache_files(dataset))  # and is whole now


def test_a_cache_file_of_another_content_is_made_again(dataset):
    cached_posteriors(dataset, "train", "w", CountingVae())
    cached_texts(dataset, "train", "f", CountingText())
    for path in cache_files(dataset):
        write_tensors(path, {"embeddings": torch.zeros(2, 1, 3), "nothing": torch.zeros(1)})
    vae, text = CountingVae(), CountingText()
    cached_posteriors(dataset, "train", "w", vae)
    cached_texts(dataset, "train", "f", text)
    assert vae.rows and text.texts


def test_every_caption_and_the_empty_sentence_have_a_row(dataset):
    text = CountingText()
    embeddings, rows = cached_texts(dataset, "train", "f", text, batch_size=4)
    captions = {c for captions in dataset.split("train").captions for c in captions}
    assert set(rows) == captions | {NULL_TEXT}
    assert len(embeddings) == len(rows) == len(text.texts) == len(set(text.texts))
    for caption, row in rows.items():
        assert torch.equal(embeddings[row], CountingText()([caption])[0])


def test_a_failing_encoder_leaves_no_cache(dataset):
    def fail(_batch):
        raise ValueError("no encoding")

    with pytest.raises(ValueError, match="no encoding"):
        cached_posteriors(dataset, "train", "w", fail)
    assert not cache_files(dataset)


def test_an_unknown_split_is_one_line(dataset):
    with pytest.raises(RequestError, match="no split 'trian': did you mean 'train'"):
        cached_posteriors(dataset, "trian", "w", CountingVae())


@pytest.mark.parametrize("kind", ["no folder", "full disk"])
def test_without_room_for_a_cache_everything_is_encoded_and_that_is_said_once(
    dataset, monkeypatch, capsys, kind
):
    if kind == "no folder":  # as on a read-only disk; rights do not bind every user
        (dataset.folder / "cache").write_text("in the way")
    else:

        def fail(*_):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(cache, "write_tensors", fail)
    before = sorted(path.name for path in dataset.folder.rglob("*"))
    for _ in range(2):
        vae, text = CountingVae(), CountingText()
        mu, _ = cached_posteriors(dataset, "train", "w", vae)
        embeddings, rows = cached_texts(dataset, "train", "f", text)
        assert vae.rows == len(mu) and len(text.texts) == len(embeddings) == len(rows)
    said = capsys.readouterr().err.splitlines()
    told = [line for line in said if line.startswith("lead: ")]
    assert len(told) == 1 and str(dataset.folder / "cache") in told[0]
    assert "copy the dataset to a disk that can" in told[0]
    assert sorted(path.name for path in dataset.folder.rglob("*")) == before


def test_a_cache_of_a_number_is_made_again(dataset):
    mu, _ = cached_posteriors(dataset, "train", "w", CountingVae())
    write_tensors(cache_files(dataset)[0], {"mu": torch.tensor(1.0), "logvar": torch.tensor(1.0)})
    assert torch.equal(cached_posteriors(dataset, "train", "w", CountingVae())[0], mu)
