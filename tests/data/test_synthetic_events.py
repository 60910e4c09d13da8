import numpy as np
import pytest

from avhash_nas.cli import main
from avhash_nas.data import ParsingData, check, write_synthetic_events
from avhash_nas.errors import AvnasError

SMALL = {"classes": 4, "train": 30, "val": 12, "test": 12, "visual_dim": 12, "audio_dim": 10, "frames": 8}


def opened(root, tmp_path):
    return ParsingData(root, cache_dir=tmp_path / "cache").prepare()


def test_the_same_arguments_give_the_same_bits_and_a_clean_dataset(tmp_path):
    first, second = (write_synthetic_events(tmp_path / name, **SMALL) for name in ("first", "second"))
    for name in ("audio.h5", "events/audio.csv", "events/train.csv", "events/text-visual.npy"):
        assert (first / name).read_bytes() == (second / name).read_bytes()
    report = check(first)
    assert report.problems == report.warnings == ()
    assert report.events is not None
    assert report.events.classes == 4


@pytest.mark.parametrize(("unaligned", "agree"), [(0.0, True), (1.0, False)])
def test_modalities_agree_in_aligned_events_only(tmp_path, unaligned, agree):
    data = opened(write_synthetic_events(tmp_path / "set", **SMALL, unaligned=unaligned), tmp_path)
    heard, seen = data.events.truth[data.splits["test"]].swapaxes(0, 1)
    assert (heard == seen).all() == agree
    assert agree or not (heard & seen).any()


def test_an_events_direction_is_in_the_features_while_it_is_on(tmp_path):
    data = opened(write_synthetic_events(tmp_path / "set", **SMALL, noise=0.0, text_noise=0.0), tmp_path)
    batch = data.batch(data.splits["test"])
    for number, features in enumerate((batch.audio, batch.visual)):
        assert ((features.norm(dim=2) > 1e-3) == batch.events.truth[:, number].any(dim=2)).all()


def test_pseudo_labels_are_the_truth_with_flips_cut_to_the_weak_label(tmp_path):
    events = opened(write_synthetic_events(tmp_path / "set", **SMALL, flips=0.25), tmp_path).events
    rest = slice(30, None)  # the truth of training videos is not kept
    wrong = (events.pseudo != events.truth)[rest][np.broadcast_to(events.weak[rest, None, None], (24, 2, 8, 4))]
    assert 0.15 < wrong.mean() < 0.35
    assert not (events.pseudo & ~events.weak[:, None, None]).any()


def test_command(tmp_path, capsys):
    numbers = [f"--{name}={value}" for name, value in SMALL.items()]
    assert main(["synth", "--events", f"--out={tmp_path / 'set'}", *numbers, "--unaligned=0.5"]) == 0
    assert main(["data", "check", str(tmp_path / "set")]) == 0
    assert "events of 4 classes" in capsys.readouterr().out
    assert main(["synth", "--events", f"--out={tmp_path / 'set'}", *numbers]) == 2


@pytest.mark.parametrize("wrong", [{"classes": 2}, {"unaligned": 1.5}, {"noise": -1.0}, {"frames": 3}])
def test_numbers_out_of_range(tmp_path, wrong):
    with pytest.raises(AvnasError, match=next(iter(wrong))):
        write_synthetic_events(tmp_path / "set", **{**SMALL, **wrong})
