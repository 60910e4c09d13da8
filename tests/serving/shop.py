"""A few videos with features, a network and a store, to be served."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from avhash_nas.baselines import MeanPoolMLP
from avhash_nas.code_set import CodeSet
from avhash_nas.codes import halve
from avhash_nas.data import Media, write_media
from avhash_nas.extraction import ColorGradients, Extraction, LogMel
from avhash_nas.files import write_json
from avhash_nas.retrieval import create_store
from media.make import make_video

EVIL = "<img src=x onerror=document.title='broken'>"
IDS = (
    *("disc red", "disc green", "disc blue", "square red", "square green", "square blue"),
    *("stripes/red", "stripes/green", "größe 50 % & more?", EVIL),
)
UNLISTED = "stored, and in no list"
UNSTORED = "listed, and in no store"
CLASSES = ("disc", "square", "stripes")


@dataclass(frozen=True)
class Shop:
    """Files of a service.

    Attributes:
        store: Index file.
        model: Folder of the network.
        features: Folder of `videos.csv`.
    """

    store: Path
    model: Path
    features: Path

    @property
    def arguments(self) -> list[str]:
        """Arguments of `avnas serve`."""
        return [f"--store={self.store}", f"--model={self.model}", f"--features={self.features}"]

    def video(self, number: int = 0) -> Path:
        """A video file."""
        return self.features / "videos" / f"{number}.mp4"


def make_shop(folder: Path) -> Shop:
    """Videos with features by weightless extractors, codes of a random network, and an exact store."""
    shop = Shop(folder / "codes.index", folder / "model", folder / "features")
    shop.video().parent.mkdir(parents=True)
    extraction = Extraction(ColorGradients(), LogMel(), steps=5)
    torch.manual_seed(0)
    network = MeanPoolMLP(extraction.visual.dim, extraction.audio.dim, 32, hidden=16)
    ids = [*IDS, UNSTORED, UNLISTED]
    made = [
        make_video(shop.video(i), seconds=1, hue=i % 3 / 3, shape=CLASSES[i // 3 % 3], tone=300 + 80 * i)
        for i in range(len(ids))
    ]
    features = [extraction.features(path) for path in made]
    with torch.inference_mode():
        values = network.eval()(
            *(torch.from_numpy(np.stack(part)) for part in zip(*((f.visual, f.audio) for f in features)))
        )
    classes = np.eye(3, dtype=bool)[[i // 3 % 3 for i in range(len(ids))]]
    codes = CodeSet(
        ids=np.array(ids),
        packed=np.packbits(values.numpy() >= 0, axis=1),
        bits=32,
        fingerprint=network.fingerprint(),
        values=halve(values).numpy(),
        labels=classes,
        class_names=CLASSES,
        extraction=extraction.to_dict(),
    )
    network.save_pretrained(shop.model)
    write_json(shop.features / "extraction.json", extraction.to_dict())
    stored = [i for i, video in enumerate(ids) if video != UNSTORED]
    create_store(str(shop.store), codes.take(stored))
    write_media(
        shop.features,
        [
            Media(video, f"videos/{i}.mp4", CLASSES[i // 3 % 3], "train", 1.0)
            for i, video in enumerate(ids)
            if video != UNLISTED
        ],
    )
    return shop
