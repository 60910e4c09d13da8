"""The problem that every strategy has to solve has one solution, which is not given away."""

import numpy as np
import pytest
import torch

from avhash_nas.networks import AudioVisualNetwork
from avhash_nas.testing.toy import TOY
from avhash_nas.testing.videos import order_in_time, tiny_data


@pytest.fixture(scope="module")
def videos():
    data = tiny_data()
    return data.batch(data.splits["val"])


def test_only_the_convolution_sees_the_order_of_time_steps(videos):
    torch.manual_seed(0)
    network = AudioVisualNetwork(4, 2, 8, TOY.space, width=12, heads=2).double().eval()
    visual, audio = videos.visual.double(), videos.audio.double()
    for index, name in enumerate(TOY.space["visual.M1"].candidates):
        codes, of_reversed = (network(each, audio, {"visual.M1": index}) for each in (visual, visual.flip(1)))
        assert torch.allclose(codes, of_reversed, rtol=0, atol=1e-12) == (name != "conv3")


def test_the_classes_differ_in_the_order_of_two_events_alone():
    one, other = (order_in_time(label, np.random.default_rng(0)) for label in (0, 1))
    apart = (one - other).round(4)
    for half in (apart[:4], apart[4:]):
        (first,) = half[:, 0].nonzero()[0][:1]
        assert half[first : first + 2].tolist() == [[3, -3, 0, 0], [-3, 3, 0, 0]]
        assert np.count_nonzero(half) == 4


def test_classes_are_balanced_and_audio_says_nothing(videos):
    assert videos.labels.sum(0).tolist() == [8, 8]
    assert not videos.audio.any()
