"""Codes of whole folders: the same whatever the batch size and the number of ranks, and of every video there is."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from avhash_nas.baselines import MeanPoolMLP
from avhash_nas.code_set import CodeSet
from avhash_nas.data import FeatureFolder, HashingData
from avhash_nas.errors import AvnasError
from avhash_nas.networks import AudioVisualNetwork, HashNetwork
from avhash_nas.space import load_space
from avhash_nas.training.encoding import encode, quiet_trainer
from avhash_nas.training.rounding import near_zero
from distributed import encoding
from distributed.processes import Ranks


@pytest.fixture(scope="module")
def videos(tiny_data: Path, tiny_cache: Path) -> HashingData:
    return HashingData(tiny_data, cache_dir=tiny_cache).prepare()


@pytest.fixture(scope="module")
def doubtful(videos: HashingData, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, torch.Tensor]:
    """A network in whose codes bit j of video j is zero but for rounding, and the values in double precision."""
    torch.manual_seed(0)
    network = AudioVisualNetwork(8, 6, 16, load_space("arch-1"), width=8, heads=2, states=4).eval()
    batch = videos.batch(np.arange(len(videos.ids)))
    exact = AudioVisualNetwork.from_arguments(network.arguments()).eval().double()
    with torch.no_grad():
        for _ in range(2):  # once more for what rounding the bias to float32 leaves
            exact.load_state_dict(network.state_dict())
            values = exact(batch.visual.double(), batch.audio.double())
            network.hash.fc.bias -= values[:16].atanh().diagonal().float()
        exact.load_state_dict(network.state_dict())
        values = exact(batch.visual.double(), batch.audio.double())
    folder = tmp_path_factory.mktemp("doubtful")
    network.save_pretrained(folder)
    return folder, values


def test_codes_are_the_same_whatever_the_batch_size_and_the_number_of_ranks(
    doubtful: tuple[Path, torch.Tensor],
    videos: HashingData,
    tiny_data: Path,
    tiny_cache: Path,
    three_ranks: Ranks,
) -> None:
    model, exact = doubtful
    alone = [encoding.encoded(0, model, tiny_data, tiny_cache, size) for size in (1, 7, 64)]
    together = three_ranks.run(encoding.encoded, model, tiny_data, tiny_cache, 7)
    assert all((each.packed == together[0].packed).all() for each in together)
    signs = exact.numpy() >= 0
    for codes in (*alone, together[0]):
        assert list(codes.ids) == list(videos.ids)
        within = codes.notes["rounding"]
        doubt = np.abs(exact.numpy()) <= within
        bits = np.unpackbits(codes.packed, axis=1).astype(bool)
        assert (bits == signs)[~doubt].all()
        assert codes.values is not None
        assert ((codes.values >= 0) == bits).all()
        assert doubt.diagonal().all()
        assert 16 <= codes.notes["near_zero"]["values"] < 32
        assert set(videos.ids[:16]) <= set(codes.notes["near_zero"]["ids"])
        assert 0 < within < 1e-5
        np.testing.assert_allclose(codes.values, exact, rtol=2**-10, atol=within)
        assert codes.frames is not None
        assert alone[0].frames is not None
        np.testing.assert_allclose(codes.frames, alone[0].frames, rtol=2**-9, atol=1e-5)


def write_features(root: Path, seen: str, heard: str | None = None) -> Path:
    """A folder without lists: a video for each letter, of 3 time steps."""
    random = np.random.default_rng(0)
    root.mkdir()
    for name, dim, ids in (("image.h5", 8, seen), ("audio.h5", 6, seen if heard is None else heard)):
        with h5py.File(root / name, "w") as file:
            for video in ids:
                file.create_group(video)["vectors"] = random.standard_normal((3, dim)).astype(np.float32)
    return root


@pytest.fixture
def mlp() -> MeanPoolMLP:
    torch.manual_seed(0)
    return MeanPoolMLP(8, 6, 16, hidden=8).eval()


def test_a_video_that_two_ranks_get_comes_once(mlp: MeanPoolMLP, tmp_path: Path, three_ranks: Ranks) -> None:
    """Each rank gets two batches of one video, and there are four videos."""
    root = write_features(tmp_path / "set", "dbca")
    mlp.save_pretrained(tmp_path)
    one = encoding.encoded(0, tmp_path, root, tmp_path, 1)
    assert one.ids.tolist() == list("abcd")
    for codes in three_ranks.run(encoding.encoded, tmp_path, root, tmp_path, 1):
        assert codes.ids.tolist() == list("abcd")
        assert (codes.packed == one.packed).all()


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_split_has_its_labels_and_the_codes_that_the_network_gives(
    split: str, mlp: MeanPoolMLP, videos: HashingData, tiny_data: Path, tiny_cache: Path
) -> None:
    rows = videos.splits[split]
    codes = encode(mlp, FeatureFolder(tiny_data, split, cache_dir=tiny_cache))
    assert codes.ids.tolist() == [videos.ids[row] for row in rows]
    batch = videos.batch(rows)
    assert (codes.packed == mlp.encode(batch.visual, batch.audio).numpy()).all()
    assert codes.fingerprint == mlp.fingerprint()
    assert codes.labels is not None
    assert (codes.labels == videos.labels[rows]).all()
    assert codes.class_names == videos.class_names
    assert codes.notes["split"] == split
    assert codes.frames is None


def test_the_cache_is_that_of_a_run(videos: HashingData, mlp: MeanPoolMLP, tiny_data: Path, tiny_cache: Path) -> None:
    before = sorted(tiny_cache.iterdir())
    for split in ("test", None):
        FeatureFolder(tiny_data, split, cache_dir=tiny_cache)
    assert sorted(tiny_cache.iterdir()) == before


def test_a_folder_without_lists_is_encoded_whole(mlp: MeanPoolMLP, tmp_path: Path) -> None:
    root = write_features(tmp_path / "set", "bca")
    (root / "extraction.json").write_text(json.dumps({"steps": 3}))
    codes = encode(mlp, FeatureFolder(root, cache_dir=tmp_path))
    assert codes.ids.tolist() == ["a", "b", "c"]
    assert codes.labels is None
    assert codes.class_names == ()
    assert codes.extraction == {"steps": 3}
    with pytest.raises(AvnasError, match="no list of a split 'test'; there are no lists"):
        FeatureFolder(root, "test", cache_dir=tmp_path)


def test_videos_that_no_list_names_come_last_and_have_no_labels(mlp: MeanPoolMLP, tmp_path: Path) -> None:
    root = write_features(tmp_path / "set", "abcde")
    (root / "test.txt").write_text("d,1\nb,0\n")
    (root / "val.txt").touch()
    codes = encode(mlp, FeatureFolder(root, cache_dir=tmp_path))
    assert codes.ids.tolist() == list("dbace")
    assert codes.labels is not None
    assert codes.labels.tolist() == [[False, True], [True, False], *[[False, False]] * 3]
    assert encode(mlp, FeatureFolder(root, "test", cache_dir=tmp_path)).ids.tolist() == ["d", "b"]


@pytest.mark.parametrize(
    ("seen", "heard", "message"),
    [
        ("abcdef", "ab", "audio.h5: 4 videos of image.h5 are not in it: c, d, e, ..."),
        ("ab", "abc", "image.h5: 1 videos of audio.h5 are not in it: c"),
        ("", "", "holds no video"),
    ],
)
def test_feature_files_that_hold_different_videos_are_refused(
    seen: str, heard: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(AvnasError, match=message):
        FeatureFolder(write_features(tmp_path / "set", seen, heard), cache_dir=tmp_path)


def test_what_does_not_fit_is_refused_before_anything_is_encoded(
    mlp: MeanPoolMLP, tiny_data: Path, tiny_cache: Path
) -> None:
    folder = FeatureFolder(tiny_data, cache_dir=tiny_cache)
    with pytest.raises(AvnasError, match="width 8 and 6 do not fit the network, which takes 9 and 6"):
        encode(MeanPoolMLP(9, 6, 16, hidden=8), folder)
    with pytest.raises(AvnasError, match="supernet"):
        encode(AudioVisualNetwork(8, 6, 16, load_space("full"), width=8, heads=2), folder)
    for wrong in ({"batch_size": 0}, {"workers": -1}):
        with pytest.raises(AvnasError, match=next(iter(wrong))):
            FeatureFolder(tiny_data, cache_dir=tiny_cache, **wrong)  # type: ignore[arg-type]


def test_rounding_is_measured_in_the_precision_that_is_used(
    mlp: MeanPoolMLP, tiny_data: Path, tiny_cache: Path
) -> None:
    fingerprint, folder = mlp.fingerprint(), FeatureFolder(tiny_data, cache_dir=tiny_cache)
    full = encode(mlp, folder)
    half = encode(mlp, folder, quiet_trainer(accelerator="cpu", precision="bf16-true"))
    assert half.fingerprint == full.fingerprint == fingerprint
    assert full.notes["rounding"] < 1e-6 < 1e-4 < half.notes["rounding"]
    assert half.notes["near_zero"]["values"] > full.notes["near_zero"]["values"] == 0


def test_values_near_zero_are_counted_by_hand() -> None:
    values = np.array([[0.5, -1e-6, 0.0], [0.1, 0.2, -0.3], [2e-6, 0.5, 0.5]], np.float16)
    ids = np.array(["a", "b", "c"])
    assert near_zero(values, ids, 1.5e-6) == {"values": 2, "videos": 1, "ids": ["a"]}
    assert near_zero(values, ids, 1e-3) == {"values": 3, "videos": 2, "ids": ["a", "c"]}
    assert near_zero(values, ids, 0.0) == {"values": 1, "videos": 1, "ids": ["a"]}


def test_a_run_left_the_codes_that_encoding_gives(unbroken: Path, tiny_data: Path, tiny_cache: Path) -> None:
    network = HashNetwork.from_pretrained(unbroken / "model")
    for role, split in (("query", "test"), ("database", "train")):
        kept = CodeSet.load(unbroken / "codes" / f"{role}.npz")
        again = encode(network, FeatureFolder(tiny_data, split, batch_size=5, cache_dir=tiny_cache))
        assert (again.ids == kept.ids).all()
        assert kept.values is not None
        differ = np.unpackbits(again.packed ^ kept.packed, axis=1).astype(bool)
        assert (np.abs(kept.values[differ]) <= again.notes["rounding"]).all()
