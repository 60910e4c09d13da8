"""The way from video files to features within `avnas encode`: as the network's own features were made."""

from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import Namespace

from avhash_nas.cli.extract import print_outcome
from avhash_nas.cli.model_folder import check_fits
from avhash_nas.cli.parser import Choice, Parser
from avhash_nas.data import check_same_extraction, read_extraction
from avhash_nas.errors import AvnasError
from avhash_nas.extraction import AudioExtractor, Extraction, Outcome, VisualExtractor, extract_folder

if TYPE_CHECKING:
    from avhash_nas.networks import HashNetwork

CHOICES = {
    modality: Choice(f"avhash_nas.extraction.{modality.capitalize()}Extractor", ("avhash_nas.extraction",))
    for modality in ("visual", "audio")
}
"""Options that name a class."""


def add_video_options(made: Parser) -> None:
    """Add the options to a parser made with `CHOICES`.

    Args:
        made: The parser.
    """
    kept = "folder of video files, or one file, to encode; their features are kept where --features is given"
    made.add_argument("--videos", type=str, help=kept)
    for modality, base in (("visual", VisualExtractor), ("audio", AudioExtractor)):
        text = f"with --videos, where the model does not tell how features were made: as avnas extract's --{modality}"
        made.add_subclass_arguments(base, modality, required=False, help=text)


def extract_videos(made: Parser, options: Namespace, model: Path, network: "HashNetwork", folder: Path) -> Outcome:
    """Extract all videos into a folder, or go on with that, and print what came of it.

    Args:
        made: The parser of the options.
        options: Parsed.
        model: Folder of the network.
        network: That takes the features.
        folder: Where the features go.

    Raises:
        AvnasError: Nobody says how, the features would not fit the network, or no file gives any.
    """
    extraction = _extraction(made, options, model)
    check_fits(extraction, network, str(model), options.videos)
    outcome = extract_folder(options.videos, folder, extraction, workers=options.workers)
    print_outcome(outcome, str(folder))
    if not outcome.videos:
        raise AvnasError(f"{options.videos}: no file in it gave features")
    return outcome


def _extraction(made: Parser, options: Namespace, model: Path) -> Extraction:
    """How to make features: as the options say, or else as the model does."""
    known = read_extraction(model)
    if options.visual is None and options.audio is None:
        if known is None:
            raise AvnasError(
                f"{model}: does not tell how its features were made (extraction.json is missing): name the extractors "
                "by --visual and --audio"
            )
        return Extraction.from_dict(known)
    if options.visual is None or options.audio is None:
        raise AvnasError("--visual and --audio: name both extractors, or neither to take the model's own")
    ready = made.make(options)
    extraction = Extraction(ready.visual, ready.audio)
    check_same_extraction(known, extraction.to_dict(), model, "--visual, --audio")
    return extraction
