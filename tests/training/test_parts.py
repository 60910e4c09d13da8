"""Recipe, augmentation, files, stop requests and run folders: the parts of a stage, each by itself."""

import errno
import signal
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from avhash_nas.data.batch import Batch
from avhash_nas.errors import AvnasError
from avhash_nas.files import write_json, write_whole
from avhash_nas.pipeline import RunFolder
from avhash_nas.pipeline.evaluate import scores_by_k
from avhash_nas.random_streams import seeded
from avhash_nas.training import Augmentation, Interrupted, Recipe
from avhash_nas.training.augmentation import segment_steps
from avhash_nas.training.checkpoint import StageCheckpoint, StopRequest, stop_requests
from avhash_nas.training.tensors import read_tensors, write_tensors


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("epochs", 0), ("lr", 0.0), ("lr", -1.0), ("body_lr", 0.0), ("weight_decay", -0.1), ("eps", 0.0)),
        *(("warmup", 1.0), ("warmup", -0.1), ("average", 1.0), ("average", -0.1), ("patience", -1)),
        *(("lr", float("nan")), ("warmup", float("nan"))),
    ],
)
def test_a_recipe_refuses_what_lies_outside_its_range(name: str, value: float) -> None:
    with pytest.raises(AvnasError, match=f"{name} is out of range: {value}"):
        Recipe(**{name: value})  # type: ignore[arg-type]


@given(st.floats(0, 1), st.floats(0, 0.99), st.sampled_from(["constant", "cosine"]))
def test_the_schedule_stays_within_0_and_1(done: float, warmup: float, schedule: Any) -> None:
    assert 0 <= Recipe(schedule=schedule, warmup=warmup).lr_multiplier(done) <= 1


@given(st.floats(0.01, 0.99), st.sampled_from(["constant", "cosine"]))
def test_the_schedule_is_continuous_at_the_end_of_warmup(warmup: float, schedule: Any) -> None:
    recipe = Recipe(schedule=schedule, warmup=warmup)
    assert recipe.lr_multiplier(warmup) == 1
    assert recipe.lr_multiplier(warmup * (1 - 1e-9)) == pytest.approx(1, abs=1e-6)


def test_values_of_the_schedule() -> None:
    cosine = Recipe(schedule="cosine", warmup=0.2)
    values = [cosine.lr_multiplier(done) for done in (0, 0.1, 0.2, 0.4, 0.6, 1)]
    assert values == pytest.approx([0, 0.5, 1, (1 + 0.5**0.5) / 2, 0.5, 0])
    constant = Recipe(warmup=0.5)
    assert [constant.lr_multiplier(done) for done in (0, 0.25, 0.5, 0.75, 1)] == [0, 0.5, 1, 1, 1]
    assert Recipe().lr_multiplier(0) == 1


@given(st.integers(1, 40), st.data())
def test_one_step_of_each_segment(steps: int, data: st.DataObject) -> None:
    segments = data.draw(st.integers(1, steps))
    drawn = segment_steps(6, steps, segments, torch.device("cpu"))
    assert drawn.shape == (6, segments)
    for segment in range(segments):
        start, end = segment * steps / segments, (segment + 1) * steps / segments
        assert (drawn[:, segment] >= int(start)).all()
        assert (drawn[:, segment] < end).all()
    assert (drawn.diff(dim=1) >= 0).all()


def test_every_step_of_a_segment_is_drawn() -> None:
    drawn = segment_steps(500, 9, 3, torch.device("cpu"))
    assert [sorted(set(column.tolist())) for column in drawn.T] == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]


def numbered(videos: int = 5, steps: int = 9) -> Batch:
    """Features that tell their video and their step."""
    step = torch.arange(videos * steps, dtype=torch.float32).reshape(videos, steps, 1)
    return Batch(
        step.expand(-1, -1, 4), step.expand(-1, -1, 2), torch.ones(videos, 1, dtype=torch.bool), torch.arange(videos)
    )


def test_both_modalities_keep_the_same_steps() -> None:
    batch = Augmentation(frames=4)(numbered())
    assert batch.visual.shape == (5, 4, 4)
    assert batch.audio.shape == (5, 4, 2)
    assert torch.equal(batch.visual[:, :, 0], batch.audio[:, :, 0])
    assert (batch.visual[:, :, 0].diff(dim=1) >= 0).all()
    assert torch.equal(batch.visual[:, :, 0].long() // 9, batch.index[:, None].expand(-1, 4))


@pytest.mark.parametrize("frames", [0, 9, 12])
def test_no_steps_are_dropped_when_there_are_no_more_than_asked_for(frames: int) -> None:
    batch = numbered()
    varied = Augmentation(frames=frames)(batch)
    assert torch.equal(varied.visual, batch.visual)
    assert torch.equal(varied.audio, batch.audio)


def test_noise_is_in_units_of_the_batch() -> None:
    features = torch.randn(64, 9, 32) * 7
    batch = Batch(features, features[:, :, :8] / 70, torch.ones(64, 1, dtype=torch.bool), torch.arange(64))
    varied = Augmentation(noise=0.5)(batch)
    for before, after in ((batch.visual, varied.visual), (batch.audio, varied.audio)):
        assert ((after - before).std() / before.std()).item() == pytest.approx(0.5, rel=0.05)


def test_augmentation_refuses_negative_options() -> None:
    for options in ({"frames": -1}, {"noise": -0.1}):
        with pytest.raises(AvnasError, match="must not be negative"):
            Augmentation(**options)  # type: ignore[arg-type]


def full_disk(*_: object, **__: object) -> NoReturn:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_told_and_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "best.pt"
    write_tensors(path, {"x": torch.ones(3)})

    def half(data: object, file: Path) -> NoReturn:
        file.write_bytes(b"half")
        full_disk()

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(AvnasError, match=r"best\.pt: cannot be written: No space left on device"):
        write_tensors(path, {"x": torch.zeros(3)})
    assert [file.name for file in tmp_path.iterdir()] == ["best.pt"]
    assert torch.equal(read_tensors(path)["x"], torch.ones(3))


def test_torchs_own_error_on_a_full_disk_is_told_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(data: object, file: Path) -> NoReturn:
        file.write_bytes(b"half")
        raise RuntimeError("[enforce fail at inline_container.cc:664] . unexpected pos 64 vs 0")

    monkeypatch.setattr(torch, "save", failing)
    with pytest.raises(AvnasError, match=r"best\.pt: cannot be written"):
        write_tensors(tmp_path / "best.pt", {})
    assert not list(tmp_path.iterdir())


def test_json_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "metrics.json"
    write_json(path, {"a": 1})
    monkeypatch.setattr(Path, "write_text", full_disk)
    with pytest.raises(AvnasError, match="No space left"):
        write_json(path, {"a": 2})
    assert path.read_text() == '{\n  "a": 1\n}\n'
    assert len(list(tmp_path.iterdir())) == 1


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def interrupted(partial: Path) -> NoReturn:
        partial.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_whole(path, interrupted)
    assert path.read_text() == "old"


@pytest.mark.parametrize("content", [b"", b"no tensors", b"PK\x03\x04 half a zip"])
def test_a_damaged_state_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "best.pt"
    path.write_bytes(content)
    with pytest.raises(AvnasError, match=r"best\.pt: cannot be read: .*; remove it to redo this stage"):
        read_tensors(path)


def test_the_first_signal_is_remembered_and_the_second_interrupts() -> None:
    request = StopRequest()
    request.deferred = True
    request(signal.SIGTERM, None)
    assert request.signum == signal.SIGTERM
    with pytest.raises(Interrupted) as stopped:
        request(signal.SIGINT, None)
    assert stopped.value.code == 130


def test_a_signal_interrupts_at_once_where_nothing_can_be_saved() -> None:
    with pytest.raises(Interrupted) as stopped:
        StopRequest()(signal.SIGTERM, None)
    assert stopped.value.code == 143


def test_the_former_handlers_come_back() -> None:
    former = [signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)]
    with stop_requests() as request:
        assert signal.getsignal(signal.SIGTERM) is request
    assert [signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)] == former


def test_seeded_leaves_the_generator_as_it_was() -> None:
    before = torch.random.get_rng_state()
    draws = []
    for _ in range(2):
        with seeded(3):
            draws.append(torch.rand(4))
    assert torch.equal(*draws)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_nest_picks_one_prefix() -> None:
    logged = {
        "val/supernet/map@100_retrieved": 0.5,
        "val/supernet/map@100_k": 0.25,
        "val/derived/map@100_retrieved": 0.125,
        "val/supernet/recall@100": 0.75,
    }
    assert scores_by_k(logged, "val/supernet/") == {"map@100": {"retrieved": 0.5, "k": 0.25}}


def test_a_run_folder_is_written_at_its_begin_only(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.open({"bits": 64, "search": {"epochs": 3}}, overwrite=False)
    assert not folder.path.exists()
    folder.start()
    assert folder.read_options() == {"bits": 64, "search": {"epochs": 3}}
    with pytest.raises(AvnasError, match=r"search\.epochs was 3, now 4"):
        RunFolder(tmp_path / "run").open({"bits": 64, "search": {"epochs": 4}}, overwrite=False)


def test_more_than_three_differences_are_counted(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.open(dict.fromkeys("abcde", 1), overwrite=False)
    folder.start()
    with pytest.raises(AvnasError, match=r"\(a was 1, now 2; b was 1, now 2; c was 1, now 2 and 2 more\)"):
        RunFolder(tmp_path / "run").open(dict.fromkeys("abcde", 2), overwrite=False)


def test_a_run_to_be_overwritten_is_not_finished(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.open({}, overwrite=False)
    folder.start()
    folder.write_metrics({"bits": 16})
    again = RunFolder(tmp_path / "run")
    again.open({}, overwrite=True)
    assert folder.finished
    assert not again.finished
    assert folder.metrics.exists()
    again.start()
    assert not folder.metrics.exists()


def test_a_checkpoint_on_a_full_disk(tmp_path: Path) -> None:
    class Full:
        is_global_zero = True

        def save_checkpoint(self, path: Path) -> NoReturn:
            path.write_bytes(b"half")
            raise RuntimeError("[enforce fail at inline_container.cc:664] . unexpected pos 64 vs 0\nmore")

    (tmp_path / "last.ckpt").write_text("old")
    with pytest.raises(AvnasError, match=r"last\.ckpt: cannot be written: \[enforce"):
        StageCheckpoint(tmp_path).on_train_epoch_end(Full(), None)  # type: ignore[arg-type]
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]
    assert (tmp_path / "last.ckpt").read_text() == "old"
