"""torch.compile over prepared networks: fewer, larger steps for one batch size, after a wait."""

import shutil

import torch
from torch import Tensor, nn

from lead.core.errors import RequestError
from lead.models.inference.mld import FastMldDenoiser

BATCH_SIZES = 64  # that are compiled, times the networks; others run as they are
CPU_OPTIONS = {
    "freezing": True,  # weights are constants, laid out for the products that read them
    "max_autotune": True,
    "max_autotune_gemm_backends": "CPP,ATEN",
    "autotune_num_choices_displayed": 0,
    "max_autotune_report_choices_stats": False,
}


def compile_network(network: nn.Module, device: torch.device) -> nn.Module:
    """The same network, in place: compiled for each batch size at its first use.

    Compiling takes half a minute on a CPU, some seconds where torch has kept it from an earlier
    process. On CUDA the compiled steps are replayed as one graph. Raises RequestError where a CPU
    has no C++ compiler.
    """
    if device.type == "cpu" and not (shutil.which("g++") or shutil.which("clang++")):
        raise RequestError(
            "compiled=true needs a C++ compiler (g++), and there is none on the PATH: "
            "install one, or leave compiled=false"
        )
    import torch._dynamo.config  # takes half a second
    import torch._inductor.config

    torch._dynamo.config.recompile_limit = BATCH_SIZES
    kind = {} if device.type == "cpu" else {"mode": "reduce-overhead"}
    if device.type == "cpu":
        # As `options` of torch.compile they have no effect on the products (torch 2.13).
        torch._inductor.config.load_config(CPU_OPTIONS)
    if isinstance(network, FastMldDenoiser):
        network.in_fours = False
        network.denoiser.encoder.compile(dynamic=False, **kind)
    else:
        for name, part in list(network.named_children()):
            whole = _Whole(part)
            whole.compile(dynamic=False, **kind)
            setattr(network, name, whole)
    return network


class _Whole(nn.Module):
    """A network as one piece of our own code: torch compiles a bare Sequential child by child."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)
