"""The method in the style of SRH."""

import pytest
import torch
from torch import nn

from avhash_nas.baselines import SRHStyle
from avhash_nas.objectives import InfoNCE
from baselines import styles
from baselines.planted import DIM


def make(**options):
    torch.manual_seed(0)
    return SRHStyle(5, 3, 8, hidden=6, **options)


def test_forward_equals_an_lstm_with_max_pooling():
    network = make()
    visual, audio = styles.features()
    cell = nn.LSTMCell(5, 6)
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in network.lstm.state_dict().items()})
    state, highest = None, torch.full((6, 6), -torch.inf)
    for step in range(4):
        state = cell(visual[:, step], state)
        highest = torch.maximum(highest, state[0])
    torch.testing.assert_close(network(visual, audio), torch.tanh(network.hash(highest)))


@pytest.mark.parametrize("modality", ["visual", "both"])
def test_modality_selects_the_input(modality):
    styles.check_modality(modality, make(modality=modality))


def test_size_equals_table_2():
    with torch.device("meta"):
        network = SRHStyle(2048, 1, 64)
    assert sum(parameter.numel() for parameter in network.parameters()) == 4_505_152


def test_loss_trains_replaced_parameters():
    styles.check_loss_trains_replaced_parameters(make(), InfoNCE())


def test_saving_and_exporting_keep_the_codes(tmp_path):
    styles.check_saving_and_exporting(make(), tmp_path)


def test_training_solves_the_planted_problem(planted):
    torch.manual_seed(0)
    styles.check_planted_problem(SRHStyle(DIM, DIM, 16, hidden=32), InfoNCE(), planted)
