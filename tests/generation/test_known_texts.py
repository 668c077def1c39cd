"""How far a sentence is from the training captions, against geometry known in closed form."""

import math

import pytest
import torch

from lead.core.errors import WorkError
from lead.core.runs import Run
from lead.generation.known_texts import (
    FILE,
    KnownTexts,
    best_threshold,
    error_shares,
    read_known_texts,
    thin_out,
    write_known_texts,
)


def on_a_circle(*degrees: float) -> torch.Tensor:
    angles = torch.tensor(degrees) * math.pi / 180
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def test_the_distance_is_one_minus_the_cosine_to_the_nearest() -> None:
    known = KnownTexts(on_a_circle(0, 90), threshold=0.2)
    asked = on_a_circle(0, 60, 225) * torch.tensor([[1.0], [5.0], [0.3]])
    expected = [0, 1 - math.cos(math.pi / 6), 1 + math.cos(math.pi / 4)]
    assert known.distances(asked).tolist() == pytest.approx(expected, abs=1e-5)


def test_thinning_keeps_the_farthest_and_tells_the_radius() -> None:
    vectors = on_a_circle(0, 1, 2, 90, 91, 180)
    kept, radius = thin_out(vectors, 3)
    assert torch.allclose(kept, on_a_circle(0, 180, 90), atol=1e-5)
    assert radius == pytest.approx(1 - math.cos(math.radians(2)), abs=1e-5)


def test_equal_captions_are_kept_once() -> None:
    kept, radius = thin_out(on_a_circle(10, 10, 50), 10)
    assert len(kept) == 2 and radius == pytest.approx(0, abs=1e-5)


def test_the_threshold_errs_least_and_stands_in_the_widest_gap() -> None:
    near, far = [0.1, 0.2, 0.3, 0.75], [0.6, 0.7, 0.8, 0.9]
    threshold = best_threshold(near, far)
    assert threshold == pytest.approx(0.45)
    assert error_shares(near, far, threshold) == (0.25, 0.0)
    with pytest.raises(WorkError, match="near and far"):
        best_threshold([], far)


def test_a_run_keeps_them_and_a_broken_file_is_named(tmp_path) -> None:
    run = Run(tmp_path)
    assert read_known_texts(run) is None
    write_known_texts(run, KnownTexts(on_a_circle(20, 70), 0.4, {"captions": 2}))
    known = read_known_texts(run)
    assert (known.threshold, known.facts) == (0.4, {"captions": 2})
    assert torch.allclose(known.vectors, on_a_circle(20, 70), atol=1e-3)
    (tmp_path / FILE).write_bytes(b"no safetensors")
    with pytest.raises(WorkError, match=FILE):
        read_known_texts(run)
