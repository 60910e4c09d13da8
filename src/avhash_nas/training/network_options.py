"""Ways to run a network in training: compiled, or with cells recomputed in the backward pass."""

import importlib.util
import os
import shutil
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from typing_extensions import override

from avhash_nas.errors import AvnasError
from avhash_nas.networks import compile_network, uncompile_network
from avhash_nas.networks.graph import GraphModule


class NetworkOptions(Callback):
    """Sets the options when training begins and resets them at its end.

    Args:
        compiled: Compile the network's operators (`compile_network`), except in validations.
        checkpointing: Recompute cells in the backward pass (`GraphModule.checkpoint_cells`).
    """

    def __init__(self, *, compiled: bool = False, checkpointing: bool = False) -> None:
        self.compiled = compiled
        self.checkpointing = checkpointing
        self._eager: Any = None

    @override
    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Set the options.

        Raises:
            AvnasError: The network has no cells, or the compiler that torch.compile needs is missing.
        """
        network: Any = pl_module.network
        if self.checkpointing:
            if not isinstance(network, GraphModule):
                raise AvnasError(f"--checkpointing: {type(network).__name__} has no cells to run again")
            network.checkpoint_cells()
        if self.compiled:
            _check_compiler(pl_module.device)
            compile_network(network)

    @override
    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Run eagerly: compiling for a few batches would take longer than running them."""
        if self.compiled:
            self._eager = torch.compiler.set_stance("force_eager")
            self._eager.__enter__()

    @override
    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._end_eager()

    @override
    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._reset(pl_module)

    @override
    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        self._end_eager()
        self._reset(pl_module)

    def _end_eager(self) -> None:
        if self._eager is not None:
            self._eager.__exit__(None, None, None)
            self._eager = None

    def _reset(self, pl_module: L.LightningModule) -> None:
        network: Any = pl_module.network
        if self.checkpointing and isinstance(network, GraphModule):
            network.checkpoint_cells(False)
        if self.compiled:
            uncompile_network(network)


def _check_compiler(device: torch.device) -> None:
    if device.type == "cpu" and shutil.which(compiler := os.environ.get("CXX", "g++")) is None:
        raise AvnasError(f"--compile: needs a C++ compiler, and there is no {compiler}: install g++ or set CXX")
    if device.type == "cuda" and importlib.util.find_spec("triton") is None:
        raise AvnasError("--compile: needs triton on a CUDA device: pip install triton")
