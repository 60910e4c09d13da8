"""The surrogate of DSVH."""

import pytest
import torch

from avhash_nas.baselines import DSVHStyle
from avhash_nas.baselines.dsvh_style import TemporalBlock
from avhash_nas.objectives import BatchTriplet
from baselines import styles
from baselines.planted import DIM


def made(**options):
    torch.manual_seed(0)
    return DSVHStyle(5, 3, 8, width=6, blocks=2, **options)


def test_a_block_adds_two_convolutions_over_three_time_steps():
    torch.manual_seed(0)
    block = TemporalBlock(3).double()
    x = torch.randn(2, 4, 3, dtype=torch.float64)

    def convolved(z, number):
        weight, bias = block.convolutions[number].weight, block.convolutions[number].bias
        z = torch.relu(block.norms[number](z))
        out = bias.expand(2, 4, 3).clone()
        for step in range(4):
            for tap in range(3):
                if 0 <= step + tap - 1 < 4:
                    out[:, step] += z[:, step + tap - 1] @ weight[:, :, tap].T
        return out

    torch.testing.assert_close(block(x), x + convolved(convolved(x, 0), 1))


@pytest.mark.parametrize("modality", ["visual", "both"])
def test_it_looks_at_what_it_is_asked_to(modality):
    styles.check_it_looks_at(modality, made(modality=modality))


def test_it_sees_order():
    network = made()
    visual, audio = styles.features()
    assert not torch.allclose(network(visual.flip(1), audio), network(visual, audio))


def test_it_trains_under_other_parameters():
    styles.check_it_trains_under_other_parameters(made(), BatchTriplet(margin=1.0))


def test_it_travels(tmp_path):
    styles.check_it_travels(made(), tmp_path)


@pytest.mark.parametrize("selection", ["hard", "semi_hard"])
def test_it_solves_the_planted_problem(planted, selection):
    torch.manual_seed(0)
    network = DSVHStyle(DIM, DIM, 16, width=32)
    styles.check_it_solves_the_planted_problem(network, BatchTriplet(selection=selection), planted)
