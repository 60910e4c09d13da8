"""HAN, VALOR, LINK and the MLP of segments: what they compute, and what they must not see."""

import pytest
import torch

from avhash_nas.baselines import HAN, VALOR, LINKStyle, SegmentMLP
from avhash_nas.baselines.link_style import TextModulation
from avhash_nas.errors import AvnasError
from avhash_nas.networks import ParsingNetwork
from baselines.parsing import CLASSES, SMALL, texts

C, T = CLASSES, 5


def link(seed=0, **options):
    torch.manual_seed(seed)
    vectors = None if options.get("texts") == "none" else texts()
    return LINKStyle(6, 5, C, vectors, **{**SMALL, **options})


def features(videos=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(videos, T, 6, generator=generator), torch.randn(videos, T, 5, generator=generator)


def labels(seed, videos=3):
    return torch.rand(videos, 2, T, C, generator=torch.Generator().manual_seed(seed)) < 0.5


def shaken(network):
    """All parameters random, so that nothing is left at a start of zero."""
    generator = torch.Generator().manual_seed(9)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator))
    return network


ALL = {
    "han": lambda: HAN(6, 5, C, width=8, hidden=12),
    "valor": lambda: VALOR(6, 5, C, **SMALL),
    "link": link,
    "mlp": lambda: SegmentMLP(6, 5, C, width=8),
}


@pytest.mark.parametrize("name", ALL)
def test_shapes_saving_and_loading(name, tmp_path):
    network = shaken(ALL[name]()).eval()
    parsing = network(*features())
    assert [tuple(part.shape) for part in parsing] == [(3, 2, T, C), (3, 2, C), (3, C), (3, 2, T, 8)]
    network.save_pretrained(tmp_path)
    loaded = ParsingNetwork.from_pretrained(tmp_path)
    assert loaded.fingerprint() == network.fingerprint()
    for one, other in zip(loaded(*features()), parsing, strict=True):
        assert torch.equal(one, other)


def test_published_sizes():
    """VALOR's class with the released features: 3.6 million parameters, of which none is the head of another task."""
    valor = VALOR(768 + 512, 768, 25, motion_dim=512)
    layer = 2 * (4 * 256 * 256 + 4 * 256) + (2 * 256 * 1024 + 1024 + 256) + 4 * 256
    inputs = 2 * (768 * 256 + 256) + 2 * (512 * 256 + 256)
    assert sum(each.numel() for each in valor.parameters()) == 4 * layer + inputs + 3 * (256 * 25 + 25)


def test_orders_of_layers():
    same = torch.randn(3, T, 6)

    def streams(order):
        network = shaken(VALOR(6, 6, C, **SMALL, order=order)).eval()
        network.visual_input.load_state_dict(network.audio_input.state_dict())
        one, other = same, same.flip(1)
        return network.segment_features(other, one), network.segment_features(one, other)

    for order in ("symmetric", "inputs"):
        straight, swapped = streams(order)
        torch.testing.assert_close(straight, swapped.flip(1))
    straight, swapped = streams("audio_first")
    assert not torch.allclose(straight, swapped.flip(1))


def test_han_with_more_layers_computes_the_last_one_alone():
    network = shaken(VALOR(6, 5, C, **SMALL, order="inputs")).eval()
    deeper = network.segment_features(*features())
    del network.layers[0]
    assert torch.equal(network.segment_features(*features()), deeper)


def test_motion_features_have_a_map_of_their_own():
    network = shaken(VALOR(6, 5, C, **SMALL, motion_dim=2)).eval()
    visual, audio = features()
    still, motion = visual.split([4, 2], dim=-1)
    both = torch.cat([network.visual_input(still), network.motion_input(motion)], dim=-1)
    torch.testing.assert_close(network.mapped(visual, audio)[1], network.visual_fusion(both))


def test_an_mlp_of_segments_confuses_nothing():
    network = shaken(ALL["mlp"]()).eval()
    visual, audio = features()
    other = network(visual, audio.flip(0)).logits
    assert torch.equal(other[:, 1], network(visual, audio).logits[:, 1])


def test_text_modulation_is_the_identity_at_its_start_and_without_labels():
    module = TextModulation(texts()[0], 8)
    x, on = torch.randn(2, T, 8), labels(1, 2)[:, 0]
    assert torch.equal(module(x, on), x)
    shaken(module)
    assert torch.equal(module(x, torch.zeros_like(on)), x)
    video, step = 1, 2
    text = module.vectors[on[video, step]].mean(dim=0)
    expected = x[video, step] * module.scale(text) + module.shift(text) + x[video, step]
    torch.testing.assert_close(module(x, on)[video, step], expected)


def test_without_its_three_parts_link_is_valor():
    plain = link(gate=False, exchange="none", texts="none")
    torch.manual_seed(0)
    valor = VALOR(6, 5, C, **SMALL)
    assert plain.state_dict().keys() == valor.state_dict().keys()
    for one, other in zip(plain.eval()(*features()), valor.eval()(*features()), strict=True):
        assert torch.equal(one, other)


def test_no_labels_of_test_reach_the_outputs_unless_asked_for_by_name():
    visual, audio = features()
    for name, make in ALL.items():
        network = shaken(make()).eval()
        outputs = [network(visual, audio, None, labels(seed)) for seed in (1, 2)]
        for one, other in zip(*outputs, strict=True):
            assert torch.equal(one, other), name
        assert not network.oracle_labels
    for label_text in ("pseudo", "oracle"):
        network = shaken(link(label_text=label_text)).eval()
        assert network.oracle_labels == (label_text == "oracle")
        one, other = (network(visual, audio, None, labels(seed)).logits for seed in (1, 2))
        assert not torch.equal(one, other)


def test_training_reads_pseudo_labels_of_about_half_of_the_videos():
    network = shaken(link(dropout=0.0)).train()
    visual, audio = (each[:1].expand(40, -1, -1) for each in features())
    torch.manual_seed(3)
    of_pseudo = labels(5, 1).expand(40, -1, -1, -1)
    logits = network(visual, audio, None, of_pseudo).logits
    distinct = logits.flatten(1).round(decimals=3).unique(dim=0, return_counts=True)[1]
    assert len(distinct) == 2
    assert distinct.min() > 8


def test_learned_weights_are_logged():
    assert link().summary() == {"alpha_audio": 0, "beta_audio": 1, "alpha_visual": 0, "beta_visual": 1}
    assert link(exchange="fixed").summary()["alpha_audio"] == 1
    assert link(exchange="none").summary() == {}


def test_gradients_reach_every_part_of_link():
    network = shaken(link()).train()
    network(*features(), None, labels(1)).logits.square().sum().backward()
    without = [name for name, each in network.named_parameters() if each.grad is None or not each.grad.any()]
    heads = ("parse.time_attention", "parse.modality_attention")  # which the logits do not need
    assert [name for name in without if not name.startswith(heads)] == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"order": "both"}, "network.order: 'both' is none of inputs, audio_first, symmetric"),
        ({"motion_dim": 6}, "network.motion_dim=6"),
        ({"layers": 0}, "network.layers=0"),
        ({"exchange": "free"}, "network.exchange: 'free'"),
        ({"label_text": "truth"}, "network.label_text: 'truth'"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(AvnasError, match=message):
        link(**options)
    with pytest.raises(AvnasError, match="texts=dataset: needs class vectors"):
        LINKStyle(6, 5, C, None, **SMALL)
