"""AVHash against torch's Transformer layer and loops, its published size, and a problem that it must solve."""

import pytest
import torch
from torch import nn

from avhash_nas.baselines import AVHash, AVHashLoss, MeanPoolMLP
from avhash_nas.baselines.avhash import BertEncoder, PlainCrossAttention, Views
from avhash_nas.data import Batch, ClassBalanced, Triplets
from avhash_nas.errors import AvnasError
from avhash_nas.networks import HashNetwork, RoutedNetwork
from baselines.planted import CLASSES, DIM, FRAMES, bounds, trained_map
from distributed import baselines as on_ranks
from reference import baselines_avhash as oracle

W, HEADS, T = 8, 2, 3


def make(**options):
    torch.manual_seed(0)
    return AVHash(5, W, T, 6, width=W, heads=HEADS, **options).double()


@pytest.fixture
def features():
    generator = torch.Generator().manual_seed(1)
    return tuple(torch.randn(12, T, dim, generator=generator, dtype=torch.float64) for dim in (5, W))


def as_torch(encoder):
    """torch's own layer with the encoder's weights."""
    layer = nn.TransformerEncoderLayer(
        W, HEADS, 4 * W, dropout=0.0, activation="gelu", layer_norm_eps=1e-12, batch_first=True
    ).double()
    pairs = {
        layer.self_attn.out_proj: encoder.out_proj,
        **{layer.norm1: encoder.norm_attention, layer.norm2: encoder.norm_feed_forward},
        **{layer.linear1: encoder.feed_forward[0], layer.linear2: encoder.feed_forward[2]},
    }
    for theirs, ours in pairs.items():
        theirs.load_state_dict(ours.state_dict())
    projections = encoder.query_proj, encoder.key_value_proj
    layer.self_attn.in_proj_weight.data.copy_(torch.cat([linear.weight for linear in projections]))
    layer.self_attn.in_proj_bias.data.copy_(torch.cat([linear.bias for linear in projections]))
    return layer


def test_encoder_equals_a_bert_layer_with_token_and_pooler():
    torch.manual_seed(0)
    encoder = BertEncoder(W, HEADS, frames=5, dropout=0.1).double().eval()
    x = torch.randn(4, T, W, dtype=torch.float64)
    embedded = torch.cat([encoder.positions[:1].expand(4, 1, W), x + encoder.positions[1 : 1 + T]], dim=1)
    expected = as_torch(encoder)(nn.functional.layer_norm(embedded, [W], eps=1e-12))
    steps, pooled = encoder(x)
    torch.testing.assert_close(steps, expected[:, 1:])
    torch.testing.assert_close(pooled, torch.tanh(expected[:, 0] @ encoder.pooler.weight.T + encoder.pooler.bias))
    torch.testing.assert_close(encoder.pool(x), pooled)


def test_cross_attention_equals_torchs():
    torch.manual_seed(0)
    cross = PlainCrossAttention(W, HEADS).double()
    theirs = nn.MultiheadAttention(W, HEADS, bias=False, batch_first=True).double()
    theirs.in_proj_weight.data.copy_(torch.cat([cross.query_proj.weight, cross.key_value_proj.weight]))
    theirs.out_proj.weight.data.copy_(cross.out_proj.weight)
    x, y = torch.randn(4, T, W, dtype=torch.float64), torch.randn(4, 7, W, dtype=torch.float64)
    torch.testing.assert_close(cross(x, y), theirs(x, y, y)[0] + cross.out_proj.bias)


def test_forward_joins_the_parts_as_published(features):
    network = make().eval()
    visual, audio = network.visual_input(features[0]), features[1]
    assert isinstance(network.visual_input, nn.Linear)
    assert isinstance(network.audio_input, nn.Identity)  # its width is that of the model
    (steps_v, pooled_v), (steps_a, pooled_a) = network.visual(visual), network.audio(audio)
    v, a = steps_v + visual, steps_a + audio

    def gate(module, x, y):
        weights = torch.tanh(module.gate(torch.cat([x, y], dim=-1))).softmax(dim=-1)
        return weights[..., :1] * x + weights[..., 1:] * y

    fused_v = gate(network.visual_gate, v, network.visual_cross(v, a))
    fused_a = gate(network.audio_gate, a, network.audio_cross(a, v))
    _, pooled = network.video(gate(network.gate, fused_v, fused_a))
    views = network.views(*features)
    torch.testing.assert_close(views.codes, torch.tanh(network.hash(pooled)))
    torch.testing.assert_close(views.codes, network(*features))
    torch.testing.assert_close((views.visual, views.audio), (pooled_v, pooled_a))


def test_size_equals_the_paper():
    """28.4 M: without what BERT puts before its layers, and with a layer of the authors' code that nothing uses."""
    with torch.device("meta"):
        network = AVHash(768, 768, 25, 64)
    count = sum(parameter.numel() for parameter in network.parameters())
    embeddings = 3 * (26 * 768 + 2 * 768)  # positions and norm
    assert count == 27_878_470
    assert round((count - embeddings + 768 * 769) / 1e6, 2) == 28.40


def random_views(videos):
    generator = torch.Generator().manual_seed(2)
    return Views(*(torch.randn(videos, width, generator=generator, dtype=torch.float64).tanh() for width in (6, W, W)))


@pytest.mark.parametrize("negatives", [1, 4])
@pytest.mark.parametrize("alignment", [0.0, 50.0])
def test_paired_loss_equals_the_reference(negatives, alignment):
    objective = AVHashLoss(alignment, temperature=0.2)
    objective.sampling(Triplets(negatives=negatives))
    views = random_views(3 * (2 + negatives))
    expected = oracle.paired(*(part.tolist() for part in views), negatives, alignment, 0.2)
    loss = objective.of_views(views, torch.zeros(len(views.codes), 1, dtype=torch.bool))
    assert loss.item() == pytest.approx(expected, rel=1e-9)


def test_in_batch_loss_equals_the_reference():
    views = random_views(7)
    labels = torch.tensor([[1, 0], [0, 1], [1, 1], [1, 0], [0, 0], [0, 1], [1, 0]], dtype=torch.bool)
    sets = [set(row.nonzero().flatten().tolist()) for row in labels]
    expected = oracle.joint(*(part.tolist() for part in views), sets, 50.0, 0.1)
    assert AVHashLoss(paired=False).of_views(views, labels).item() == pytest.approx(expected, rel=1e-9)


def test_every_parameter_gets_a_gradient(features):
    network, objective = make(dropout=0.0), AVHashLoss()
    objective.setup(None, network, {})
    objective.sampling(Triplets(negatives=4))
    batch = Batch(*features, torch.zeros(12, 1, dtype=torch.bool), torch.arange(12))
    objective.loss(RoutedNetwork(network), batch).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: AVHash(3, 3, 4, 8, width=10, heads=4), "4 heads do not divide the width 10"),
        (lambda: make()(torch.zeros(1, 4, 5).double(), torch.zeros(1, 4, W).double()), "3 positions and got 4"),
        (lambda: AVHashLoss().setup(None, MeanPoolMLP(3, 2, 8), {}), "trains AVHash networks only, not MeanPoolMLP"),
        (lambda: AVHashLoss().sampling(ClassBalanced()), "ClassBalanced makes no groups .* --objective.paired=false"),
        (lambda: AVHashLoss(temperature=0), "temperature is out of range: 0"),
        (lambda: AVHashLoss(-1), "alignment is out of range: -1"),
    ],
)
def test_invalid_use_is_refused(call, message):
    with pytest.raises(AvnasError, match=message):
        call()


def test_the_in_batch_form_takes_any_sampling():
    sampling = ClassBalanced()
    assert AVHashLoss(paired=False).sampling(sampling) is sampling


def test_three_ranks_equal_one_process(three_ranks):
    expected = on_ranks.step(0, "avhash")
    for answer in three_ranks.run(on_ranks.step, "avhash"):
        torch.testing.assert_close(answer, expected)


def test_saving_and_loading_keep_the_codes(features, tmp_path):
    network = make().float()
    network.save_pretrained(tmp_path)
    again = HashNetwork.from_pretrained(tmp_path)
    single = [part.float() for part in features]
    assert torch.equal(again.encode(*single), network.encode(*single))
    assert again.fingerprint() == network.fingerprint()


@pytest.mark.parametrize(
    ("paired", "sampling", "epochs"),
    [(True, Triplets(anchors=32), 3), (False, ClassBalanced(classes=CLASSES, videos=5), 4)],
    ids=["paired", "in batch"],
)
def test_training_solves_the_planted_problem(planted, paired, sampling, epochs):
    torch.manual_seed(0)
    network = AVHash(DIM, DIM, FRAMES, 16, width=DIM, heads=4)
    reached = trained_map(planted, network, AVHashLoss(paired=paired), sampling, epochs=epochs, lr=3e-3)
    chance, projection = bounds(planted, 16)
    assert reached > projection + 0.2 > chance + 0.2
