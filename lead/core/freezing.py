"""Frozen means frozen: evaluation mode, no gradient, and no way back by ``.train()``."""

from torch import nn


class _StayFrozen:
    """Stand-in for ``Module.train`` on a frozen module: ignores the request (picklable)."""

    def __init__(self, module: nn.Module):
        self.module = module

    def __call__(self, mode: bool = True) -> nn.Module:  # noqa: ARG002
        return self.module


def freeze(module: nn.Module) -> nn.Module:
    """Put ``module`` and all its children in evaluation mode for good, and stop their gradients.

    Calling ``.train()`` on the module or on a container that holds it changes nothing afterwards,
    so that dropout stays off when a trainer switches its own module to training mode.
    """
    module.eval()
    module.requires_grad_(False)
    for child in module.modules():
        child.train = _StayFrozen(child)
    return module


def trainable_parameters(module: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that an optimiser, an average and a checkpoint should see."""
    return {name: p for name, p in module.named_parameters() if p.requires_grad}
