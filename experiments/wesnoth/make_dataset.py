"""Builds the wesnoth dataset from Debian's package wesnoth-1.16-data: labeled clips of units that fight, move and die.

python experiments/wesnoth/make_dataset.py wesnoth-1.16-data_1.16.9-1_all.deb OUT

Writes OUT/image.h5, OUT/audio.h5, OUT/clips.csv, and a folder with lists, captions, events and dataset.yaml for each
of the label sets exchange, kind, outcome, race and events. With --videos also mp4 files. The same package and seed give
the same files; a build that was stopped goes on where it was.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

sys.path.append(str(Path(__file__).resolve().parents[1]))
from debian_media import unpack
from wesnoth_data.captions import PHRASES, Translations
from wesnoth_data.clip import Clip
from wesnoth_data.efficientnet_lite import EfficientNetLite0
from wesnoth_data.events import truth_of
from wesnoth_data.features import ExtractClip, extract, write_features
from wesnoth_data.labels import label_sets, write_label_set, write_table
from wesnoth_data.pictures import Pictures
from wesnoth_data.plan import Amounts, plan
from wesnoth_data.sounds import Sounds
from wesnoth_data.splits import assign_splits, find_lines
from wesnoth_data.units import Unit, read_units
from wesnoth_data.videos import MakeVideo, make_videos, write_contact_sheet

from avhash_nas.errors import AvnasError
from avhash_nas.extraction import ColorGradients, Extraction, LogMel
from avhash_nas.extraction.feature_files import Parts
from avhash_nas.files import read_json, write_json

ROOT = PurePosixPath("usr/share/games/wesnoth/1.16")
WANTED = [
    *("data/core/macros", "data/core/units", "data/core/sounds", "sounds", "images/misc", "data/core/images/misc"),
    *(f"data/core/images/{name}" for name in ("units", "projectiles", "halo", "scenery", "items")),
    *(f"data/core/images/terrain/{name}" for name in ("grass", "flat", "sand", "frozen", "cave", "interior")),
    *(f"locale/{language}" for language in PHRASES),
]
"""Folders of the package that are unpacked."""
VISUAL = {"efficientnet_lite0": EfficientNetLite0, "color_gradients": ColorGradients}


def main(arguments: Sequence[str] | None = None) -> int:
    """Build the dataset; the exit code is 0, or 2 for bad input, or 130 when stopped."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path, help="the package's .deb file")
    parser.add_argument("out", type=Path, help="folder for the dataset")
    parser.add_argument("--visual", choices=VISUAL, default="efficientnet_lite0", help="visual features")
    parser.add_argument("--seed", type=int, default=0, help="other clips, grounds, splits (default: 0)")
    parser.add_argument("--kind", type=int, default=Amounts.kind, help="clips of each kind of action, at most")
    parser.add_argument("--exchanges", type=int, default=Amounts.exchanges, help="clips of each unit and ordered pair")
    parser.add_argument("--videos", default="0", help="mp4 files: how many, spread over all clips, or all (default: 0)")
    parser.add_argument("--workers", type=int, default=2, help="processes (default: 2); 0 works in this one")
    options = parser.parse_args(arguments)
    try:
        build(options)
    except AvnasError as error:
        print(f"make_dataset: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def build(options: argparse.Namespace) -> None:
    """Unpack, plan, and make what is missing."""
    out: Path = options.out
    wanted_videos = number_of_videos(options.videos)
    if options.workers < 0:
        raise AvnasError(f"--workers={options.workers}: at least 0")
    amounts = Amounts(kind=options.kind, exchanges=options.exchanges)
    settings = {"seed": options.seed, "kind": amounts.kind, "exchanges": amounts.exchanges, "visual": options.visual}
    remember(out, settings | {"package": options.package.name})
    extraction = Extraction(VISUAL[options.visual](), LogMel(), dtype="float16")
    extraction.to_dict()  # loads the weights, or says what is missing, before any work
    extraction.release()
    data = unpacked(options.package, out / "package") / "data"

    sounds = Sounds(data, extraction.audio.rate)
    units = read_units(data)
    lines = find_lines(units, Pictures(data))
    clips = plan(units, lines, sounds, amounts, options.seed)
    if not clips:
        raise AvnasError(f"{options.package}: no clip can be made of its {len(units)} units")
    splits = splits_of(clips, units, lines, options.seed)
    write_table(out / "clips.csv", clips, splits, lines)
    parts = Parts(out / "parts")
    extract(clips, ExtractClip(data, extraction, parts), options.workers)
    write_features(out, clips, splits, parts)
    translations = Translations(data.parent / "locale")
    truth = {clip.id: truth_of(clip, sounds) for clip in clips}
    for chosen in label_sets(clips, splits, truth):
        write_label_set(out, chosen, clips, splits, truth, translations)
        counts = Counter(splits[key] for key in chosen.labels)
        print(f"{out / chosen.name}: {len(chosen.classes)} classes, {dict(sorted(counts.items()))}")
    write_contact_sheet(out / "contact_sheet.png", spread(clips, 20), data)
    chosen_clips = clips if wanted_videos is None else spread(clips, wanted_videos)
    make_videos(chosen_clips, MakeVideo(data, out / "videos"), options.workers)


def number_of_videos(text: str) -> int | None:
    """A number, or None for all."""
    if text == "all":
        return None
    if not text.isdecimal():
        raise AvnasError(f"--videos={text}: a number, or all")
    return int(text)


def spread(clips: Sequence[Clip], count: int) -> list[Clip]:
    """So many clips, evenly spread over a list that is sorted by what the clips show."""
    sorted_clips = sorted(clips, key=lambda clip: ([part.kind for part in clip.parts], clip.id))
    count = min(count, len(clips))
    return [sorted_clips[(2 * i + 1) * len(clips) // (2 * count)] for i in range(count)]


def splits_of(clips: Sequence[Clip], units: Sequence[Unit], lines: dict[str, str], seed: int) -> dict[str, str]:
    """Clip id -> split, which does not depend on how many clips are made."""
    races: dict[str, str] = {}
    for unit in units:
        races.setdefault(lines[unit.id], unit.race)
    splits = assign_splits(races, Counter(lines.values()), seed)
    return {clip.id: splits[lines[clip.unit.id]] for clip in clips}


def remember(out: Path, settings: dict[str, object]) -> None:
    """Refuse a folder whose files were made otherwise: a build must not mix two."""
    path = out / "settings.json"
    if not path.exists():
        write_json(path, settings)
    elif (former := read_json(path)) != settings:
        raise AvnasError(f"{out}: holds clips made with {former}, not {settings}; remove it or choose another folder")


def unpacked(package: Path, out: Path) -> Path:
    """The folder with the files of the package that are needed."""
    folders = {PurePosixPath(name) for name in WANTED}
    single = PurePosixPath("data/core/units.cfg")
    if not (out / "complete").exists():
        print(f"unpacking {package}", file=sys.stderr, flush=True)
        unpack(package, out, ROOT, lambda name: name == single or not folders.isdisjoint(name.parents))
        (out / "complete").touch()
    return out


if __name__ == "__main__":
    sys.exit(main())
