"""`avnas parse --run DIR --video FILE`: what is heard and seen in a video, and when."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import Namespace
from rich.console import Console
from rich.table import Table

from avhash_nas.cli.model_folder import model_folder, ready_extraction
from avhash_nas.cli.parser import make_parser
from avhash_nas.errors import AvnasError

if TYPE_CHECKING:
    from torch import Tensor

    from avhash_nas.networks import ParsingNetwork
    from avhash_nas.training import Moment


@dataclass(frozen=True)
class _Video:
    """Features of one video, (1, T, dim) each, and the length of its time steps."""

    name: str
    visual: "Tensor"
    audio: "Tensor"
    seconds: float


def run(arguments: Sequence[str]) -> int:
    """Run the command."""
    command = make_parser(
        "parse",
        "Print a timeline of what is heard, seen or both in videos, by a run of a parsing network. `avnas test` prints "
        "the run's F-scores.",
    )
    command.add_argument("--run", type=str, required=True, help="folder of the run")
    command.add_argument("--video", type=list[str] | str, default=[], help="a video file, or several: [a.mp4,b.mp4]")
    command.add_argument("--id", type=list[str] | str, default=[], help="a video of the run's dataset, or several")
    command.add_argument("--data.root", type=str, help="folder of the dataset of --id; by default the run's own")
    command.add_argument("--threshold", type=float, default=0.5, help="probability from which a class counts")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.add_argument("--device", type=str, default="cpu", help="where the network runs: cpu, cuda")
    options = command.parse(arguments)
    if not 0 < options.threshold < 1:
        raise AvnasError(f"--threshold must lie between 0 and 1, got {options.threshold}")
    if bool(options.video) == bool(options.id):
        raise AvnasError("name videos either by --video (files) or by --id (videos of the dataset)")
    network, classes = _network(options)
    printed = []
    for video in _videos(options, network):
        found = _parse(network, classes, video, options.threshold)
        if options.json:
            printed.append(_as_json(video, found))
        else:
            _print(video, found)
    if options.json:
        print(json.dumps(printed, indent=1, ensure_ascii=False))
    return 0


def _network(options: Namespace) -> "tuple[ParsingNetwork, list[str]]":
    from avhash_nas.files import read_json
    from avhash_nas.networks import ParsingNetwork, VideoNetwork
    from avhash_nas.pipeline.parsing_task import EVENTS_FILE

    folder = model_folder(options.run)
    network = VideoNetwork.from_pretrained(folder)
    if not isinstance(network, ParsingNetwork):
        raise AvnasError(
            f"{options.run}: holds a {type(network).__name__}, which gives codes; parsing needs another run"
        )
    if network.oracle_labels:
        raise AvnasError(f"{options.run}: this network reads pseudo labels that tell the truth; it cannot be used")
    try:
        network.to(options.device)
    except (RuntimeError, AssertionError) as error:
        raise AvnasError(f"--device {options.device}: {str(error).splitlines()[0]}") from error
    return network, read_json(folder / EVENTS_FILE)["classes"]


def _videos(options: Namespace, network: "ParsingNetwork") -> Iterator[_Video]:
    names = (
        [options.video or options.id] if isinstance(options.video or options.id, str) else options.video or options.id
    )
    yield from _of_files(options, network, names) if options.video else _of_dataset(options, network, names)


def _of_files(options: Namespace, network: "ParsingNetwork", paths: Sequence[str]) -> Iterator[_Video]:
    import torch

    from avhash_nas.data import read_extraction

    described = read_extraction(model_folder(options.run))
    if described is None:
        raise AvnasError(
            f"--video: {options.run} does not say how features are extracted (extraction.json), as its dataset is not "
            "from `avnas extract`; --id parses videos of the dataset"
        )
    extraction = ready_extraction(described, network, options.run, options.run)
    for path in paths:
        features = extraction.features(Path(path))
        visual, audio = (torch.from_numpy(each)[None] for each in (features.visual, features.audio))
        yield _Video(path, visual, audio, features.seconds / visual.shape[1])


def _of_dataset(options: Namespace, network: "ParsingNetwork", ids: Sequence[str]) -> Iterator[_Video]:
    import numpy as np

    from avhash_nas.cli.test import run_dataset
    from avhash_nas.data import ParsingData
    from avhash_nas.pipeline import RunFolder

    data = run_dataset(RunFolder(options.run), network, options.data.root).prepare()
    assert isinstance(data, ParsingData)
    rows = {name: row for row, name in enumerate(data.ids)}
    for name in ids:
        if name not in rows:
            raise AvnasError(f"--id: {data.root} has no video {name}")
        batch = data.batch(np.array([rows[name]]))
        yield _Video(name, batch.visual, batch.audio, data.events.seconds)


def _parse(network: "ParsingNetwork", classes: Sequence[str], video: _Video, threshold: float) -> "list[Moment]":
    from avhash_nas.training import moments

    weight = next(network.parameters())
    segments, whole = network.probabilities(video.visual.to(weight), video.audio.to(weight))
    return moments(segments[0], whole[0], classes, video.seconds, threshold)


def _as_json(video: _Video, found: "Sequence[Moment]") -> dict[str, Any]:
    length = round(video.seconds * video.visual.shape[1], 6)
    return {"video": video.name, "seconds": length, "moments": [moment._asdict() for moment in found]}


def _print(video: _Video, found: "Sequence[Moment]") -> None:
    from avhash_nas.training import timeline

    console = Console()
    steps = video.visual.shape[1]
    console.print(f"{video.name}, {video.seconds * steps:.1f} s", highlight=False, soft_wrap=True)
    if not found:
        console.print("nothing is heard or seen of the classes", highlight=False)
        return
    lines = timeline(found, steps, video.seconds)
    width = max(map(len, lines))
    for label, line in lines.items():
        console.print(f"{label:<{width}}  {line}", highlight=False, soft_wrap=True)
    table = Table("start", "end", "class", "sense", "confidence", box=None)
    for moment in found:
        table.add_row(
            f"{moment.start:.2f}", f"{moment.end:.2f}", moment.label, moment.sense, f"{moment.confidence:.2f}"
        )
    console.print(table)
    console.print("♪ heard  ○ seen  ● both", highlight=False)
