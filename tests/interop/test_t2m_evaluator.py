"""The contract ``load_t2m_evaluator``: the published file in, an extractor in order of rows out."""

import pytest
import torch

from lead.core.errors import RequestError
from lead.evaluation.extractor import FeatureExtractor
from lead.interop import load_t2m_evaluator

NETWORKS = ("text_encoder", "movement_encoder", "motion_encoder")


@pytest.fixture
def original() -> FeatureExtractor:
    torch.manual_seed(0)
    return FeatureExtractor(263).eval()


@pytest.fixture
def folder(original, tmp_path):
    tensors = original.state_dict()
    content = {
        network: {k.partition(".")[2]: v for k, v in tensors.items() if k.startswith(network)}
        for network in NETWORKS
    }
    place = tmp_path / "t2m/text_mot_match/model"
    place.mkdir(parents=True)
    torch.save({**content, "epoch": 1, "iter": 2}, place / "finest.tar")
    return tmp_path


@torch.no_grad()
def test_the_file_and_its_folders_give_the_same_extractor(original, folder):
    x, lengths = torch.randn(2, 24, 263), torch.tensor([8, 24])
    words, tags = torch.randn(2, 22, 300), torch.zeros(2, 22, 15)
    for path in (folder, folder / "t2m", folder / "t2m/text_mot_match/model/finest.tar"):
        extractor = load_t2m_evaluator(path)
        assert torch.equal(extractor.embed_motion(x, lengths), original.embed_motion(x, lengths))
        assert torch.equal(
            extractor.embed_text(words, tags, torch.tensor([4, 22])),
            original.embed_text(words, tags, torch.tensor([4, 22])),
        )
        swapped = extractor.embed_motion(x.flip(0), lengths.flip(0)).flip(0)
        torch.testing.assert_close(swapped, original.embed_motion(x, lengths))


def test_another_data_set_does_not_fit(folder):
    with pytest.raises(RequestError, match="no evaluator for kitml"):
        load_t2m_evaluator(folder, dataset="kitml")
    with pytest.raises(RequestError, match=r"main.0.weight is \(512, 259, 4\)"):
        load_t2m_evaluator(folder / "t2m/text_mot_match/model/finest.tar", dataset="kitml")
