"""What runs of earlier versions call by other names. Read for one release; nothing is written under an old name."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

OLD_FILES = {"probabilities.csv": "choices.csv", "evaluations.csv": "judged.csv", "evaluator.json": "scores.json"}
"""Files of a search, by today's name."""

OLD_OPTIONS = {
    "identity_init": "lazy",
    "discretize_at": "harden",
    "train_fraction": "portion",
    "quantization": "quantisation",
}
"""Constructor arguments of networks, strategies and objectives, by today's name."""

OLD_CLASSES = {
    "avhash_nas.extraction.color_gradients.ColorGradients": "avhash_nas.extraction.colour_gradients.ColourGradients",
}
"""Class paths, by today's path."""

OLD_TENSORS = {"centers": "centres"}
"""Tensors of the SLG objective in checkpoints and prepared files, by today's name."""

_OPTIONS = {old: new for new, old in OLD_OPTIONS.items()}
_CLASSES = {old: new for new, old in OLD_CLASSES.items()}


def existing(file: Path) -> Path:
    """The file, or the one that an earlier version wrote in its place where only that one exists."""
    old = file.with_name(OLD_FILES.get(file.name, file.name))
    return old if old.exists() and not file.exists() else file


def renamed(value: Any) -> Any:
    """A configuration with old option names (keys) and old class paths (values) replaced by today's.

    >>> renamed({"network": {"init_args": {"lazy": True}}})
    {'network': {'init_args': {'identity_init': True}}}
    """
    if isinstance(value, Mapping):
        return {_OPTIONS.get(key, key): renamed(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [renamed(inner) for inner in value]
    return _CLASSES.get(value, value) if isinstance(value, str) else value


def first_names(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """A network's arguments under their first names, by which fingerprints of networks stay what they were."""
    return {OLD_OPTIONS.get(name, name): value for name, value in arguments.items()}


def renamed_tensors(tensors: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Tensors whose old names, behind a prefix, are replaced by today's."""
    names = {prefix + old: prefix + new for new, old in OLD_TENSORS.items()}
    return {names.get(name, name): tensor for name, tensor in tensors.items()}
