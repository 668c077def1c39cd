"""Which words a trained flow reads: sink-mask from other times than its own, and controls."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn.functional import pad

from lead.models.flow_transformer import FlowTransformer


def with_padding(text: Tensor, mask: Tensor, tokens: int) -> tuple[Tensor, Tensor]:
    """Padded sentences of which so many tokens are read behind the pooled vector, zeros or not."""
    if tokens:
        more = max(0, 1 + tokens - text.shape[1])
        text, mask = pad(text, (0, 0, 0, more)), pad(mask, (0, more))
        mask[:, : 1 + tokens] = True
    return text, mask


def draw_masked(word_mask: Tensor, chosen: Sequence[torch.Generator]) -> Tensor:
    """A token of each sentence between its first and its last, (rows,)."""
    inner = (word_mask.sum(1) - 3).clamp(min=1).tolist()  # without pooled vector, start and end
    drawn = [int(torch.randint(n, (), generator=g)) for n, g in zip(inner, chosen, strict=True)]
    return 1 + torch.tensor(drawn, device=word_mask.device)


@contextmanager
def masking(
    flow: FlowTransformer, threshold: float | None, word: int | Tensor, passes: int
) -> Iterator[None]:
    """Within it, the flow does not read a word of each row at times above a threshold."""
    before = flow.sink_threshold, flow.sink_word
    if threshold is not None:
        flow.sink_threshold = threshold
        flow.sink_word = word.repeat(passes) if isinstance(word, Tensor) else word
    try:
        yield
    finally:
        flow.sink_threshold, flow.sink_word = before
