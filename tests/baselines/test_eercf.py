"""EERCF's network, value by value, and what its gate finds that a mean hides."""

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from avhash_nas.baselines import EERCF
from avhash_nas.codes import pack
from avhash_nas.errors import AvnasError
from avhash_nas.metrics import text_to_video
from avhash_nas.networks import HashNetwork
from avhash_nas.networks.text_gate import scored_gate, unit
from avhash_nas.training.text_scores import two_stage


@pytest.fixture
def inputs():
    generator = torch.Generator().manual_seed(0)
    shapes = (3, 4, 6), (3, 4, 5), (2, 6), (3, 4, 2, 6)
    return [torch.randn(shape, generator=generator) for shape in shapes]


def make(**options):
    torch.manual_seed(1)
    return EERCF(6, 5, 6, **{"frames": 4, "bits": 6, "width": 6, "heads": 2, "layers": 1, **options}).eval()


def test_starts_as_clip_itself(inputs):
    """Maps between equal widths start as the identity: frames are the features, and without layers v is their mean."""
    visual, audio, text, _ = inputs
    network = make(layers=0)
    views = network.video_views(visual, audio)
    torch.testing.assert_close(views.frames, visual)
    for video in range(3):
        mean = sum(visual[video, t] / visual[video, t].norm() for t in range(4)) / 4
        torch.testing.assert_close(views.coarse[video], mean / mean.norm())
    torch.testing.assert_close(network.text_views(text).vector, text)
    torch.testing.assert_close(network.text_views(text).coarse, normalize(text, dim=1))


def test_the_coarse_map_is_folded_into_the_text(inputs):
    visual, audio, text, _ = inputs
    network = make()
    with torch.no_grad():
        network.coarse_map.weight.copy_(torch.randn(6, 6))
    videos, texts = network.video_views(visual, audio), network.text_views(text)
    w = network.coarse_map.weight
    for i in range(2):
        for j in range(3):
            score = normalize(text, dim=1)[i] @ w.T @ videos.coarse[j]
            length = (w @ normalize(text, dim=1)[i]).norm()
            torch.testing.assert_close(texts.coarse[i] @ videos.coarse[j] * length, score)


def test_with_as_many_bits_as_the_width_the_relaxed_code_is_the_coarse_vector(inputs):
    visual, audio, text, _ = inputs
    network = make()
    torch.testing.assert_close(network(visual, audio), network.video_views(visual, audio).coarse)
    narrow = make(bits=4)
    assert narrow(visual, audio).shape == (3, 4)
    assert narrow(visual, audio).abs().max() <= 1
    codes = narrow.encode_texts(text.numpy(), ["a", "b"])
    assert codes.frames.shape == (2, 1, 6)
    assert (codes.packed == pack(narrow.text_views(text).codes).numpy()).all()


def test_time_steps_are_frames_and_frames_with_context(inputs):
    visual, audio, _, _ = inputs
    network = make()
    steps, views = network.time_steps(visual, audio), network.video_views(visual, audio)
    torch.testing.assert_close(steps[..., :6], unit(views.frames))
    torch.testing.assert_close(steps[..., 6:], unit(views.context))
    assert not torch.allclose(views.frames, views.context)


def test_patches_go_through_the_map_of_the_frames(inputs):
    visual, audio, _, patches = inputs
    network = make()
    views = network.video_views(visual, audio, patches)
    assert views.patches.shape == (3, 8, 6)
    torch.testing.assert_close(views.patches[1, 3], network.frames(patches[1, 1, 1]))
    with pytest.raises(AvnasError, match="they need network"):
        make(modality="both").video_views(visual, audio, patches)


def test_a_saved_network_is_the_same(inputs, tmp_path):
    visual, audio, text, _ = inputs
    network = make(bits=5, modality="both", coarse_map=False)
    network.save_pretrained(tmp_path)
    again = HashNetwork.from_pretrained(tmp_path)
    assert again.fingerprint() == network.fingerprint()
    torch.testing.assert_close(again(visual, audio), network(visual, audio))
    torch.testing.assert_close(again.text_views(text).codes, network.text_views(text).codes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"heads": 4}, "must be a multiple of heads=4"),
        ({"modality": "text"}, "is none of visual"),
        ({"layers": -1}, "layers=-1"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(AvnasError, match=message):
        make(**options)


def test_longer_videos_than_trained_on_are_refused(inputs):
    with pytest.raises(AvnasError, match="5 time steps, trained on at most 4"):
        make()(torch.randn(1, 5, 6), torch.randn(1, 5, 5))


def test_the_gate_finds_what_the_mean_hides():
    """A scene fills all 25 time steps, a detail two of them; a caption names both. Nothing is trained."""
    random = np.random.default_rng(0)
    scenes, details, steps, width = 6, 12, 25, 48
    directions = np.linalg.qr(random.standard_normal((width, scenes + details)))[0].T
    pairs = [(scene, detail) for scene in range(scenes) for detail in range(details)]
    videos = np.zeros((len(pairs), steps, width))
    where = np.empty(len(pairs), np.int64)
    for row, (scene, detail) in enumerate(pairs):
        videos[row] = directions[scene] + 0.4 * random.standard_normal((steps, width))
        where[row] = random.integers(steps - 1)
        videos[row, where[row] : where[row] + 2] += 2 * directions[scenes + detail]
    texts = np.stack([directions[scene] + 2 * directions[scenes + detail] for scene, detail in pairs])
    network = EERCF(width, 1, width, frames=steps, bits=width, width=width, heads=1, layers=0).eval()
    visual, text = (torch.from_numpy(each).float() for each in (videos, texts))
    with torch.no_grad():
        views, asked = network.video_views(visual, torch.zeros(len(pairs), steps, 1)), network.text_views(text)
        coarse = (asked.coarse @ views.coarse.T).numpy()
        fine = scored_gate(asked.vector, views.frames, 0.01).numpy()
    own = np.arange(len(pairs))
    reranked = two_stage(coarse, fine, depth=details)
    alone, after = (text_to_video(scores, own).hits(1).mean() for scores in (coarse, reranked))
    assert after > alone + 0.25
    assert after > 0.95
    best = torch.einsum("nd,ntd->nt", unit(text), unit(visual)).argmax(dim=1).numpy()
    assert (np.isin(best - where, (0, 1))).mean() > 0.95
