"""Folders of small real videos."""

from pathlib import Path

from media.make import make_video

CLASSES = {"cats": 0.0, "dogs": 0.35, "Vögel": 0.7}


def make_folder(root: Path, per_class: int = 4) -> Path:
    """Videos of half a second in a folder for each class; those of a class are alike."""
    for name, hue in CLASSES.items():
        (root / name).mkdir(parents=True)
        for i in range(per_class):
            make_clip(root / name / f"clip {i}.mp4", hue=hue + i / 100)
    return root


def make_clip(path: Path, hue: float = 0.5) -> Path:
    """A video of half a second, six frames."""
    return make_video(path, seconds=0.5, fps=12, size=(32, 32), hue=hue, tone=300 + 1000 * hue)
