"""Small datasets in the published layout, written as a test needs them."""

from collections.abc import Callable, Mapping
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml

LISTS = {
    "train": ("a,0", "b,0", "c,1", "d,1", "e,2", "f,2"),
    "val": ("g,0", "h,1", "i,2"),
    "test": ("j,0", "k,1", "l,2"),
}


def write_vectors(path: Path, ids: list[str], frames: int, dim: int, dtype: str, seed: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    vectors = {name: random.standard_normal((frames, dim)).astype(dtype) for name in ids}
    with h5py.File(path, "w") as file:
        for name, values in vectors.items():
            file.create_group(name)["vectors"] = values
    return vectors


@pytest.fixture
def make_set(tmp_path: Path) -> Callable[..., Path]:
    def make(
        lists: Mapping[str, tuple[str, ...]] = LISTS,
        described: dict[str, object] | None = None,
        frames: int = 4,
        dtype: str = "float32",
        name: str = "set",
    ) -> Path:
        root = tmp_path / name
        root.mkdir()
        for split, lines in lists.items():
            (root / f"{split}.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        ids = list(dict.fromkeys(line.split(",")[0] for lines in lists.values() for line in lines if "," in line))
        write_vectors(root / "image.h5", ids, frames, 5, dtype, 1)
        write_vectors(root / "audio.h5", ids, frames, 3, dtype, 2)
        if described is not None:
            (root / "dataset.yaml").write_text(yaml.safe_dump(described), encoding="utf-8")
        return root

    return make


@pytest.fixture
def rewrite() -> Callable[[Path, str, object], None]:
    def change(path: Path, video: str, values: object) -> None:
        """Replaces a video's vectors; None removes the video."""
        with h5py.File(path, "a") as file:
            del file[video]
            if values is not None:
                file.create_group(video)["vectors"] = values

    return change
