"""The surrogate of DSVH."""

import pytest
import torch

from avhash_nas.baselines import DSVHStyle
from avhash_nas.baselines.dsvh_style import TemporalBlock
from avhash_nas.objectives import BatchTriplet
from baselines import styles
from baselines.planted import DIM


def make(**options):
    torch.manual_seed(0)
    return DSVHStyle(5, 3, 8, width=6, blocks=2, **options)


def test_block_adds_two_convolutions():
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
def test_modality_selects_the_input(modality):
    styles.check_modality(modality, make(modality=modality))


def test_codes_depend_on_the_order_of_frames():
    network = make()
    visual, audio = styles.features()
    assert not torch.allclose(network(visual.flip(1), audio), network(visual, audio))


def test_loss_trains_replaced_parameters():
    styles.check_loss_trains_replaced_parameters(make(), BatchTriplet(margin=1.0))


def test_saving_and_exporting_keep_the_codes(tmp_path):
    styles.check_saving_and_exporting(make(), tmp_path)


@pytest.mark.parametrize("selection", ["hard", "semi_hard"])
def test_training_solves_the_planted_problem(planted, selection):
    torch.manual_seed(0)
    network = DSVHStyle(DIM, DIM, 16, width=32)
    styles.check_planted_problem(network, BatchTriplet(selection=selection), planted)
