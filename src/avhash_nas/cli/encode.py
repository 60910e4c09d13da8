"""`avnas encode`: turn features, or video files, into codes."""

import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import Namespace

from avhash_nas.cli.counting import counting
from avhash_nas.cli.extract import print_outcome
from avhash_nas.cli.model_folder import check_fits, model_folder
from avhash_nas.cli.parser import Choice, Parser, make_parser
from avhash_nas.code_set import CodeSet
from avhash_nas.data import check_same_extraction, read_extraction
from avhash_nas.distributed import rank
from avhash_nas.errors import AvnasError
from avhash_nas.extraction import AudioExtractor, Extraction, VisualExtractor, extract_folder

if TYPE_CHECKING:
    import lightning as L

    from avhash_nas.data import FeatureFolder
    from avhash_nas.networks import HashNetwork
    from avhash_nas.training.encoding import Speed

CHOICES = {
    modality: Choice(f"avhash_nas.extraction.{modality.capitalize()}Extractor", ("avhash_nas.extraction",))
    for modality in ("visual", "audio")
}
"""Options that name a class."""

_DESCRIPTION = """Turn features, or video files, into codes.

--out is one file: packed codes with the videos' ids, their labels if lists give them, and the network's outputs as
float16, by which `avnas query` and `avnas serve` can rerank. With --videos, features are extracted first, in the same
way as for the model's training, and the same command resumes where it stopped; exit code 1 means that some files gave
no features. For labels, or to play videos in `avnas serve`, use `avnas extract` and --features."""


def _parser() -> Parser:
    command = make_parser("encode", _DESCRIPTION, CHOICES)
    command.add_argument("--run", type=str, help="folder of a finished run, whose network encodes")
    command.add_argument("--model", type=str, help="in place of --run: folder that save_pretrained wrote, or of a run")
    command.add_argument("--features", type=str, help="feature folder; by default the dataset of the run")
    videos = "folder of video files, or one file, to encode; their features are kept if --features is given"
    command.add_argument("--videos", type=str, help=videos)
    for modality, base in (("visual", VisualExtractor), ("audio", AudioExtractor)):
        text = f"with --videos, if the model does not say how features were extracted: as avnas extract's --{modality}"
        command.add_subclass_arguments(base, modality, required=False, help=text)
    command.add_argument("--split", type=str, default="all", help="train, val, test, ...; all takes every video")
    command.add_argument("--out", type=str, required=True, help="file to write, such as codes.npz")
    command.add_argument("--overwrite", action="store_true", help="replace the file if it is there")
    command.add_argument("--values", type=bool, default=True, help="keep the outputs as float16, 2 bytes a bit")
    command.add_argument("--frames", action="store_true", help="keep a code for each time step, to rerank by frames")
    command.add_argument("--first_label_only", action="store_true", help="use only the first label of each video")
    command.add_argument("--batch_size", type=int, default=256, help="videos in a batch")
    workers = "processes that read batches, by default none; with --videos, that extract, by default at most 4"
    command.add_argument("--workers", type=int, help=workers)
    command.add_argument("--cache_dir", type=str, help="folder for the converted features, as fit's --data.cache_dir")
    for option, default in (("accelerator", "auto"), ("precision", "32-true")):
        command.add_argument(f"--{option}", type=str, default=default, help="as Lightning's Trainer takes it")
    command.add_argument("--devices", type=int | str, default=1, help="as Lightning's Trainer takes it")
    return command


def run(arguments: Sequence[str]) -> int:
    """Run the command."""
    command = _parser()
    options = command.parse(arguments)
    from avhash_nas.cli.trainers import end_with_parent, quiet
    from avhash_nas.data import FeatureFolder
    from avhash_nas.networks import HashNetwork

    quiet()
    end_with_parent()
    out = Path(options.out)
    _check_out(out, overwrite=options.overwrite)
    model = _model(options)
    network = HashNetwork.from_pretrained(model)
    trainer = _trainer(options)
    if options.videos is None:
        _encode(_features(options), network, model, trainer, options)
        return 0
    folder = Path(options.features) if options.features else out.with_name(f"{out.name}.features")
    problems = _extract(command, options, model, network, folder, trainer)
    cache = options.cache_dir or folder / "cache"
    _encode(FeatureFolder(folder, None, options.batch_size, cache_dir=cache), network, model, trainer, options)
    if options.features is None and trainer.is_global_zero:
        shutil.rmtree(folder)
    return 1 if problems else 0


def _check_out(out: Path, *, overwrite: bool) -> None:
    """Check that the result can be written, before anything is computed, on the first process."""
    if rank() != 0:
        return
    if out.is_dir():
        raise AvnasError(f"{out}: --out must name a file, this is a folder")
    if out.exists() and not overwrite:
        raise AvnasError(f"{out}: exists; give another --out, or --overwrite to replace it")


def _model(options: Namespace) -> Path:
    """The folder with the network."""
    from avhash_nas.pipeline import RunFolder

    if (options.run is None) == (options.model is None):
        raise AvnasError("give either --run, the folder of a run, or --model, the folder of a model")
    if options.run is not None and not RunFolder(options.run).finished:
        RunFolder(options.run).read_options()  # says so where there is no run at all
        raise AvnasError(f"{options.run}: this run is not finished; run its `avnas fit` again")
    return model_folder(options.run or options.model)


def _features(options: Namespace) -> "FeatureFolder":
    """The videos to encode; options that are not given are those of the run."""
    from avhash_nas.data import FeatureFolder
    from avhash_nas.pipeline import RunFolder

    of_run = RunFolder(options.run).read_options()["data"] if options.run is not None else {}
    features = options.features or of_run.get("root")
    if features is None:
        raise AvnasError("give --features, the folder with the videos' features, or --videos; a model alone knows none")
    if options.visual is not None or options.audio is not None:
        raise AvnasError("--visual and --audio go with --videos")
    return FeatureFolder(
        features,
        None if options.split == "all" else options.split,
        batch_size=options.batch_size,
        workers=options.workers or 0,
        cache_dir=options.cache_dir or of_run.get("cache_dir"),
        first_label_only=options.first_label_only or of_run.get("first_label_only", False),
    )


def _extract(
    command: Parser, options: Namespace, model: Path, network: "HashNetwork", folder: Path, trainer: "L.Trainer"
) -> bool:
    """Extract features of all videos on the first process, before others are started; whether some files gave none."""
    from avhash_nas.cli.trainers import started_beforehand

    if options.split != "all":
        raise AvnasError("--split: videos have none; leave it out, or run avnas extract and encode --features")
    if started_beforehand(trainer):
        raise AvnasError("--videos: extracting is for one process; run avnas extract first, then encode --features")
    if rank() != 0:
        return False
    extraction = _extraction(command, options, model)
    check_fits(extraction, network, str(model), options.videos)
    outcome = extract_folder(options.videos, folder, extraction, workers=options.workers)
    print_outcome(outcome, str(folder))
    if not outcome.videos:
        raise AvnasError(f"{options.videos}: no file in it gave features")
    return bool(outcome.problems)


def _extraction(command: Parser, options: Namespace, model: Path) -> Extraction:
    """How to extract features: as the options say, or else as the model does."""
    known = read_extraction(model)
    if options.visual is None and options.audio is None:
        if known is None:
            raise AvnasError(
                f"{model}: does not say how its features were extracted (extraction.json is missing): name the "
                "extractors by --visual and --audio"
            )
        return Extraction.from_dict(known)
    if options.visual is None or options.audio is None:
        raise AvnasError("--visual and --audio: name both extractors, or neither to use the model's own")
    ready = command.make(options)
    extraction = Extraction(ready.visual, ready.audio)
    check_same_extraction(known, extraction.to_dict(), model, "--visual, --audio")
    return extraction


def _encode(
    videos: "FeatureFolder", network: "HashNetwork", model: Path, trainer: "L.Trainer", options: Namespace
) -> None:
    """Encode, write the file and print the summary."""
    from avhash_nas.training.checkpoint import stop_requests
    from avhash_nas.training.encoding import Encoding

    out = Path(options.out)
    check_same_extraction(read_extraction(model), videos.extraction, model, videos.root)
    with stop_requests(), counting("encode", "batches") as progress:
        encoding = Encoding(network, videos, frames=options.frames, progress=progress)
        started = time.perf_counter()
        codes = encoding.run(trainer)
        seconds = time.perf_counter() - started
        if trainer.is_global_zero:
            (codes if options["values"] else replace(codes, values=None)).save(out)
            print("\n".join(_summary(out, codes, encoding.speed, seconds, options.batch_size)))
        trainer.strategy.barrier()


def _trainer(options: Namespace) -> "L.Trainer":
    from avhash_nas.cli.trainers import checked_trainer
    from avhash_nas.training.encoding import quiet_trainer

    values = {name: options[name] for name in ("accelerator", "devices", "precision")}
    return checked_trainer(quiet_trainer, ", ".join(f"--{name}={value}" for name, value in values.items()), **values)


def _summary(out: Path, codes: CodeSet, speed: "Speed", seconds: float, batch_size: int) -> list[str]:
    """What was written, how fast, and how many bits rounding may change."""
    close = codes.notes["near_zero"]
    labels = f"labels of {len(codes.class_names)} classes" if codes.labels is not None else "no labels"
    return [
        f"{out}: {len(codes):,} videos, {codes.bits} bits, {labels}, network {codes.fingerprint}",
        f"{seconds:.1f} s, {len(codes) / seconds:,.1f} videos a second with reading and starting",
        f"{12_500 * speed.per_video:.2f} s for 12,500 videos without reading: measured on {speed.timed:,} videos in "
        f"batches of up to {batch_size} on {speed.devices}, {'without' if speed.warm else 'with'} the first batch",
        f"{close['values']:,} of {len(codes) * codes.bits:,} values, in {close['videos']:,} videos, are within "
        f"{codes.notes['rounding']:.1e} of zero, which is rounding",
    ]
