"""`lead report attention`: where motions look among the words of their sentences."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from lead.core.devices import choose_device
from lead.core.files import atomic_path
from lead.evaluation.report.attention_plot import AttentionPanel, write_attention
from lead.generation.attention import Attention, watch
from lead.generation.loading import ModelRequest, load_named
from lead.studies.timelines import Prompts


class AttentionRequest(ModelRequest):
    """Whose attention is looked at, and the seed of the motions."""

    seed: int


def draw_attention(prompts: Prompts, request: AttentionRequest, output: Path) -> Iterator[str]:
    """Draw a motion of each sentence, and write the picture and what it shows as CSV."""
    model = load_named(request).to(choose_device(request.device))
    model.need("attention")
    model.check_sampling(request.sampling)
    texts = [text for text, _ in prompts]
    frames = [round(seconds * model.fps) for _, seconds in prompts]
    model.check(texts, frames, project=False)
    made = watch(model, texts, frames, [request.seed] * len(texts), request.sampling)
    top_k = request.sampling.sink_words
    write_attention(output, [panel(each, top_k) for each in made])
    _write_words(output.with_suffix(".csv"), made)
    _write_sinks(sinks_file(output), made, top_k)
    for each in made:
        first = 100 * each.weights[..., 0].mean()
        sinks = each.sink_ratio(top_k).mean()
        yield f"'{each.text:.60}': SinkRatio {sinks:.2f}, first token {first:.0f} %"
    yield f"written: {output}, {output.with_suffix('.csv').name}, {sinks_file(output).name}"


def panel(attention: Attention, top_k: int = 1) -> AttentionPanel:
    """What a picture shows of one motion: means over steps, layers and heads."""
    words = [word for word, _ in attention.words]
    sinks = attention.sink_ratio(top_k).mean(axis=-1).T
    about = (f"{attention.text} (seed {attention.seed})", words, attention.seconds)
    return AttentionPanel(*about, attention.by_word.mean(axis=(0, 1, 2)).T, sinks)


def sinks_file(output: Path) -> Path:
    """Where the SinkRatio of each step, layer and head stands."""
    return output.with_name(f"{output.stem}.sinks.csv")


def _write_words(path: Path, made: Sequence[Attention]) -> None:
    """A line for each sentence, step, layer, latent and word: the share, a mean over heads."""
    with atomic_path(path) as temporary, temporary.open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["sentence", "step", "time", "layer", "second", "place", "word", "share"])
        for each in made:
            shares = each.by_word.mean(axis=2)
            pace = each.seconds / shares.shape[2]
            for (step, layer, latent, place), share in np.ndenumerate(shares):
                at = (step + 1, f"{each.times[step]:g}", layer + 1, f"{latent * pace:.2f}")
                rows.writerow([each.text, *at, place, each.words[place][0], f"{share:.5f}"])


def _write_sinks(path: Path, made: Sequence[Attention], top_k: int) -> None:
    """A line for each sentence, step, layer and head."""
    with atomic_path(path) as temporary, temporary.open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["sentence", "step", "time", "layer", "head", "sink_ratio", "first_token"])
        for each in made:
            first = each.weights[..., 0].mean(axis=-1)
            for (step, layer, head), ratio in np.ndenumerate(each.sink_ratio(top_k)):
                at = (step + 1, f"{each.times[step]:g}", layer + 1, head + 1)
                shown = (f"{ratio:.5f}", f"{first[step, layer, head]:.5f}")
                rows.writerow([each.text, *at, *shown])
