"""Processes that share an evaluation end in the table of one."""

import pickle
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import distributed

from lead.evaluation import embeddings, judging
from lead.evaluation.protocol import Protocol
from lead.evaluation.real_clips import RealClips
from lead.evaluation.sharing import Sharing, deal
from lead.representation import get_skeleton

SKELETON = get_skeleton("humanml3d")
PROTOCOL = Protocol(
    name="few",
    version=1,
    datasets=("toys",),
    split="test",
    pool_size=4,
    replications=5,
    confidence=0.95,
    diversity_pairs=6,
    multimodality_texts=5,
    multimodality_repeats=4,
    multimodality_pairs=3,
    multimodality_sets=2,
    unit_length=4,
    crop="random",
    constant_bones=False,
    published={},
)


class RandomJudge:
    """Vectors that depend on a motion or sentence alone."""

    def embed_motions(self, features) -> np.ndarray:
        return np.array([clip[:, 3:9].std(axis=0) + clip[:, 3:9].mean() for clip in features])

    def embed_texts(self, captions, tokens=None) -> np.ndarray:
        return np.array([[len(text) * place % 7 for place in range(6)] for text in captions], float)


def noise(texts, frames, seeds) -> list[np.ndarray]:
    return [
        np.random.default_rng(seed).normal(size=(length, SKELETON.features)).astype(np.float32)
        for length, seed in zip(frames, seeds, strict=True)
    ]


def real_clips() -> RealClips:
    clips = noise([""] * 13, range(12, 25), range(13))
    captions = [[f"a clip of {place} steps", f"{place}"] for place in range(13)]
    ids = [f"clip{place}" for place in range(13)]
    tokens = [["", ""] for _ in range(13)]
    return RealClips("toys", "test", "hash", SKELETON, 20.0, ids, clips, captions, tokens)


def judged(protocol: Protocol, sharing: Sharing | None):
    rebuilt = {"rebuilt": lambda motions: [motion * 0.9 for motion in motions]}
    generators = {"noise": noise, "later": lambda t, f, s: noise(t, f, [seed + 1 for seed in s])}
    judge = RandomJudge()
    return judging.run_protocol(protocol, judge, real_clips(), rebuilt, generators, 3, sharing)


def one_of_several(rank: int, world: int, folder: str, protocol: Protocol) -> None:
    meeting = f"file://{folder}/meeting"
    distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=world)
    embeddings.CHUNK = 3  # more chunks than processes
    result = judged(protocol, Sharing(rank, world))
    Path(folder, f"{rank}.pickle").write_bytes(pickle.dumps(result))


@pytest.mark.parametrize(("world", "sets"), [(2, 1), (3, 2)])
def test_the_table_of_one_process(monkeypatch, world, sets):
    protocol = replace(PROTOCOL, multimodality_sets=sets)
    monkeypatch.setattr(embeddings, "CHUNK", 3)
    alone = judged(protocol, None)
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.start_processes(
            one_of_several, (world, folder, protocol), world, start_method="fork"
        )
        results = [
            pickle.loads(path.read_bytes()) for path in sorted(Path(folder).glob("*.pickle"))
        ]
    assert len(results) == world
    for result in results:
        assert result == alone  # to the last bit
        assert [*result.rows] == [*alone.rows]
    assert alone.rows["noise"]["fid"] != alone.rows["later"]["fid"]
    assert len(alone.multimodality["noise"]) == sets


def test_tasks_are_dealt_to_whoever_has_least_to_do():
    assert deal([5, 1, 4, 2], 1) == [0, 0, 0, 0]
    assert deal([5, 1, 4, 2], 2) == [0, 0, 1, 1]
    owners = deal([380] * 20 + [1024, 1024, 952], 4)
    loads = [sum(c for c, o in zip([380] * 20 + [1024, 1024, 952], owners, strict=True) if o == p)
             for p in range(4)]  # fmt: skip
    assert max(loads) - min(loads) <= 380


def test_one_process_does_every_task_in_order():
    asked = []
    results = Sharing().run([3, 1, 2], lambda task: asked.append(task) or task * 10)
    assert (asked, results) == ([0, 1, 2], [0, 10, 20])
    assert Sharing().is_first and not Sharing(1, 2).is_first
