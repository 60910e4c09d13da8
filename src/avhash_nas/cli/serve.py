"""`avnas serve`: answer queries on a web page and by a JSON API."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from avhash_nas.cli.parser import make_parser
from avhash_nas.cli.rerank import RERANK, add_rerank
from avhash_nas.errors import AvnasError, MissingExtraError

if TYPE_CHECKING:
    from avhash_nas.extraction import Extraction
    from avhash_nas.networks import HashNetwork
    from avhash_nas.retrieval import CodeStore
    from avhash_nas.serving import Catalogue

_OWN_NAMES = ("localhost", "127.0.0.1", "::1")


def run(arguments: Sequence[str]) -> int:
    """Run the command."""
    from avhash_nas.serving import Service, ServiceLimits, VideoSearch, create_app
    from avhash_nas.serving.server import address, bind, serve

    parser = make_parser(
        "serve",
        "Answer queries on a web page and by a JSON API, until Ctrl-C or SIGTERM; the exit code is then 0.",
        RERANK,
    )
    parser.add_argument("--store", type=str, required=True, help="what `avnas index` made: a file, or milvus:URI")
    parser.add_argument("--model", type=str, help="folder of a run or of a model, to make codes of uploaded videos")
    parser.add_argument("--features", type=str, help="folder whose videos.csv lists the videos to show and to play")
    parser.add_argument("--device", type=str, default="cpu", help="where the network runs: cpu, cuda, cuda:1")
    add_rerank(parser)
    parser.add_argument("--host", type=str, default="127.0.0.1", help="address to listen on; 0.0.0.0 for all")
    parser.add_argument("--port", type=int, default=8000, help="0 for any that is free")
    parser.add_argument(
        "--hosts",
        type=list[str],
        default=[],
        help="names that browsers may use for the service besides its address, such as a proxy's; "
        "any name where --host is not of this machine alone and none is given",
    )
    parser.add_argument("--grace", type=int, default=10, help="seconds for running requests when asked to stop")
    parser.add_class_arguments(ServiceLimits, "limits")
    options = parser.make(parser.parse(arguments))

    taken = bind(options.host, options.port)  # nobody is answered before everything is checked
    with taken:
        store, network, extraction = _search_parts(options.store, options.model, options.device)
        search = VideoSearch(store, network, extraction, options.rerank)
        catalogue = _catalogue(store, options.features)
        service = Service(search, catalogue, options.limits)
        app = create_app(service, _names(options.host, options.hosts))
        greeting = f"{len(store):,} videos of {options.store} at {address(taken)}"
        serve(app, taken, options.grace, lambda: print(greeting, flush=True))
    return 0


def _search_parts(
    where: str, model: str | None, device: str
) -> "tuple[CodeStore, HashNetwork | None, Extraction | None]":
    """Store, network and extraction, seen to fit; the two last are None where files cannot be looked up."""
    from avhash_nas.retrieval import open_store

    store = open_store(where)
    if model is None:
        _say("no --model: queries by id and by code only")
        return store, None, None
    network = _network(model, device)
    extraction = _extraction(store, Path(model))
    if extraction is None:
        _say(f"neither {where} nor {model} tells how features are made of videos: queries by id and by code only")
        return store, network, None
    for name in ("visual", "audio"):
        made, wanted = getattr(extraction, name).dim, network.arguments()[f"{name}_dim"]
        if made != wanted:
            raise AvnasError(
                f"{model}: the network takes {name} features of width {wanted}; {where} names an "
                f"extractor that makes {made}"
            )
    try:
        import av  # noqa: F401
        import PIL  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(str(error.name), "extract", "reading video files") from error
    return store, network, extraction.prepare()


def _network(model: str, device: str) -> "HashNetwork":
    """The network of a run folder or of a model folder."""
    from avhash_nas.networks import HashNetwork

    folder = Path(model)
    inner = folder / "model"
    network = HashNetwork.from_pretrained(inner if inner.is_dir() else folder)
    try:
        return network.to(device)
    except (RuntimeError, AssertionError) as error:
        raise AvnasError(f"--device {device}: {str(error).splitlines()[0]}") from error


def _extraction(store: "CodeStore", model: Path) -> "Extraction | None":
    """How features are made of videos, as the store knows it, or else the model."""
    from avhash_nas.data import read_extraction
    from avhash_nas.extraction.extraction import Extraction

    described = store.extraction or read_extraction(model / "model") or read_extraction(model)
    return None if described is None else Extraction.from_dict(described)


def _catalogue(store: "CodeStore", features: str | None) -> "Catalogue":
    """The listed videos; without a list, some of the store's, which can be asked for and not be seen."""
    from avhash_nas.data import Media, read_media
    from avhash_nas.serving import Catalogue

    videos = {} if features is None else read_media(features)
    if features is not None and not videos:
        raise AvnasError(f"{features}: no videos.csv with videos in it; `avnas extract` writes one")
    if features is None:
        _say("no --features: videos can be found, but not be shown")
        return Catalogue({video: Media(video, "") for video in store.first_ids(100)})
    if not any(video in store for video in videos):
        _say(f"none of the videos of {features} is in the store: is it the folder that the codes come from?")
    missing = sum(not Path(video.path).is_file() for video in videos.values())
    if missing:
        _say(f"{missing:,} of the {len(videos):,} video files of {features} are not there")
    return Catalogue(videos)


def _names(host: str, hosts: Sequence[str]) -> list[str]:
    """Names that the service goes by; none for any."""
    if host in _OWN_NAMES:
        return [*_OWN_NAMES, *hosts]
    return [host, *_OWN_NAMES, *hosts] if hosts else []


def _say(line: str) -> None:
    print(f"avnas serve: {line}", file=sys.stderr)
