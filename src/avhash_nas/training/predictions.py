"""What a parser has predicted for the videos of a test, to be looked at."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from numpy.typing import NDArray

from avhash_nas.data import Batch, ParsingData
from avhash_nas.distributed import gather_rows
from avhash_nas.errors import AvnasError
from avhash_nas.files import write_whole
from avhash_nas.metrics import decode
from avhash_nas.networks import Parsing

Table = NDArray[np.bool_]


@dataclass(frozen=True)
class Predictions:
    """Predictions and truth of V videos.

    Attributes:
        ids: Of the videos, (V,).
        predicted: Whether a class is predicted as heard, or seen, in a time step, (V, 2, T, C), audio first.
        truth: Whether it is, likewise.
        class_names: Names of the C classes.
        seconds: Length of a time step.
    """

    ids: NDArray[np.str_]
    predicted: Table
    truth: Table
    class_names: tuple[str, ...]
    seconds: float

    def save(self, path: Path) -> None:
        """Write a file; it appears whole."""
        packed = {name: np.packbits(getattr(self, name), axis=None) for name in ("predicted", "truth")}
        arrays: dict[str, Any] = {
            **packed,
            "ids": self.ids,
            "class_names": np.array(self.class_names),
            "seconds": np.array(self.seconds),
            "shape": np.array(self.truth.shape),
        }

        def write(partial: Path) -> None:
            with partial.open("wb") as file:
                np.savez_compressed(file, **arrays)

        write_whole(path, write)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` has written.

        Raises:
            AvnasError: The file is missing or damaged.
        """
        try:
            with np.load(path, allow_pickle=False) as stored:
                shape = tuple(stored["shape"].tolist())
                count = int(np.prod(shape))
                tables = {
                    name: np.unpackbits(stored[name], count=count).reshape(shape).astype(np.bool_)
                    for name in ("predicted", "truth")
                }
                names = tuple(stored["class_names"].tolist())
                return cls(stored["ids"], tables["predicted"], tables["truth"], names, float(stored["seconds"]))
        except (OSError, KeyError, ValueError, EOFError) as error:
            raise AvnasError(f"{path}: cannot be read: {' '.join(str(error).split())}") from error


class KeepPredictions(Callback):
    """Keeps what a test predicts, on every rank, once the test is over."""

    def __init__(self) -> None:
        self._parts: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._rows: NDArray[np.int64] = np.empty(0, np.int64)
        self._predicted: Table = np.empty(0, np.bool_)

    def on_test_batch_end(
        self,
        trainer: L.Trainer,  # noqa: ARG002
        pl_module: L.LightningModule,  # noqa: ARG002
        outputs: Any,
        batch: Batch,
        batch_idx: int,  # noqa: ARG002
        dataloader_idx: int = 0,  # noqa: ARG002
    ) -> None:
        """Keep a batch."""
        parsing: Parsing = outputs
        predicted = decode(parsing.logits.sigmoid(), parsing.video)
        self._parts.append((predicted.cpu(), batch.index.cpu()))

    def on_test_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: ARG002
        """Bring the ranks' shares together; a video that came twice is kept once."""
        predicted, rows = (torch.cat(column).to(pl_module.device) for column in zip(*self._parts, strict=True))
        self._rows, first = np.unique(gather_rows(rows).cpu().numpy(), return_index=True)
        self._predicted = gather_rows(predicted).cpu().numpy()[first]
        self._parts = []

    def predictions(self, data: ParsingData) -> Predictions:
        """What was kept, with the truth.

        Args:
            data: That was tested on.
        """
        ids, truth = np.array(data.ids)[self._rows], data.events.truth[self._rows]
        return Predictions(ids, self._predicted, truth, data.class_names, data.events.seconds)
