"""Named search spaces and architectures, one function each.

`avnas space --preset` and `avnas fit --space` take the functions' names, with `-` for `_`. The paper prints Arch-1 and
Arch-2 as figures that are not available as text; these presets are reconstructed from the printed parameter counts and
the discussion in section 5.2.
"""

from collections.abc import Mapping
from pathlib import Path

from avhash_nas.errors import AvnasError
from avhash_nas.files import read_json
from avhash_nas.space.cell import Cell
from avhash_nas.space.search_space import SearchSpace

__all__ = [
    "arch_1",
    "arch_1_visual",
    "arch_2",
    "arch_2_visual",
    "arch_audio",
    "audio",
    "authors",
    "full",
    "mamba",
    "transformer",
    "transformer_plus",
    "visual",
]


def load_space(source: str | Path) -> SearchSpace:
    """A preset by name, or a space or architecture from a JSON file.

    Raises:
        AvnasError: There is no such preset or file, or the file is malformed.
    """
    name = str(source).replace("-", "_")
    if name in __all__:
        space: SearchSpace = globals()[name]()
        return space
    if Path(source).suffix != ".json":
        known = ", ".join(preset.replace("_", "-") for preset in __all__)
        raise AvnasError(f"unknown space {str(source)!r}: use a preset ({known}) or a .json file")
    data = read_json(source)
    try:
        return SearchSpace.from_dict(data)
    except AvnasError as error:
        raise AvnasError(f"{source}: {error}") from error


M = ("skip", "self_attention", "self_ssm", "conv3", "conv4", "conv5", "mlp", "ffn")
U = ("skip", "silu", "layer_norm")
D = ("add", "hadamard")
_FUSION = {
    "I1": ("cross_attention", "cross_ssm"),
    "I2": ("cross_attention", "cross_ssm"),
    "F": ("add", "gated_attention"),
}
_SELF = ("self_attention", "self_ssm")

_ENCODER = {"M1": M, "U1": U, "M2": M, "U2": U, "D1": D, "U3": U, "M3": M, "D2": D, "U4": U}


def _space(
    encoders: Mapping[str, Mapping[str, str | tuple[str, ...]]],
    rest: Mapping[str, str | tuple[str, ...]],
    expand: int | None = 2,
) -> SearchSpace:
    cells = {f"{modality}.{leaf}": names for modality, leaves in encoders.items() for leaf, names in leaves.items()}
    return SearchSpace(
        tuple(Cell(name, (names,) if isinstance(names, str) else names) for name, names in {**cells, **rest}.items()),
        expand,
    )


def full() -> SearchSpace:
    """The full space of the paper's Fig. 2 and Table 1: 22 cells, 440,301,256,704 architectures."""
    return _space({"visual": _ENCODER, "audio": _ENCODER}, {**_FUSION, "T": _SELF})


def authors() -> SearchSpace:
    """The space of the authors' code: U1, U2 are skip or SiLU, U3, U4 skip or LayerNorm; 17,179,869,184 in all."""
    activation, norm = ("skip", "silu"), ("skip", "layer_norm")
    encoder = {**_ENCODER, "U1": activation, "U2": activation, "U3": norm, "U4": norm}
    return _space({"visual": encoder, "audio": encoder}, {**_FUSION, "T": _SELF})


def visual() -> SearchSpace:
    """The visual branch alone, with a self-fusion cell in place of I and F (paper, section 5.3)."""
    return _space({"visual": _ENCODER}, {"S": _SELF, "T": _SELF})


def audio() -> SearchSpace:
    """The audio branch alone, with a self-fusion cell in place of I and F (paper, section 5.3)."""
    return _space({"audio": _ENCODER}, {"S": _SELF, "T": _SELF})


def _encoder(names: str) -> dict[str, str]:
    """One candidate per cell of an encoder, in the order of `_ENCODER`."""
    return dict(zip(_ENCODER, names.split(), strict=True))


# ------------------------- M1             U1   M2       U2   D1       U3         M3    D2  U4
_ARCH_1_VISUAL = _encoder("self_attention skip mlp      skip add      skip       ffn   add skip")
_ARCH_2_VISUAL = _encoder("self_attention silu self_ssm silu add      layer_norm ffn   add layer_norm")
_ARCH_1_AUDIO = _encoder(" ffn            skip conv3    skip add      skip       conv3 add skip")
_ARCH_2_AUDIO = _encoder(" ffn            skip conv3    skip hadamard skip       conv3 add skip")
# Eq. 6-8 and 9-11 of the paper.
_TRANSFORMER = _encoder("  self_attention skip mlp      skip add      layer_norm ffn   add layer_norm")
_MAMBA = _encoder("        conv4          silu self_ssm silu hadamard skip       skip  add layer_norm")
_ARCH_REST = {"I1": "cross_attention", "I2": "cross_ssm", "F": "gated_attention", "T": "self_ssm"}
_ATTENTION_REST = {**_ARCH_REST, "I2": "cross_attention", "T": "self_attention"}
_MAMBA_REST = {**_ARCH_REST, "I1": "cross_ssm"}


def arch_1() -> SearchSpace:
    """Arch-1, found on ActivityNet (paper, Fig. 5a), reconstructed: 42.7 M parameters at D = 768 and 64 bits."""
    return _space({"visual": _ARCH_1_VISUAL, "audio": _ARCH_1_AUDIO}, _ARCH_REST)


def arch_2() -> SearchSpace:
    """Arch-2, found on FCVID (paper, Fig. 5b), reconstructed: 40.5 M parameters at D = 768 and 64 bits."""
    return _space({"visual": _ARCH_2_VISUAL, "audio": _ARCH_2_AUDIO}, _ARCH_REST)


def arch_1_visual() -> SearchSpace:
    """Arch-1 without its audio branch (paper, Table 2, line 21), reconstructed: 23.7 M parameters."""
    return _space({"visual": _ARCH_1_VISUAL}, {"S": "self_attention", "T": "self_ssm"})


def arch_2_visual() -> SearchSpace:
    """Arch-2 without its audio branch (paper, Table 2, line 21), reconstructed: 21.4 M parameters."""
    return _space({"visual": _ARCH_2_VISUAL}, {"S": "self_attention", "T": "self_ssm"})


def arch_audio() -> SearchSpace:
    """Arch-1 and Arch-2 without their visual branch (paper, Table 2, line 22), reconstructed: 22.7 M parameters."""
    return _space({"audio": _ARCH_1_AUDIO}, {"S": "self_ssm", "T": "self_ssm"})


def transformer() -> SearchSpace:
    """The hand-designed Transformer (paper, Table 3): Eq. 6-8 without Up and Down; the fusion is a reconstruction."""
    return _space({"visual": _TRANSFORMER, "audio": _TRANSFORMER}, _ATTENTION_REST, expand=None)


def transformer_plus() -> SearchSpace:
    """Transformer+ (paper, Table 3): Eq. 6-8 with Up and Down; the fusion is a reconstruction."""
    return _space({"visual": _TRANSFORMER, "audio": _TRANSFORMER}, _ATTENTION_REST)


def mamba() -> SearchSpace:
    """The hand-designed Mamba (paper, Table 3): Eq. 9-11, with its own kernel of 4; the fusion is a reconstruction."""
    return _space({"visual": _MAMBA, "audio": _MAMBA}, _MAMBA_REST)
