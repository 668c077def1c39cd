"""A protocol with the published judge's sizes: sentences and motions embedded once, in batches."""

import numpy as np
import torch

from lead.bench.machine import Machine
from lead.bench.record import Row
from lead.bench.setting import BenchOptions, Setting
from lead.bench.timing import alternate, median
from lead.core.seeding import derive_seed
from lead.evaluation.extractor.networks import FeatureExtractor
from lead.evaluation.extractor.parts import EvaluatorParts
from lead.evaluation.extractor.words import Vocabulary, WordVectors
from lead.evaluation.judge import Judge
from lead.evaluation.judging import run_protocol
from lead.evaluation.protocol import Protocol
from lead.evaluation.real_clips import RealClips
from lead.representation import get_skeleton
from lead.representation.normalizer import Normalizer

CLIPS, REPLICATIONS, REPEATS = 32, 4, 4
POOL = 32
FEATURES = 263
WORDS = ("sos", "eos", "unk", "a", "person", "walks", "runs", "jumps", "waves", "turns")


def measure(setting: Setting, machine: Machine, options: BenchOptions) -> list[Row]:  # noqa: ARG001
    """The rows of `lead bench evaluate`: the judge alone, motions are made of random numbers."""
    torch.manual_seed(setting.seed)
    real, protocol = _real(setting.seed), _protocol()
    judge = _judge(setting)

    def generate(texts, frames, seeds) -> list[np.ndarray]:
        del texts
        return [_motion(count, seed) for count, seed in zip(frames, seeds, strict=True)]

    works = {
        "ours": lambda: run_protocol(protocol, judge, real, {}, {"made": generate}, setting.seed),
        "plain": lambda: _plain_protocol(protocol, judge, real),
    }
    seconds = alternate(works, setting, warm_up=False)
    name = f"{protocol.replications} replications of {len(real)} clips with MultiModality"
    return [
        Row(
            *(name, protocol.replications, "replications"),
            *(median(seconds["ours"]), median(seconds["plain"]), None),
            *(seconds["ours"], seconds["plain"]),
            remark="plain embeds sentences and real motions anew in every replication, in the "
            "loader's batches of 32; MultiModality sentence by sentence",
        )
    ]


def _plain_protocol(protocol: Protocol, judge: Judge, real: RealClips) -> None:
    """The embedding work of a loop over loaders, as the field's code has it."""
    for replication in range(protocol.replications):
        for start in range(0, len(real), POOL):
            part = range(start, min(start + POOL, len(real)))
            judge.embed_texts(
                [real.captions[n][0] for n in part], [real.tokens[n][0] for n in part]
            )
            judge.embed_motions([real.features[n] for n in part])
            judge.embed_motions([_motion(len(real.features[n]), replication) for n in part])
        for text in range(min(protocol.multimodality_texts, len(real))):
            frames = len(real.features[text])
            repeats = range(protocol.multimodality_repeats)
            judge.embed_motions([_motion(frames, seed) for seed in repeats])


def _motion(frames: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((frames, FEATURES), dtype=np.float32)


def _real(seed: int) -> RealClips:
    rng = np.random.default_rng(derive_seed(seed, "real"))
    lengths = 4 * rng.integers(10, 50, CLIPS)
    words = [WORDS[3 + number % 7] for number in range(CLIPS)]
    return RealClips(
        *("random", "test", "none", get_skeleton("humanml3d"), 20.0),
        [str(number) for number in range(CLIPS)],
        [_motion(int(length), number) for number, length in enumerate(lengths)],
        [(f"a person {word} {number}",) for number, word in enumerate(words)],
        [(f"a/DET person/NOUN {word}/VERB",) for word in words],
    )


def _protocol() -> Protocol:
    return Protocol(
        name="bench",
        version=1,
        datasets=["random"],
        split="test",
        pool_size=POOL,
        replications=REPLICATIONS,
        confidence=0.95,
        diversity_pairs=CLIPS // 2,
        multimodality_texts=8,
        multimodality_repeats=REPEATS,
        multimodality_pairs=2,
        multimodality_sets=REPLICATIONS,
        unit_length=4,
        crop="whole",
        constant_bones=False,
        published={},
    )


def _judge(setting: Setting) -> Judge:
    parts = EvaluatorParts(
        *("bench", FeatureExtractor(FEATURES), Normalizer(np.zeros(FEATURES), np.ones(FEATURES))),
        *(Vocabulary(WORDS), WordVectors(len(WORDS)), "words"),
    )
    return Judge(parts, setting.device)
