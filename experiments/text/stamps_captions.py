"""Captions of the stamps dataset from its clips' names: `python stamps_captions.py STAMPS OUT`.

A clip shows a stamp while a voice names it, or while the thing itself is heard: `animals-birds-blackbird_ca` is a
blackbird with a Catalan voice. Its captions are "birds blackbird, in Catalan" and "a Catalan word for a picture of
animals birds: birds blackbird". Splits are disjoint by stamp, so most names in test captions do not occur in training.
"""

import re
import sys
from pathlib import Path

import yaml

from avhash_nas.data import Caption, write_captions

LANGUAGES = {
    "ru": "Russian", "fr": "French", "bg": "Bulgarian", "ca": "Catalan", "ro": "Romanian", "es": "Spanish",
    "be": "Belarusian", "el": "Greek", "da": "Danish", "lt": "Lithuanian", "nl": "Dutch", "en": "English",
    "BR": "Portuguese", "ml": "Malayalam",
}  # fmt: skip


def captions_of(video: str) -> list[Caption]:
    """The two captions of a clip."""
    name, _, voice = video.replace("_pt_BR", "_BR").rpartition("_")  # a locale with an underscore of its own
    words = [word for word in re.split(r"[-_]|(?<=[a-z])(?=[A-Z0-9])", name) if word and not word.isdigit()]
    thing, kinds = " ".join(words[-2:] if len(words) > 2 else words[-1:]).lower(), " ".join(words[:-1]).lower()
    if voice == "fx":
        return [Caption(video, f"{thing}, and its sound", "en"), Caption(video, f"the sound of {kinds}: {thing}", "en")]
    language = LANGUAGES[voice]
    return [
        Caption(video, f"{thing}, in {language}", "en"),
        Caption(video, f"a {language} word for a picture of {kinds}: {thing}", "en"),
    ]


def main() -> None:
    """Writes the lists, the captions and dataset.yaml."""
    stamps, out = (Path(argument) for argument in sys.argv[1:3])
    out.mkdir(parents=True, exist_ok=True)
    captions = []
    for split in ("train", "val", "test"):
        text = (stamps / f"{split}.txt").read_text()
        (out / f"{split}.txt").write_text(text)
        captions += [each for line in text.splitlines() for each in captions_of(line.split(",")[0])]
    write_captions(out / "captions.jsonl", captions)
    files = {
        modality: str((stamps / f"{name}.h5").resolve()) for modality, name in (("visual", "image"), ("audio", "audio"))
    }
    layout = {"files": files, "captions": "captions.jsonl"}
    (out / "dataset.yaml").write_text(yaml.safe_dump(layout))


if __name__ == "__main__":
    main()
