"""Features of single videos on disk, until all are there and can be put together."""

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np

from avhash_nas.extraction.extraction import VideoFeatures
from avhash_nas.files import write_whole


class Parts:
    """A folder with one npz file for each video that is done; each appears whole, so that any interruption keeps it.

    Args:
        folder: Made when the first part is written.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def path(self, key: str) -> Path:
        """Where a video's part lies; 256 folders share them.

        Args:
            key: The video's (`VideoFile.key`).
        """
        return self.folder / key[:2] / f"{key}.npz"

    def keys(self) -> set[str]:
        """The videos that have a part."""
        return {path.stem for path in self.folder.glob("??/*.npz")}

    def write(self, key: str, features: VideoFeatures, dtype: str) -> None:
        """Keep the features of a video.

        Args:
            key: The video's.
            features: Its features.
            dtype: Type to store them in.

        Raises:
            AvnasError: They cannot be written.
        """
        about = json.dumps({"seconds": features.seconds, "notes": list(features.notes)})
        arrays = {name: getattr(features, name).astype(dtype) for name in ("visual", "audio")}

        def write(partial: Path) -> None:
            with partial.open("wb") as file:
                np.savez(file, allow_pickle=False, about=np.array(about), **arrays)

        write_whole(self.path(key), write)

    def read(self, key: str) -> VideoFeatures | None:
        """The features of a video, in the type that they are stored in; None where the part is damaged, or gone.

        Args:
            key: The video's.
        """
        try:
            with np.load(self.path(key), allow_pickle=False) as file:
                about = json.loads(str(file["about"]))
                return VideoFeatures(file["visual"], file["audio"], about["seconds"], tuple(about["notes"]))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None

    def drop(self, key: str) -> None:
        """Remove the part of a video.

        Args:
            key: The video's.
        """
        self.path(key).unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove everything."""
        if self.folder.is_dir():
            shutil.rmtree(self.folder)
