"""`avnas test --run DIR`: evaluate a finished run again, with or without rerank."""

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jsonargparse import Namespace
from rich.console import Console
from rich.table import Table

from avhash_nas.cli.parser import Parser, make_parser
from avhash_nas.cli.query import RERANK, add_rerank
from avhash_nas.code_set import CodeSet
from avhash_nas.errors import AvnasError, DataError

if TYPE_CHECKING:
    import lightning as L

    from avhash_nas.data import HashingData
    from avhash_nas.networks import HashNetwork, TextHashNetwork, VideoNetwork
    from avhash_nas.pipeline import RunFolder
    from avhash_nas.retrieval import Rerank
    from avhash_nas.retrieval.rerank import Part


def run(arguments: Sequence[str]) -> int:
    """Run the command."""
    command = make_parser(
        "test",
        "Evaluate a finished run again, of hashing or of parsing; prints the scores that fit printed, or with --rerank "
        "the scores by Hamming distance and reranked side by side.",
        RERANK,
    )
    command.add_argument("--run", type=str, required=True, help="folder of the run")
    command.add_argument("--data.root", type=str, help="folder of the dataset; by default the run's own")
    command.add_argument("--accelerator", type=str, default="auto", help="as Lightning's Trainer takes it")
    add_rerank(command)
    command.add_argument("--depths", type=list[int], help="several rerank depths side by side: [50,100,500]")
    options = command.parse(arguments)
    from avhash_nas.cli.trainers import quiet
    from avhash_nas.networks import HashNetwork, TextHashNetwork, VideoNetwork
    from avhash_nas.pipeline import RunFolder, task_of
    from avhash_nas.pipeline.results_table import print_results
    from avhash_nas.training.encoding import quiet_trainer

    quiet()
    reranks = _reranks(command, options)
    folder = RunFolder(options.run)
    folder.read_options()
    if not folder.finished:
        raise AvnasError(f"{folder.path}: this run is not finished; run its `avnas fit` again")
    network = VideoNetwork.from_pretrained(folder.model)
    data = run_dataset(folder, network, options.data.root)
    if reranks:
        if not isinstance(network, HashNetwork):
            raise AvnasError(f"--rerank: {folder.path} parses videos; only codes can be ranked")
        trainer = quiet_trainer(accelerator=options.accelerator)
        parts = reranks[0].database_parts
        codes = _kept(folder, data, network, parts) if options.data.root is None else None
        if codes is None:
            _open(folder, data, network)
            codes = _encoded(network, data, parts, trainer)
        _print_reranked(reranks, *codes, exclude_self=not data.include_self)
        return 0
    metrics = folder.read_metrics()
    _open(folder, data, network)
    task = task_of(type(network))
    tested = task.test(
        network, data, lambda callbacks: quiet_trainer(accelerator=options.accelerator, callbacks=[*callbacks])
    )
    if isinstance(network, TextHashNetwork):
        metrics["text"] = _text(folder, network, data, metrics)
    changed = folder.data_changes(data)
    print_results(
        {**metrics, **task.references(network, data, metrics["seed"]), "test": tested.scores},
        [f"test and what needs no training: on other data than the run saw: {changed}."] if changed else [],
    )
    return 0


def _text(
    folder: "RunFolder", network: "TextHashNetwork", data: "HashingData", metrics: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Scores of captions at several depths of the rerank."""
    from avhash_nas.data import TEXT_ENCODER_FILE, check_same_encoder
    from avhash_nas.files import read_json
    from avhash_nas.training.text_scores import DEPTHS, FineWeights, text_scores

    path = folder.model / TEXT_ENCODER_FILE
    encoder = None if data.captions is None else data.captions.encoder
    check_same_encoder(read_json(path) if path.exists() else None, encoder, folder.path, f"{data.root}: its captions")
    weights = FineWeights(**(metrics.get("text") or {}).get("weights", {}))
    return text_scores(network, data, depths=DEPTHS, weights=weights, seed=metrics["seed"])


def _reranks(command: Parser, options: Namespace) -> "list[Rerank]":
    """The rerank at each depth of the options; none without a rerank."""
    if options.rerank is None:
        if options.depths:
            raise AvnasError("--depths: name the rerank for these depths, by --rerank=NAME")
        return []
    if not options.depths:
        return [command.make(options).rerank]
    reranks = []
    for depth in options.depths:
        options.rerank.init_args.depth = depth
        reranks.append(command.make(options).rerank)
    return reranks


def run_dataset(folder: "RunFolder", network: "VideoNetwork", root: str | None) -> "HashingData":
    """The dataset of a finished run as its task needs it, not yet open.

    Args:
        folder: Of the run.
        network: Of the run.
        root: Folder of another dataset; None for the run's own.
    """
    from avhash_nas.cli import fit as fit_command
    from avhash_nas.pipeline import task_of

    stored = folder.read_options()
    of_fit = fit_command.parser()
    if root is not None:
        stored["data"]["root"] = root
    ready = of_fit.make(of_fit.parse_stored(stored))
    return fit_command.dataset(ready, folder.read_metrics()["seed"], task_of(type(network)).data_class)


def _open(folder: "RunFolder", data: "HashingData", network: "VideoNetwork") -> None:
    """Open the dataset, and check that it fits the network."""
    data.prepare()
    if (data.visual_dim, data.audio_dim) != (network.arguments()["visual_dim"], network.arguments()["audio_dim"]):
        raise AvnasError(
            f"{data.root}: features of width {data.visual_dim} and {data.audio_dim} do not fit the network of "
            f"{folder.path}, which takes {network.arguments()['visual_dim']} and {network.arguments()['audio_dim']}",
        )


def _kept(
    folder: "RunFolder", data: "HashingData", network: "HashNetwork", parts: "Sequence[Part]"
) -> tuple[CodeSet, CodeSet] | None:
    """The codes of queries and database that the run kept; None if they do not fit network or data, or lack parts."""
    paths = [folder.codes / f"{role}.npz" for role in ("query", "database")]
    if not all(path.exists() for path in paths):
        return None
    queries, database = (CodeSet.load(path) for path in paths)
    missing = [part for part in parts if getattr(database, part) is None]
    changed = _changes(folder, data)
    reasons = {
        f"do not have the {' and '.join(missing)} to rerank by": missing,
        "are of another network": database.fingerprint != network.fingerprint(),
        f"are of other data: now {changed}": changed,
    }
    for reason in (reason for reason, applies in reasons.items() if applies):
        print(f"test: encoding anew, as the codes in {folder.codes} {reason}", file=sys.stderr)
        return None
    return queries, database


def _changes(folder: "RunFolder", data: "HashingData") -> str:
    """What has changed in the data since the run; empty if they are no longer there."""
    try:
        return folder.data_changes(data)
    except DataError as error:
        print(f"test: not compared with the data that the run saw: {error.problems[0]}", file=sys.stderr)
        return ""


def _encoded(
    network: "HashNetwork", data: "HashingData", parts: "Sequence[Part]", trainer: "L.Trainer"
) -> tuple[CodeSet, CodeSet]:
    """Codes of the test split and of the database."""
    from avhash_nas.data import FeatureFolder
    from avhash_nas.training import encode

    queries, database = (
        FeatureFolder(
            *(data.root, split, data.eval_batch_size, data.workers, data.cache_dir),
            first_label_only=data.first_label_only,
        )
        for split in ("test", data.database)
    )
    return encode(network, queries, trainer), encode(network, database, trainer, frames="frames" in parts)


def _print_reranked(reranks: "Sequence[Rerank]", queries: CodeSet, database: CodeSet, *, exclude_self: bool) -> None:
    from avhash_nas.metrics.scores import protocol_notes
    from avhash_nas.pipeline.evaluate import KS
    from avhash_nas.pipeline.run_folder import flatten
    from avhash_nas.retrieval import reranked_scores

    plain, *finer = (
        reranked_scores(queries, database, how, ks=KS, exclude_self=exclude_self) for how in (None, *reranks)
    )
    way = reranks[0]
    table = Table(title=f"{type(way).__name__}, {queries.bits} bits, by depth k", show_edge=False)
    for name in ("measure", "Hamming", *(f"k = {rerank.depth}" for rerank in reranks)):
        table.add_column(name, justify="right" if table.columns else "left")
    after = [flatten(scores.to_dict()) for scores in finer]
    for name, value in flatten(plain.to_dict()).items():
        if "@" in name:
            cells = (f"{scores[name]:.4f} {scores[name] - value:+.4f}" for scores in after)
            table.add_row(name.replace(".", " "), f"{value:.4f}", *cells)
    console = Console()
    console.print(table)
    console.print(
        f"{plain.queries:,} queries, {plain.database:,} videos searched; the database keeps "
        f"{way.bytes_per_video(database):,} bytes a video beside its code. Rerank reorders only the first k "
        "of a ranking: precision and recall at k and beyond stay the same.",
        soft_wrap=True,
    )
    for note in protocol_notes(plain.to_dict()):
        console.print(note, soft_wrap=True)
