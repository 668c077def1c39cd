"""The published evaluators' files: found where people have them, read whole, never executed."""

import pickle
import shutil
import zipfile

import numpy as np
import pytest
import torch

from lead.core.errors import RequestError
from lead.evaluation.extractor.networks import FeatureExtractor
from lead.evaluation.extractor.official import (
    NETWORKS,
    load_official_extractor,
    load_official_parts,
    weights_file,
)


def checkpoint(features: int) -> dict:
    """What finest.tar holds: tensors by network, an optimiser's state, two counters."""
    tensors = FeatureExtractor(features).state_dict()
    content: dict = {
        network: {
            name.removeprefix(f"{network}."): tensor
            for name, tensor in tensors.items()
            if name.startswith(f"{network}.")
        }
        for network in NETWORKS
    }
    state = {"state": {0: {"step": 3, "exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 1e-4}]}
    return {**content, "opt_text_encoder": state, "epoch": 4, "iter": 12}


@pytest.fixture(scope="module")
def content() -> dict:
    torch.manual_seed(0)
    return checkpoint(263)


@pytest.fixture(scope="module")
def folder(content, tmp_path_factory):
    """The files in the text-to-motion project's layout, for both data sets."""
    root = tmp_path_factory.mktemp("evaluator")
    places = {"t2m": ("Comp_v6_KLD01", 263), "kit": ("Comp_v6_KLD005", 251)}
    for name, (statistics, features) in places.items():
        (root / name / "text_mot_match/model").mkdir(parents=True)
        meta = root / name / statistics / "meta"
        meta.mkdir(parents=True)
        np.save(meta / "mean.npy", np.full(features, features / 100.0))
        np.save(meta / "std.npy", np.full(features, 2.0))
    torch.save(content, root / "t2m/text_mot_match/model/finest.tar")
    torch.save(checkpoint(251), root / "kit/text_mot_match/model/finest.tar")
    glove = root / "glove"
    glove.mkdir()
    words = ["sos", "eos", "unk", "a"]
    np.save(glove / "our_vab_data.npy", np.ones((4, 300)))
    (glove / "our_vab_words.pkl").write_bytes(pickle.dumps(words))
    (glove / "our_vab_idx.pkl").write_bytes(pickle.dumps({w: i for i, w in enumerate(words)}))
    return root


def refused(*words: str):
    return pytest.raises(RequestError, match=".*".join(words))


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_every_tensor_arrives(content, tmp_path, legacy):
    path = tmp_path / "finest.tar"
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    assert zipfile.is_zipfile(path) is not legacy
    extractor = load_official_extractor(path)
    assert not extractor.training
    own = extractor.state_dict()
    assert len(own) == sum(len(content[network]) for network in NETWORKS)
    for network in NETWORKS:
        for name, tensor in content[network].items():
            assert torch.equal(own[f"{network}.{name}"], tensor)


def test_what_does_not_fit_is_listed_in_full(content, tmp_path):
    changed = {**content, "text_encoder": dict(content["text_encoder"])}
    del changed["text_encoder"]["hidden"]
    changed["text_encoder"]["extra.weight"] = torch.zeros(2)
    changed["text_encoder"]["pos_emb.bias"] = torch.zeros(7)
    path = tmp_path / "finest.tar"
    torch.save(changed, path)
    with refused(
        r"finest\.tar: 3 tensors do not fit",
        "missing text_encoder.hidden",
        r"text_encoder.pos_emb.bias is \(7,\), expected \(300,\)",
        "unexpected text_encoder.extra.weight",
    ) as error:
        load_official_extractor(path)
    assert "\n" not in str(error.value)
    with refused(r"movement_encoder.main.0.weight is \(512, 259, 4\), expected \(512, 247, 4\)"):
        torch.save(content, path)
        load_official_extractor(path, "kitml")


class Trap:
    """Runs when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_a_trapped_checkpoint_is_refused_unopened(tmp_path, legacy):
    path, sprung = tmp_path / "finest.tar", tmp_path / "sprung"
    content = {"text_encoder": {"hidden": torch.zeros(2)}, "epoch": Trap(sprung)}
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    with refused("nothing in it was executed") as error:
        load_official_extractor(path)
    assert "\n" not in str(error.value) and not sprung.exists()


@pytest.mark.parametrize("bytes_", [b"", b"PK\x03\x04broken", b"not a checkpoint at all"])
def test_a_broken_checkpoint_is_refused(tmp_path, bytes_):
    path = tmp_path / "finest.tar"
    path.write_bytes(bytes_)
    with refused(r"finest\.tar", "copy the published file again"):
        load_official_extractor(path)


def test_another_checkpoint_is_no_evaluator(tmp_path):
    torch.save({"state_dict": {}}, tmp_path / "finest.tar")
    with refused("lacks one of text_encoder, movement_encoder, motion_encoder"):
        load_official_extractor(tmp_path / "finest.tar")


@pytest.mark.parametrize(
    ("dataset", "features", "name"),
    [("humanml3d", 263, "t2m-humanml3d"), ("kitml", 251, "t2m-kitml"), ("kit", 251, "t2m-kitml")],
)
def test_the_published_layout_is_found(folder, dataset, features, name):
    parts = load_official_parts(folder, dataset)
    assert parts.name == name and parts.tagger == "spacy"
    assert parts.extractor.features == features
    assert parts.normalizer.mean[0] == pytest.approx(features / 100)
    assert parts.normalizer.std.shape == (features,)
    assert parts.words.vectors.shape == (4, 300)
    again = load_official_parts(folder / "t2m", dataset) if features == 263 else parts
    assert again.fingerprint == parts.fingerprint


def test_other_layouts_are_found(folder, tmp_path):
    expected = load_official_parts(folder).fingerprint
    deps = tmp_path / "mld/deps"
    deps.mkdir(parents=True)
    shutil.copytree(folder / "t2m", deps / "t2m/t2m")
    shutil.copytree(folder / "glove", deps / "glove")
    for place in (tmp_path / "mld", deps, deps / "t2m"):
        assert load_official_parts(place).fingerprint == expected
    flat = tmp_path / "flat"
    shutil.copytree(folder / "glove", flat)
    shutil.copy(folder / "t2m/text_mot_match/model/finest.tar", flat)
    for name in ("mean", "std"):
        shutil.copy(folder / f"t2m/Comp_v6_KLD01/meta/{name}.npy", flat / f"t2m_{name}.npy")
    assert load_official_parts(flat).fingerprint == expected
    assert load_official_parts(flat / "finest.tar").fingerprint == expected


def test_the_fingerprint_sees_every_part(folder):
    parts = load_official_parts(folder)
    seen = {parts.fingerprint}
    for change in (
        lambda p: p.extractor.text_encoder.hidden.data.add_(1e-3),
        lambda p: p.normalizer.std.add_(1e-3),
        lambda p: p.words.vectors.data.add_(1e-3),
    ):
        changed = load_official_parts(folder)
        change(changed)
        seen.add(changed.fingerprint)
    assert len(seen) == 4


def test_what_is_missing_is_named_with_its_place(folder, tmp_path):
    with refused("no evaluator for humanml3d", "t2m/text_mot_match/model/finest.tar"):
        weights_file(tmp_path, "humanml3d")
    with refused("does not exist"):
        weights_file(tmp_path / "nowhere", "humanml3d")
    with refused("no published evaluator for 'humanml'", "did you mean 'humanml3d'"):
        weights_file(tmp_path, "humanml")
    model = tmp_path / "t2m/text_mot_match/model"
    model.mkdir(parents=True)
    shutil.copy(folder / "t2m/text_mot_match/model/finest.tar", model)
    with refused(r"put mean\.npy at", "t2m/Comp_v6_KLD01/meta/mean.npy"):
        load_official_parts(tmp_path)
    shutil.copytree(folder / "t2m/Comp_v6_KLD01", tmp_path / "t2m/Comp_v6_KLD01")
    with refused("no word vectors", r"put glove/our_vab_data\.npy"):
        load_official_parts(tmp_path)
    np.save(tmp_path / "t2m/Comp_v6_KLD01/meta/mean.npy", np.zeros(251))
    with refused(r"mean\.npy holds float64 of shape \(251,\), expected \(263,\)"):
        load_official_parts(tmp_path)


def test_the_published_statistics_are_read(sample_data, tmp_path, folder):
    """Root motion and contacts count 25 times more than with the data set's own deviation."""
    shutil.copytree(folder / "glove", tmp_path / "glove")
    shutil.copy(folder / "t2m/text_mot_match/model/finest.tar", tmp_path)
    for name in ("mean", "std"):
        shutil.copy(sample_data / f"evaluator/t2m_{name}.npy", tmp_path)
    std = load_official_parts(tmp_path).normalizer.std
    own = torch.from_numpy(np.load(sample_data / "humanml3d/Std.npy"))
    ratio = own / std
    assert ratio[:4] == pytest.approx(25, rel=0.02) and ratio[259:] == pytest.approx(25, rel=0.02)
    assert ratio[4:259] == pytest.approx(1, rel=0.01)
