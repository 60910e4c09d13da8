"""`avnas serve`: answer queries on a web page and through a JSON API."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import Namespace

from avhash_nas.cli.parser import Parser, make_parser
from avhash_nas.cli.query import RERANK, add_rerank, query_extraction, query_network, query_text
from avhash_nas.errors import AvnasError

if TYPE_CHECKING:
    from avhash_nas.retrieval import CodeStore
    from avhash_nas.serving import Catalogue, VideoSearch

_OWN_NAMES = ("localhost", "127.0.0.1", "::1")


def run(arguments: Sequence[str]) -> int:
    """Run the command."""
    parser = _parser()
    options = parser.parse(arguments)
    if options.run is not None and options.model is not None:
        raise AvnasError("give --run or --model, not both")
    if options.grace < 0:
        raise AvnasError(f"--grace must not be negative, got {options.grace}")
    from avhash_nas.serving.sandbox import begin_imports

    begin_imports()
    from avhash_nas.retrieval import open_store
    from avhash_nas.serving import Service, create_app
    from avhash_nas.serving.server import address, bind, serve

    instances = parser.make(options)
    with bind(options.host, options.port) as listener:  # no request is answered before everything is checked
        store = open_store(options.store)
        search = _search(store, instances)
        service = Service(search, _catalogue(store, options.features), instances.limits)
        app = create_app(service, _names(options.host, options.hosts))
        greeting = f"{len(store):,} videos of {options.store} at {address(listener)}"
        serve(app, listener, options.grace, lambda: print(greeting, flush=True))
    return 0


def _parser() -> Parser:
    from avhash_nas.serving.schemas import ServiceLimits

    parser = make_parser(
        "serve",
        "Answer queries on a web page and through a JSON API, until Ctrl-C or SIGTERM; the exit code is then 0.",
        RERANK,
    )
    parser.add_argument(
        "--store", type=str, required=True, help="what `avnas index` made: a file, milvus:URI or postgresql:URI"
    )
    parser.add_argument("--run", type=str, help="folder of the run whose network made the codes, for queries by video")
    parser.add_argument("--model", type=str, help="in place of --run: folder that save_pretrained wrote")
    parser.add_argument("--features", type=str, help="folder whose videos.csv lists the videos to show and to play")
    parser.add_argument("--device", type=str, default="cpu", help="where the network runs: cpu, cuda, cuda:1")
    add_rerank(parser)
    parser.add_argument("--host", type=str, default="127.0.0.1", help="address to listen on; 0.0.0.0 for all")
    parser.add_argument("--port", type=int, default=8000, help="0 for any free port")
    parser.add_argument(
        "--hosts",
        type=list[str],
        default=[],
        help="more host names of the service, such as a proxy's; any name is accepted if --host is not local and none "
        "is given",
    )
    parser.add_argument("--grace", type=int, default=10, help="seconds for running requests on shutdown")
    parser.add_class_arguments(ServiceLimits, "limits")
    return parser


def _search(store: "CodeStore", options: Namespace) -> "VideoSearch":
    """The search, with its parts checked; without --run or --model it has no network and takes no video files."""
    from avhash_nas.serving import VideoSearch

    model = options.run or options.model
    if model is None:
        _say("no --run or --model: queries by id and by code only")
        return VideoSearch(store, rerank=options.rerank)
    network = query_network(model, options.device)
    search = VideoSearch(store, network, rerank=options.rerank, text=query_text(model))
    search.extraction = query_extraction(store, model, network)
    if search.extraction is None:
        _say(f"neither {store.where} nor {model} says how features are extracted: queries by id and code only")
    return search


def _catalogue(store: "CodeStore", features: str | None) -> "Catalogue":
    """The listed videos; without a list, some videos of the store, which can be queried but not shown."""
    from avhash_nas.data import Media, read_media
    from avhash_nas.serving import Catalogue

    if features is None:
        _say("no --features: videos can be found, but not shown")
        return Catalogue({video: Media(video, "") for video in store.first_ids(100)})
    videos = read_media(features)
    if not videos:
        raise AvnasError(f"{features}: no videos.csv with videos in it; `avnas extract` writes one")
    if not any(video in videos for video in store.first_ids(100)):
        _say(f"{features} does not list the videos of the store: do the codes come from this folder?")
    missing = sum(not Path(video.path).is_file() for video in videos.values())
    if missing:
        _say(f"{missing:,} of the {len(videos):,} video files of {features} are not there")
    return Catalogue(videos)


def _names(host: str, hosts: Sequence[str]) -> list[str]:
    """Host names that the service accepts; empty for any."""
    if host in _OWN_NAMES:
        return [*_OWN_NAMES, *hosts]
    return [host, *_OWN_NAMES, *hosts] if hosts else []


def _say(line: str) -> None:
    print(f"avnas serve: {line}", file=sys.stderr)
