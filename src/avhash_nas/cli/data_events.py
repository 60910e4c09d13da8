"""`avnas data events`: vectors of the classes' names for a dataset with events, and pseudo labels by them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from avhash_nas.cli.parser import Choice, make_parser
from avhash_nas.data.import_captions import add_entry
from avhash_nas.data.layout import read_layout
from avhash_nas.errors import AvnasError
from avhash_nas.files import write_whole

if TYPE_CHECKING:
    from numpy.typing import NDArray


ENCODER = Choice("avhash_nas.extraction.TextEncoder", ("avhash_nas.extraction",))
PROMPTS = {"audio": "this is a sound of {}", "visual": "A photo of {}"}
"""VALOR's prompts for CLAP and CLIP."""


def run(arguments: Sequence[str]) -> int:
    """Run `avnas data events DIR --audio=NAME --visual=NAME`."""
    from avhash_nas.extraction import TextEncoder

    command = make_parser(
        "data events",
        "Encode the names of a dataset's event classes, and label its time steps by them.",
        dict.fromkeys(PROMPTS, ENCODER),
    )
    command.usage = "avnas data events DIR [options]"
    command.add_argument("root", type=str, help="folder of the dataset")
    for modality, prompt in PROMPTS.items():
        text = f"text encoder of the {modality} features' model, such as clap_text and clip_text; reads {prompt!r}"
        command.add_subclass_arguments(TextEncoder, modality, required=True, help=text)
    command.add_argument(
        "--pseudo",
        type=Literal["none", "filtered", "unfiltered"],
        default="none",
        help="also write pseudo labels, cut to the weak labels or not; thresholds are fitted to those of train",
    )
    command.add_argument("--cache_dir", type=str, help="folder of the converted features")
    parsed = command.parse(arguments)
    encoders = command.make(parsed)
    layout = read_layout(parsed.root)
    if layout.events is None:
        raise AvnasError(f"{layout.root / 'dataset.yaml'}: has no entry `events`, whose classes are to be encoded")
    vectors = {}
    for modality, prompt in PROMPTS.items():
        names = [prompt.format(name.replace("_", " ").lower()) for name in layout.events.classes]
        vectors[modality] = getattr(encoders, modality)(names)
    labels = None
    if parsed.pseudo != "none":
        labels = _labels(layout.root, vectors, parsed.cache_dir, filtered=parsed.pseudo == "filtered")
    _write(layout.root, vectors, labels, filtered=parsed.pseudo == "filtered")
    widths = " and ".join(f"{len(each)} {name} vectors of width {each.shape[1]}" for name, each in vectors.items())
    print(f"{layout.root}: {widths}" + ("" if labels is None else f"; pseudo labels of {len(labels[0]):,} videos"))
    return 0


def _labels(
    root: Path, vectors: "dict[str, NDArray[np.float32]]", cache_dir: str | None, *, filtered: bool
) -> "tuple[tuple[str, ...], dict[str, NDArray[np.bool_]]]":
    """Ids of all videos, and by modality their pseudo labels, (V, T, C)."""
    from avhash_nas.data import ParsingData
    from avhash_nas.offline import fit_thresholds, logits

    data: ParsingData = ParsingData(root, cache_dir=cache_dir).prepare()
    train, tables = data.splits["train"], {}
    for modality, of_classes in vectors.items():
        dim = getattr(data, f"{modality}_dim")
        if of_classes.shape[1] != dim:
            raise AvnasError(
                f"--{modality}: vectors of width {of_classes.shape[1]} do not fit {modality} features of width {dim}: "
                "take the text encoder of the features' own model, or leave --pseudo out"
            )
        pieces = data.pieces(np.arange(len(data.ids)))
        values = np.concatenate([logits(getattr(piece, modality).numpy(), of_classes) for piece in pieces])
        on = values > fit_thresholds(values[train], data.labels[train])
        tables[modality] = on & data.labels[:, None, :] if filtered else on
    return data.ids, tables


def _write(
    root: Path,
    vectors: "dict[str, NDArray[np.float32]]",
    labels: "tuple[tuple[str, ...], dict[str, NDArray[np.bool_]]] | None",
    *,
    filtered: bool,
) -> None:
    files: dict[str, str] = {}
    for modality, of_classes in vectors.items():
        files[modality] = f"events/text-{modality}.npy"
        _save(root / files[modality], of_classes)
    entry: dict[str, object] = {"texts": files}
    if labels is not None:
        ids, tables = labels
        folders = {modality: f"events/pseudo-{modality}" for modality in tables}
        for modality, table in tables.items():
            for name, of_video in zip(ids, table, strict=True):
                _save(root / folders[modality] / f"{name}.npy", of_video.astype(np.int64))
        entry["pseudo"] = {**folders, "filtered": filtered}
    add_entry(root / "dataset.yaml", {"events": entry})


def _save(path: Path, array: "NDArray[np.generic]") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)

    def write(partial: Path) -> None:
        with partial.open("wb") as file:
            np.save(file, array)

    write_whole(path, write)
