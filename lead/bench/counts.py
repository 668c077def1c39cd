"""Operations and bytes of the paper's models, counted from their sizes: what a floor is made of.

A multiplication with its addition is two operations. Weights are counted once for each time they
have to be read; activations are left out, they fit into caches.
"""

WIDTH, LAYERS, FEED_FORWARD, FEATURES = 256, 9, 1024, 263
JOINS = LAYERS // 2
NUMBER = {"fp32": 4, "bf16": 2}  # bytes

LAYER = 4 * WIDTH**2 + 2 * WIDTH * FEED_FORWARD  # weights of one encoder layer
STACK = LAYERS * LAYER + JOINS * 2 * WIDTH**2


def attention(tokens: int, layers: int = LAYERS) -> int:
    """Operations of the products of queries, keys and values of one sequence."""
    return layers * 4 * tokens**2 * WIDTH


def denoiser_step(tokens: int = 3) -> int:
    """Operations of one prediction for one row."""
    return 2 * STACK * tokens + attention(tokens)


def projector(text_dim: int = 768) -> int:
    """Weights that one latent passes: attention to itself alone is two matrices, not four."""
    layer = 2 * WIDTH**2 + 2 * WIDTH * FEED_FORWARD
    return 2 * LAYERS * layer + 2 * (WIDTH**2 + WIDTH * text_dim)


def decoder(frames: int) -> int:
    """Operations of decoding one motion; attention to one memory token costs nothing."""
    return 2 * (STACK + WIDTH * FEATURES) * frames + attention(frames)


def encoder(frames: int) -> int:
    """Operations of encoding one motion."""
    return 2 * (STACK * (frames + 2) + WIDTH * FEATURES * frames) + attention(frames + 2)


def generation(frames: int, steps: int, guided: bool, precision: str, batch: int) -> tuple:
    """Operations and bytes of ``batch`` motions, of ``frames`` frames each."""
    rows = 2 if guided else 1
    operations = steps * rows * denoiser_step() + 2 * projector() + decoder(frames)
    weights = NUMBER[precision] * (steps * STACK + STACK) + 4 * projector()
    return batch * operations, weights
