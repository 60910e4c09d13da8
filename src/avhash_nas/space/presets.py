"""Spaces and architectures with a name, one function each.

The names given to `avnas space --preset` and `avnas fit --space` are the functions' names, `-` for `_`.
The paper prints its Arch-1 and Arch-2 as figures that are not available as text; what they fix is inferred from the
printed parameter counts and the discussion in section 5.2, so these presets are reconstructions.
"""

from collections.abc import Mapping

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
    """The whole space of the paper's Fig. 2 and Table 1: 22 cells, 440,301,256,704 architectures."""
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


_ARCH_1_VISUAL = {
    **{"M1": "self_attention", "U1": "skip", "M2": "mlp", "U2": "skip", "D1": "add"},
    **{"U3": "skip", "M3": "ffn", "D2": "add", "U4": "skip"},
}
_ARCH_2_VISUAL = {
    **_ARCH_1_VISUAL,
    "M2": "self_ssm",
    "U1": "silu",
    "U2": "silu",
    "U3": "layer_norm",
    "U4": "layer_norm",
}
_ARCH_1_AUDIO = {
    **{"M1": "ffn", "U1": "skip", "M2": "conv3", "U2": "skip", "D1": "add"},
    **{"U3": "skip", "M3": "conv3", "D2": "add", "U4": "skip"},
}
_ARCH_2_AUDIO = {**_ARCH_1_AUDIO, "D1": "hadamard", "D2": "add"}
_ARCH_REST = {"I1": "cross_attention", "I2": "cross_ssm", "F": "gated_attention", "T": "self_ssm"}


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


# Eq. 6-8 and 9-11 of the paper.
_TRANSFORMER = {
    **{"M1": "self_attention", "U1": "skip", "M2": "mlp", "U2": "skip", "D1": "add"},
    **{"U3": "layer_norm", "M3": "ffn", "D2": "add", "U4": "layer_norm"},
}
_MAMBA = {
    **{"M1": "conv4", "U1": "silu", "M2": "self_ssm", "U2": "silu", "D1": "hadamard"},
    **{"U3": "skip", "M3": "skip", "D2": "add", "U4": "layer_norm"},
}
_ATTENTION_REST = {
    **{"I1": "cross_attention", "I2": "cross_attention", "F": "gated_attention", "T": "self_attention"},
}
_MAMBA_REST = {"I1": "cross_ssm", "I2": "cross_ssm", "F": "gated_attention", "T": "self_ssm"}


def transformer() -> SearchSpace:
    """The expert's Transformer (paper, Table 3): Eq. 6-8 without Up and Down; the fusion is a reconstruction."""
    return _space({"visual": _TRANSFORMER, "audio": _TRANSFORMER}, _ATTENTION_REST, expand=None)


def transformer_plus() -> SearchSpace:
    """Transformer+ (paper, Table 3): Eq. 6-8 with Up and Down; the fusion is a reconstruction."""
    return _space({"visual": _TRANSFORMER, "audio": _TRANSFORMER}, _ATTENTION_REST)


def mamba() -> SearchSpace:
    """The expert's Mamba (paper, Table 3): Eq. 9-11 with Mamba's own kernel of 4; the fusion is a reconstruction."""
    return _space({"visual": _MAMBA, "audio": _MAMBA}, _MAMBA_REST)
