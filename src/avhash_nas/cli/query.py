"""`avnas query`: find similar videos."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import Namespace
from rich.console import Console
from rich.table import Table

from avhash_nas.cli.model_folder import model_folder, ready_extraction
from avhash_nas.cli.parser import Choice, Parser, make_parser
from avhash_nas.errors import AvnasError

if TYPE_CHECKING:
    from avhash_nas.extraction import Extraction, TextEncoder
    from avhash_nas.networks import HashNetwork
    from avhash_nas.retrieval import CodeStore
    from avhash_nas.serving import Answer

RERANK = {"rerank": Choice("avhash_nas.retrieval.Rerank", ("avhash_nas.retrieval",))}
"""For `make_parser`: values, asymmetric, frames, or package.module.Class."""


def run(arguments: Sequence[str]) -> int:
    """Run the command."""
    parser = _parser()
    options = parser.parse(arguments)
    _check(options)
    from avhash_nas.data import read_media
    from avhash_nas.retrieval import open_store

    store = open_store(options.store)
    files = {} if options.features is None else read_media(options.features)
    if options.features is not None and not files:
        raise AvnasError(f"{options.features}: no videos.csv with videos in it; `avnas extract` writes one")
    answers = _answers(store, parser.make(options))
    rows = [
        {
            "rank": rank,
            "id": answer.id,
            "distance": answer.distance,
            "score": answer.score,
            "labels": list(answer.labels),
            "step": answer.step,
            "path": files[answer.id].path if answer.id in files else None,
        }
        for rank, answer in enumerate(answers, 1)
    ]
    if options.json:
        print(json.dumps(rows, indent=2))
    else:
        _print(rows, store.bits)
    return 0


def _parser() -> Parser:
    parser = make_parser("query", "Find similar videos, by the distance of their codes.", RERANK)
    parser.add_argument(
        "--store", type=str, required=True, help="what `avnas index` made: a file, milvus:URI or postgresql:URI"
    )
    parser.add_argument("--video", type=str, help="a video file; needs --run or --model")
    parser.add_argument("--id", type=str, help="in place of --video: a video of the store, which the result leaves out")
    parser.add_argument("--text", type=str, help="in place of --video: words; needs --run or --model with a text side")
    parser.add_argument("--label", type=str, help="with --text: only videos of this class")
    parser.add_argument("--code", type=str, help="in place of --video: a code, two hexadecimal digits a byte")
    parser.add_argument("--top", type=int, default=10, help="how many videos to find")
    parser.add_argument("--itself", action="store_true", help="with --id: include the video itself")
    parser.add_argument("--run", type=str, help="folder of the run whose network made the codes")
    parser.add_argument("--model", type=str, help="in place of --run: folder that save_pretrained wrote")
    parser.add_argument("--device", type=str, default="cpu", help="where the network runs: cpu, cuda, cuda:1")
    parser.add_argument("--features", type=str, help="folder whose videos.csv lists the files of the videos")
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_rerank(parser)
    return parser


def _check(options: Namespace) -> None:
    """Refuse contradictory options."""
    sources = [name for name in ("video", "id", "text", "code") if options[name] is not None]
    if len(sources) != 1:
        raise AvnasError("give one of --video FILE, --id ID, --text WORDS and --code HEX")
    if options.label is not None and options.text is None:
        raise AvnasError("--label goes with --text")
    if options.text is not None and options.run is None and options.model is None:
        raise AvnasError("--text needs --run or --model, the folder of the network with a text side")
    if options.top < 1:
        raise AvnasError(f"--top must be at least 1, got {options.top}")
    if options.run is not None and options.model is not None:
        raise AvnasError("give --run or --model, not both")
    if options.video is not None:
        if options.run is None and options.model is None:
            raise AvnasError("--video needs --run or --model, the folder of the network that made the codes")
        if not Path(options.video).is_file():
            raise AvnasError(f"--video {options.video}: there is no such file; a video of the store goes by --id")
    if options.code is not None and options.rerank is not None:
        raise AvnasError("--code goes without --rerank: a code alone has no real-valued outputs to compare")


def _answers(store: "CodeStore", options: Namespace) -> "list[Answer]":
    from avhash_nas.serving import VideoSearch

    model = options.run or options.model
    if options.text is not None:
        network = query_network(model, options.device)
        search = VideoSearch(store, network, rerank=options.rerank, text=query_text(model))
        return search.by_text(options.text, options.top, options.label)
    if options.video is None:
        search = VideoSearch(store, rerank=options.rerank)
        if options.code is not None:
            return search.by_code(options.code, options.top)
        return search.by_id(options.id, options.top, itself=options.itself)
    network = query_network(model, options.device)
    search = VideoSearch(store, network, rerank=options.rerank)
    extraction = query_extraction(store, model, network)
    if extraction is None:
        raise AvnasError(
            f"--video: neither {options.store} nor {model} says how features are extracted (extraction.json); "
            "codes of features that `avnas extract` wrote do"
        )
    features = extraction.features(options.video)
    if features.notes:
        print(f"avnas query: {options.video}: {', '.join(features.notes)}", file=sys.stderr)
    return search.by_features(features.visual, features.audio, options.top)


def _print(rows: list[dict[str, Any]], bits: int) -> None:
    columns = {"rank": "rank", "id": "id", "distance": f"distance of {bits}"}
    columns |= {"score": "score", "step": "time step", "labels": "labels", "path": "path"}
    shown = [name for name in columns if any(answer[name] not in (None, []) for answer in rows)]
    table = Table()
    for name in shown:
        right = name in ("rank", "distance", "score", "step")
        table.add_column(columns[name], justify="right" if right else "left", overflow="fold", no_wrap=right)
    for answer in rows:
        table.add_row(*(_cell(answer[name]) for name in shown))
    Console().print(table)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    return ", ".join(value) if isinstance(value, list) else "" if value is None else str(value)


def add_rerank(parser: Parser) -> None:
    """Add the options to a parser made with `RERANK` among its choices.

    `parser.make(options).rerank` is then the `Rerank`, or None without --rerank.

    Args:
        parser: The parser.
    """
    from avhash_nas.retrieval import Rerank

    parser.add_subclass_arguments(
        Rerank,
        "rerank",
        required=False,
        help="rerank the nearest codes: values, asymmetric, frames, or package.module.Class; "
        "--rerank.help=NAME lists its options; by default results are ordered by Hamming distance alone",
    )


def query_network(model: str, device: str) -> "HashNetwork":
    """The network of a run or of a model folder.

    Args:
        model: The folder.
        device: Where it runs: cpu, cuda, cuda:1.

    Raises:
        AvnasError: The folder holds no network, or there is no such device.
    """
    from avhash_nas.networks import HashNetwork

    network = HashNetwork.from_pretrained(model_folder(model))
    try:
        return network.to(device)
    except (RuntimeError, AssertionError) as error:
        raise AvnasError(f"--device {device}: {str(error).splitlines()[0]}") from error


def query_text(model: str) -> "TextEncoder | None":
    """The text encoder of a model, with its weights checked; None if the model has no text side.

    Args:
        model: Folder of a run or of a model.

    Raises:
        AvnasError: The encoder cannot be loaded, or has other weights than in training.
    """
    from avhash_nas.data import TEXT_ENCODER_FILE
    from avhash_nas.extraction import TextEncoder
    from avhash_nas.files import read_json

    path = model_folder(model) / TEXT_ENCODER_FILE
    return TextEncoder.from_dict(read_json(path)).prepare() if path.exists() else None


def query_extraction(store: "CodeStore", model: str, network: "HashNetwork") -> "Extraction | None":
    """How to extract features of a video file, from the store, or else from the model; None if neither says it.

    Args:
        store: The store that is searched.
        model: Folder of a run or of a model.
        network: The network that takes the features.

    Raises:
        AvnasError: The network takes features of other widths, or an extractor cannot be loaded.
        MissingExtraError: The packages that read video files are not installed.
    """
    from avhash_nas.data import read_extraction

    described = store.extraction or read_extraction(model_folder(model))
    return None if described is None else ready_extraction(described, network, model, store.where)
