"""The parameter counts of the paper's Table 2 as sums over operators, at D = 768 and 64 bits."""

import inspect

import pytest
import torch

from avhash_nas.operators import find_operator

D, EXPAND, BITS = 768, 2, 64
E = EXPAND * D
SIZES = {"model_width": D, "hidden": 4 * D, "expand": EXPAND, "heads": 12, "states": 16, "rank": 4, "dropout": 0.1}


def count(kind, name, width=D):
    operator, sizes = find_operator(kind, name), {**SIZES, "width": width}
    with torch.device("meta"):
        built = operator(**{key: sizes[key] for key in inspect.signature(operator).parameters if key in sizes})
    return sum(parameter.numel() for parameter in built.parameters())


def encoder(m1, m2, m3):
    """Up, Up' and Down without bias, and the three sequence models: M1 and M2 at E, M3 at D."""
    return 3 * D * E + count("M", m1, E) + count("M", m2, E) + count("M", m3)


VISUAL_1 = encoder("self_attention", "mlp", "ffn")
VISUAL_2 = encoder("self_attention", "self_ssm", "ffn")
FUSION = count("I", "cross_attention") + count("I", "cross_ssm") + count("F", "gated_attention")
HEAD = count("T", "self_ssm") + D * BITS + BITS


def networks(m2, m3):
    audio = encoder("ffn", m2, m3)
    return {
        "Arch-1": (VISUAL_1 + audio + FUSION + HEAD, 427),
        "Arch-2": (VISUAL_2 + audio + FUSION + HEAD, 405),
        "Arch-1 visual": (VISUAL_1 + count("S", "self_attention") + HEAD, 237),
        "Arch-2 visual": (VISUAL_2 + count("S", "self_attention") + HEAD, 214),
        "audio": (audio + count("S", "self_ssm") + HEAD, 227),
    }


@pytest.mark.parametrize("kernels", [("conv3", "conv3"), ("conv4", "conv5"), ("conv5", "conv5")])
@pytest.mark.parametrize("norms", [0, 4])
def test_counts_match_table_2(kernels, norms):
    """The paper prints neither the audio kernels nor the number of norms; no choice may matter."""
    for name, (parameters, printed) in networks(*kernels).items():
        assert (parameters + norms * count("U", "layer_norm")) // 100_000 == printed, name


def test_counts_with_the_largest_convolutions():
    assert {name: parameters for name, (parameters, _) in networks("conv5", "conv5").items()} == {
        "Arch-1": 42_780_738,
        "Arch-2": 40_508_994,
        "Arch-1 visual": 23_754_304,
        "Arch-2 visual": 21_482_560,
        "audio": 22_709_056,
    }


def test_counts_rule_out_a_larger_rank():
    """Mamba's rank, D / 16, in CrossMamba and the last block alone exceeds Arch-2's count."""
    extra = 2 * (D // 16 - 4) * 2 * E  # x_proj and dt_proj of both
    assert (networks("conv5", "conv5")["Arch-2"][0] + extra) // 100_000 > 405
