import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from avhash_nas.errors import AvnasError
from avhash_nas.metrics import ParsingMetric, constant_predictions, decode, parsing_scores
from distributed import tasks_parsing
from reference.metrics_parsing import dataset


def flat(scores):
    return {f"{level}_{kind}": value for level, kinds in scores.means.items() for kind, value in kinds.items()}


def sets_of(video):
    """(class, segment) of each modality of a video, (2, T, C)."""
    return [{(c, t) for t, c in modality.nonzero().tolist()} for modality in video]


def by_hand(predicted, true):
    videos = [(*sets_of(mine), *sets_of(theirs)) for mine, theirs in zip(predicted, true, strict=True)]
    return {name: float(score) for name, score in dataset(videos, predicted.shape[3]).items()}


def lines(*rows):
    """A video of one class from two strings of `.` and `#`, what is heard and what is seen."""
    return torch.tensor([[[step == "#"] for step in row] for row in rows])[None]


@given(st.integers(0, 10_000), st.integers(1, 5), st.integers(1, 9), st.integers(1, 3), st.floats(0.05, 0.9))
def test_equals_sets_and_lists_of_runs(seed, videos, steps, classes, density):
    generator = torch.Generator().manual_seed(seed)
    predicted, true = torch.rand(2, videos, 2, steps, classes, generator=generator) < density
    assert flat(parsing_scores(predicted, true)) == pytest.approx(by_hand(predicted, true), abs=1e-12)


def test_a_hand_made_list_of_four_videos():
    """Expected values worked out with pencil and paper."""
    heard = [
        "####......",
        "..........",
        "##########",
        "#.#.......",
    ]
    seen = ["....####..", "..........", "..........", ".........."]
    true_heard = ["##........", "..........", "##########", "###......."]
    true_seen = ["....####..", "####......", "..........", ".........."]
    predicted = torch.cat([lines(*rows) for rows in zip(heard, seen, strict=True)])
    true = torch.cat([lines(*rows) for rows in zip(true_heard, true_seen, strict=True)])
    scores = flat(parsing_scores(predicted, true))
    assert scores["segment_audio"] == pytest.approx((4 / 6 + 1 + 1 + 4 / 5) / 4)
    assert scores["segment_visual"] == pytest.approx((1 + 0 + 1 + 1) / 4)
    assert scores["segment_audio_visual"] == 1  # nothing is both, nor predicted as both
    assert scores["segment_event"] == pytest.approx((12 / 14 + 0 + 1 + 4 / 5) / 4)  # 12/14, not the mean of two F
    assert scores["event_audio"] == pytest.approx((1 + 1 + 1 + 0) / 4)  # 2 of 4 is an IoU of just 0.5
    assert scores["event_event"] == pytest.approx((1 + 0 + 1 + 0) / 4)


def test_iou_of_a_half_counts_and_less_does_not():
    true = lines("####.", ".....")
    assert flat(parsing_scores(lines("##...", "....."), true))["event_audio"] == 1
    assert flat(parsing_scores(lines("#....", "....."), true))["event_audio"] == 0


def test_runs_at_both_ends_and_pieces_of_an_event():
    assert flat(parsing_scores(lines("#..#", "...."), lines("#..#", "....")))["event_audio"] == 1
    assert flat(parsing_scores(lines("##.##", "....."), lines("#####", ".....")))["event_audio"] == 0


def test_absent_events_score_one_and_a_single_false_segment_zero():
    nothing = lines("....", "....")
    assert set(flat(parsing_scores(nothing, nothing)).values()) == {1.0}
    assert flat(parsing_scores(lines("#...", "...."), nothing))["segment_audio"] == 0


def random_case(seed=0, videos=6, steps=10, classes=4):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(2, videos, 2, steps, classes, generator=generator) < 0.3


def test_truth_scores_one():
    _, true = random_case()
    assert set(flat(parsing_scores(true, true)).values()) == {1.0}


def test_swapping_the_modalities_swaps_audio_and_visual_only():
    predicted, true = random_case()
    scores, swapped = flat(parsing_scores(predicted, true)), flat(parsing_scores(predicted.flip(1), true.flip(1)))
    for level in ("segment", "event"):
        assert swapped[f"{level}_audio"] == scores[f"{level}_visual"]
        for kind in ("audio_visual", "type", "event"):
            assert swapped[f"{level}_{kind}"] == pytest.approx(scores[f"{level}_{kind}"])


def test_order_of_videos_and_classes_means_nothing():
    predicted, true = random_case()
    scores = flat(parsing_scores(predicted, true))
    assert flat(parsing_scores(predicted.flip(0), true.flip(0))) == pytest.approx(scores)
    assert flat(parsing_scores(predicted.flip(3), true.flip(3))) == pytest.approx(scores)


def test_a_segment_needs_the_video_as_well():
    segments = torch.tensor([0.5, 0.49, 0.9]).view(1, 1, 1, 3).expand(1, 2, 4, 3)
    assert decode(segments, torch.tensor([[0.5, 0.9, 0.4]])).unique(dim=2).tolist() == [[[[True, False, False]]] * 2]


def test_constant_predictions_know_no_video():
    weak = torch.tensor([[True, False], [True, True]])
    made = constant_predictions(weak, steps=3)
    assert made["weak_everywhere"].all(dim=2).tolist() == [[w, w] for w in weak.tolist()]
    assert made["weak_heard"].any(dim=2).tolist() == [[w, [False, False]] for w in weak.tolist()]
    assert not made["nothing"].any()


def test_metric_equals_the_function_whatever_the_batches():
    predicted, true = random_case()
    metric = ParsingMetric()
    for rows in ([4, 1], [0], [5, 2, 3, 0]):  # a video that comes twice counts once
        metric.update(predicted[rows], true[rows], torch.tensor(rows))
    expected = flat(parsing_scores(predicted, true))
    assert {name: value.item() for name, value in metric.compute().items()} == pytest.approx(expected)
    assert flat(pickle.loads(pickle.dumps(metric)).scores()) == pytest.approx(expected)
    assert metric.scores().videos == 6
    metric.reset()
    with pytest.warns(UserWarning, match="before the"), pytest.raises(AvnasError, match="no video"):
        metric.compute()


def test_metric_over_ranks_one_of_which_has_no_video(three_ranks):
    predicted, true = random_case()
    expected = flat(parsing_scores(predicted, true))
    for scores in three_ranks.run(tasks_parsing.scored, predicted, true, (4, 0, 2)):
        assert scores == pytest.approx(expected)


@pytest.mark.parametrize("shape", [(2, 2, 3), (2, 3, 4, 5)])
def test_wrong_shapes_are_refused(shape):
    with pytest.raises(AvnasError, match=r"predicted: expected bool of shape \(V, 2, T, C\)"):
        parsing_scores(torch.zeros(shape, dtype=torch.bool), torch.zeros(shape, dtype=torch.bool))
