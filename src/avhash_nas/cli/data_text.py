"""`avnas data captions` and `avnas data text`: captions of a dataset, and their vectors."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from avhash_nas.cli.counting import counting
from avhash_nas.cli.parser import Choice, make_parser
from avhash_nas.data.caption_sources import FORMATS
from avhash_nas.data.captions import TEXT_FILE, describe_encoder, read_captions, write_text
from avhash_nas.data.import_captions import add_entry, import_captions
from avhash_nas.data.layout import read_layout
from avhash_nas.data.splits import read_splits
from avhash_nas.errors import AvnasError

if TYPE_CHECKING:
    from avhash_nas.extraction import TextEncoder

ENCODER = Choice("avhash_nas.extraction.TextEncoder", ("avhash_nas.extraction",))


def run_captions(arguments: Sequence[str]) -> int:
    """Run `avnas data captions SOURCE --dataset=NAME --out=DIR`."""
    command = make_parser("data captions", "Bring the captions of a published dataset into a dataset folder.")
    command.usage = "avnas data captions SOURCE --dataset NAME --out DIR [options]"
    command.add_function_arguments(import_captions, as_positional=True, skip={"dataset", "out"})
    names = ", ".join(FORMATS)
    command.add_argument("--dataset", type=str, required=True, help=f"which dataset, and which splits of it: {names}")
    command.add_argument("--out", type=str, required=True, help="folder of the dataset")
    options = command.parse(arguments).as_dict()
    options.pop("config")
    written = import_captions(**options)
    for remark in written.remarks:
        print(remark)
    splits = ", ".join(f"{count:,} {split}" for split, count in written.videos.items())
    print(f"{options['out']}: {written.captions:,} captions; videos with captions: {splits}")
    return 0


def run_text(arguments: Sequence[str]) -> int:
    """Run `avnas data text DIR --encoder=NAME`."""
    from avhash_nas.extraction import TextEncoder as Base

    command = make_parser("data text", "Encode the captions of a dataset.", {"encoder": ENCODER})
    command.usage = "avnas data text DIR [options]"
    command.add_argument("root", type=str, help="folder of the dataset")
    text = (
        "character_ngrams, sentence_transformer, clip_text, or package.module.Class; --encoder.help=NAME lists options"
    )
    command.add_subclass_arguments(Base, "encoder", required=True, help=text)
    command.add_argument("--batch_size", type=int, default=256, help="captions between two reports of progress")
    parsed = command.parse(arguments)
    encoder: TextEncoder = command.make(parsed).encoder
    if parsed.batch_size < 1:
        raise AvnasError(f"--batch_size must be at least 1, got {parsed.batch_size}")
    layout = read_layout(parsed.root)
    if layout.captions is None:
        raise AvnasError(f"{layout.root}: names no captions; write captions: captions.jsonl into its dataset.yaml")
    found = read_captions(layout.captions, read_splits(layout).ids)
    texts = [caption.text for caption in found.captions]
    _check_lengths(encoder, texts, layout.captions)
    starts, vectors = range(0, len(texts), parsed.batch_size), []
    with counting("encode", "captions") as progress:
        for start in starts:
            vectors.append(encoder(texts[start : start + parsed.batch_size]))
            progress(min(start + parsed.batch_size, len(texts)), len(texts))
    path = layout.files.get("text", Path(layout.root) / TEXT_FILE)
    write_text(path, found.captions, np.concatenate(vectors), encoder.to_dict())
    add_entry(layout.root / "dataset.yaml", {"files": {"text": path.name}})
    print(f"{path}: {len(texts):,} vectors of width {vectors[0].shape[1]} by {describe_encoder(encoder.to_dict())}")
    return 0


def _check_lengths(encoder: "TextEncoder", texts: Sequence[str], source: Path) -> None:
    """Refuse texts that are too long before any is encoded."""
    limit = encoder.limit
    if limit is None:
        return
    counts = np.array(encoder.token_counts(texts))
    too_long = (counts > limit).nonzero()[0]
    if len(too_long):
        more = f", and {len(too_long) - 1} more are too long" if len(too_long) > 1 else ""
        first = int(too_long[0])
        raise AvnasError(
            f"{source}: caption {first + 1} has {counts[first]} tokens{more}; the encoder takes {limit}: shorten them, "
            "or cut them by --encoder.truncate=true"
        )
