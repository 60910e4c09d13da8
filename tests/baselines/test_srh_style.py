"""The method in the style of SRH."""

import pytest
import torch
from torch import nn

from avhash_nas.baselines import SRHStyle
from avhash_nas.objectives import InfoNCE
from baselines import styles
from baselines.planted import DIM


def made(**options):
    torch.manual_seed(0)
    return SRHStyle(5, 3, 8, hidden=6, **options)


def test_it_is_an_lstm_and_its_maximum_over_time():
    network = made()
    visual, audio = styles.features()
    cell = nn.LSTMCell(5, 6)
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in network.lstm.state_dict().items()})
    state, highest = None, torch.full((6, 6), -torch.inf)
    for step in range(4):
        state = cell(visual[:, step], state)
        highest = torch.maximum(highest, state[0])
    torch.testing.assert_close(network(visual, audio), torch.tanh(network.hash(highest)))


@pytest.mark.parametrize("modality", ["visual", "both"])
def test_it_looks_at_what_it_is_asked_to(modality):
    styles.check_it_looks_at(modality, made(modality=modality))


def test_its_size_is_that_of_table_2():
    with torch.device("meta"):
        network = SRHStyle(2048, 1, 64)
    assert sum(parameter.numel() for parameter in network.parameters()) == 4_505_152


def test_it_trains_under_other_parameters():
    styles.check_it_trains_under_other_parameters(made(), InfoNCE())


def test_it_travels(tmp_path):
    styles.check_it_travels(made(), tmp_path)


def test_it_solves_the_planted_problem(planted):
    torch.manual_seed(0)
    styles.check_it_solves_the_planted_problem(SRHStyle(DIM, DIM, 16, hidden=32), InfoNCE(), planted)
