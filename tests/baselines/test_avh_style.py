"""The method in the style of AVH."""

import pytest
import torch
from torch import nn

from avhash_nas.baselines import AVHStyle
from avhash_nas.objectives import InfoNCE
from baselines import styles
from baselines.planted import DIM


def make(**options):
    torch.manual_seed(0)
    return AVHStyle(5, 3, 8, hidden=6, attention=4, **options)


def test_forward_equals_a_bidirectional_lstm_with_attention():
    network = make()
    visual, audio = styles.features()
    outputs = []
    for suffix, frames in (("_l0", visual), ("_l0_reverse", visual.flip(1))):
        cell, state, steps = nn.LSTMCell(5, 6), None, []
        cell.load_state_dict({name: getattr(network.lstm, name + suffix) for name in cell.state_dict()})
        for step in range(4):
            state = cell(frames[:, step], state)
            steps.append(state[0])
        outputs.append(torch.stack(steps, dim=1))
    h = torch.cat([outputs[0], outputs[1].flip(1)], dim=-1)
    inner, outer = network.attention[0], network.attention[2]
    pooled = torch.zeros(6, 12)
    for video in range(6):
        scores = [torch.tanh(inner(h[video, step])) @ outer.weight[0] for step in range(4)]
        total = sum(score.exp() for score in scores)
        for step in range(4):
            pooled[video] += scores[step].exp() / total * h[video, step]
    torch.testing.assert_close(network(visual, audio), torch.tanh(network.hash(pooled)))


@pytest.mark.parametrize("modality", ["visual", "both"])
def test_modality_selects_the_input(modality):
    styles.check_modality(modality, make(modality=modality))


def test_loss_trains_replaced_parameters():
    styles.check_loss_trains_replaced_parameters(make(), InfoNCE())


def test_saving_and_exporting_keep_the_codes(tmp_path):
    styles.check_saving_and_exporting(make(), tmp_path)


def test_training_solves_the_planted_problem(planted):
    torch.manual_seed(0)
    network = AVHStyle(DIM, DIM, 16, hidden=32, attention=16)
    styles.check_planted_problem(network, InfoNCE(), planted)
