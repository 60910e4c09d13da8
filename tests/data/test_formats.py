"""Conversion from what the field has on disk, and back; the inputs are made here."""

import json
import pickle
import tarfile

import h5py
import numpy as np
import pytest
from scipy.io import savemat
from scipy.sparse import csc_matrix

from avhash_nas.cli import main
from avhash_nas.data import HashingData, check
from avhash_nas.data.formats import (
    Arrays,
    Contents,
    Item,
    Parquet,
    PublishedLayout,
    Stacked,
    WebDataset,
    convert,
    read_labels,
    read_pickle,
)
from avhash_nas.errors import AvnasError

RANDOM = np.random.default_rng(0)
FORMATS = {
    "stacked": Stacked,
    "arrays": Arrays,
    "parquet": Parquet,
    "webdataset": WebDataset,
    "layout": PublishedLayout,
}


def contents(source, reader):
    opened = reader.read(source)
    items = {item.id: (item.splits, set(item.labels), dict(item.features)) for item in opened.items}
    assert len(items) == opened.count
    return set(opened.splits), opened.database, opened.classes, items


def equal(one, other):
    assert one[:3] == other[:3]
    assert set(one[3]) == set(other[3])
    for name, (splits, labels, features) in one[3].items():
        assert (splits, labels) == other[3][name][:2]
        assert set(features) == set(other[3][name][2])
        for modality, vectors in features.items():
            assert vectors.dtype == other[3][name][2][modality].dtype
            assert np.array_equal(vectors, other[3][name][2][modality])


LISTS = {
    "train": ("a,0", "b/x,0,2", "c.d,1", "d,1", "e"),
    "val": ("g,0", "h,1", "i,2"),
    "test": ("j,0", "k,1,2", "l,2"),
}
SETS = {
    "audio": (LISTS, {"classes": ["cat", "big dog", "ü"]}),
    "no val": ({name: LISTS[name] for name in ("train", "test")}, {"lists": {"val": None}, "database": "test"}),
    "pool": ({**LISTS, "pool": ("p,0", "q,1", "r")}, {"lists": {"pool": "pool.txt"}, "database": "pool"}),
}


@pytest.mark.parametrize("described", SETS)
@pytest.mark.parametrize("name", ["stacked", "arrays", "parquet", "webdataset", "layout"])
@pytest.mark.parametrize(("dtype", "audio"), [("float32", True), ("float16", False)])
def test_a_dataset_is_the_same_after_a_round_trip(make_set, tmp_path, name, described, dtype, audio):
    lists, description = SETS[described]
    if name == "stacked" and described == "pool":  # its names have one for the database
        lists, description = (
            {**LISTS, "database": lists["pool"]},
            {"lists": {"database": "database.txt"}, "database": "database"},
        )
    if not audio:
        description = {**description, "files": {"audio": None}}
    root = make_set(lists, description, dtype=dtype)
    with h5py.File(root / "image.h5", "a") as image, h5py.File(root / "audio.h5", "a") as sound:
        for file, dim in ((image, 5), (sound, 3)):
            file["e/vectors"] = RANDOM.standard_normal((4, dim)).astype(dtype)
            if "r" not in file and "r" in "".join(lists.get("pool", lists.get("database", ()))):
                file["r/vectors"] = RANDOM.standard_normal((4, dim)).astype(dtype)
    options = {"arrays": {"visual": "v/{id}.npy", "audio": "a/{id}.npy" if audio else None}}.get(name, {})
    other = FORMATS[name](**options)
    convert(root, PublishedLayout(), tmp_path / "there", other)
    convert(tmp_path / "there", other, tmp_path / "back", PublishedLayout())
    equal(contents(root, PublishedLayout()), contents(tmp_path / "back", PublishedLayout()))
    assert check(tmp_path / "back").problems == ()


def stacked(path, count, dtype="f4", key="feats"):
    values = RANDOM.standard_normal((count, 4, 6)).astype(dtype)
    with h5py.File(path, "w") as file:
        file[key] = values
    return values


def multi_hot(count, classes=3):
    table = np.zeros((count, classes), np.uint8)
    table[np.arange(count), np.arange(count) % classes] = 1
    return table


def test_a_set_whose_training_videos_are_the_database(tmp_path):
    """UCF101 and HMDB51 of S5VH and AutoSSVH."""
    (tmp_path / "ucf").mkdir()
    train = stacked(tmp_path / "ucf/ucf_train_feats.h5", 70)
    test = stacked(tmp_path / "ucf/ucf_test_feats.h5", 9)
    stacked(tmp_path / "ucf/final_train_latent_feats.h5", 3)  # what their preparation leaves
    savemat(tmp_path / "ucf/ucf_train_labels.mat", {"labels": multi_hot(70)})
    savemat(tmp_path / "ucf/ucf_test_labels.mat", {"labels": multi_hot(9).astype(float)})
    assert main(["data", "convert", str(tmp_path / "ucf"), "--from=stacked", "--out", str(tmp_path / "out")]) == 0
    report = check(tmp_path / "out")
    assert not report.problems
    assert (report.splits, report.database, report.classes) == ({"train": 70, "test": 9}, "train", 3)
    data = HashingData(tmp_path / "out", cache_dir=tmp_path / "cache").prepare()
    assert np.array_equal(data.batch(data.splits["train"]).visual, train)
    assert np.array_equal(data.batch(data.splits["test"]).visual, test)
    assert np.array_equal(data.labels[data.splits["test"]], multi_hot(9))


def test_a_set_whose_test_videos_are_queries_and_database(tmp_path):
    """FCVID: training videos without labels, one labeled test file."""
    stacked(tmp_path / "fcv_train_feats.h5", 8)
    stacked(tmp_path / "fcv_test_feats.h5", 6)
    savemat(tmp_path / "fcv_test_labels.mat", {"labels": multi_hot(6)})
    convert(tmp_path, Stacked(), tmp_path / "out", PublishedLayout())
    report = check(tmp_path / "out")
    assert not report.problems
    assert (report.splits, report.database, report.own["test"]) == ({"train": 8, "test": 6}, "test", 6)
    assert report.unlabeled["train"] == 8


def test_a_set_with_a_query_file_in_parts(tmp_path):
    """ActivityNet's names of labels, YFCC's numbered parts."""
    parts = [stacked(tmp_path / f"train_feats_{number}.h5", 2) for number in range(1, 12)]
    stacked(tmp_path / "test_feats.h5", 6)
    query = stacked(tmp_path / "query1000_feats.h5", 3)
    savemat(tmp_path / "re_label.mat", {"re_label": multi_hot(6)})
    savemat(tmp_path / "q_label.mat", {"q_label": multi_hot(3)})
    convert(tmp_path, Stacked(), tmp_path / "out", PublishedLayout())
    splits, database, classes, items = contents(tmp_path / "out", PublishedLayout())
    assert (splits, database, classes) == ({"train", "test", "database"}, "database", ("0", "1", "2"))
    assert np.array_equal(items["test-000002"][2]["visual"], query[2])
    assert np.array_equal(items["train-000021"][2]["visual"], parts[10][1])  # part 11 comes after part 2


def test_files_of_other_names(tmp_path):
    stacked(tmp_path / "x.h5", 4, key="data")
    stacked(tmp_path / "y.h5", 2, key="data")
    savemat(tmp_path / "z.mat", {"whatever": multi_hot(2)})
    command = ["data", "convert", str(tmp_path), "--from=stacked", "--out", str(tmp_path / "out")]
    command += ["--from.features.train=x.h5", "--from.features.test=y.h5", "--from.labels.test=z.mat"]
    assert main(command) == 0
    assert check(tmp_path / "out").splits == {"train": 4, "test": 2}


def test_matlab_7_3_features_and_labels(tmp_path):
    values, table = RANDOM.standard_normal((70, 4, 6)), multi_hot(70).astype(float)
    for name, key, array in (("train_feats.h5", "feats", values), ("train_labels.mat", "labels", table)):
        with h5py.File(tmp_path / name, "w", userblock_size=512) as file:
            file.create_dataset(key, data=array.T).attrs["MATLAB_class"] = np.bytes_("double")
            file.create_group("#refs#")
    stacked(tmp_path / "test_feats.h5", 2)
    items = contents(tmp_path, Stacked())[3]
    assert np.array_equal(items["train-000067"][2]["visual"], values[67])
    assert items["train-000067"][1] == {"1"}


def matlab_sparse(path):
    sparse = csc_matrix(multi_hot(5).astype(float))
    with h5py.File(path, "w") as file:
        group = file.create_group("labels")
        group.attrs["MATLAB_sparse"] = np.uint64(5)
        group["data"], group["ir"], group["jc"] = sparse.data, sparse.indices, sparse.indptr


LABELS = {
    "multi-hot.mat": lambda path: savemat(path, {"labels": multi_hot(5)}),
    "row.mat": lambda path: savemat(path, {"q_label": np.arange(5) % 3}),
    "column.mat": lambda path: savemat(path, {"labels": (np.arange(5) % 3)[:, None].astype(float)}),
    "sparse.mat": lambda path: savemat(path, {"labels": csc_matrix(multi_hot(5).astype(float))}),
    "new-sparse.mat": matlab_sparse,
    "list.pkl": lambda path: path.write_bytes(pickle.dumps([0, 1, 2, 0, 1])),
    "lists.pkl": lambda path: path.write_bytes(pickle.dumps({"labels": [[0], [1], (2,), np.array([0]), [1]]})),
    "array.pkl": lambda path: path.write_bytes(pickle.dumps(multi_hot(5), protocol=2)),
    "vector.npy": lambda path: np.save(path, np.arange(5) % 3),
    "table.npz": lambda path: np.savez(path, labels=multi_hot(5), ids=np.arange(5)),
    "lines.txt": lambda path: path.write_text("0\n1\n2\n0\n1\n"),
}


@pytest.mark.parametrize("name", LABELS)
def test_label_files(tmp_path, name):
    LABELS[name](tmp_path / name)
    assert read_labels(tmp_path / name)[0] == [(0,), (1,), (2,), (0,), (1,)]


def test_rows_without_a_label(tmp_path):
    stacked(tmp_path / "train_feats.h5", 4)
    stacked(tmp_path / "test_feats.h5", 2)
    savemat(tmp_path / "train_labels.mat", {"labels": np.array([[1, 0], [0, 0], [1, 1], [0, 1]])})
    convert(tmp_path, Stacked(), tmp_path / "out", PublishedLayout())
    report = check(tmp_path / "out")
    assert report.unlabeled == {"train": 1, "test": 2}


def test_an_empty_array_is_refused_by_its_name(tmp_path):
    for name, length in (("x", 3), ("y", 0)):
        (tmp_path / f"train/{name}").mkdir(parents=True)
        np.save(tmp_path / f"train/{name}/clip.npy", np.zeros((length, 4) if length else (0,), "f4"))
    with pytest.raises(AvnasError, match=r"train/y/clip.npy: holds float32 of shape \(1, 0\), expected \(T, dim\)"):
        convert(tmp_path, Arrays("{id}/clip.npy"), tmp_path / "out", PublishedLayout())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("protocol", range(6))
def test_pickles_of_plain_values(tmp_path, protocol):
    value = {"a": [1, 2.5, "x", b"y", None, True, {3}], "b": np.arange(6.0).reshape(2, 3).T, "c": np.float32(1)}
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(value, protocol=protocol))
    read = read_pickle(tmp_path / "x.pkl")
    assert (read["a"], read["c"]) == (value["a"], value["c"])
    assert np.array_equal(read["b"], value["b"])


class Evil:
    def __reduce__(self):
        return print, ("run",)


@pytest.mark.parametrize("value", [Evil(), [np.array([Evil()], object)], json.loads], ids=["call", "array", "function"])
def test_pickles_of_anything_else_are_refused(tmp_path, value, capsys):
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(value))
    with pytest.raises(
        AvnasError, match=r"x.pkl: not a pickle of plain values and arrays: holds (builtins.print|json)"
    ):
        read_pickle(tmp_path / "x.pkl")
    assert "run" not in capsys.readouterr().out


def test_a_folder_of_arrays_of_any_length(tmp_path):
    """As video_features writes: ID_STREAM.npy, beside times and rates."""
    lengths = {"train/cat/a_b": 3, "train/dog/c": 7, "val/cat/d": 4, "test/dog/e": 1}
    for name, length in lengths.items():
        for key, width in (("clip", 6), ("vggish", 2)):
            path = tmp_path / "in" / f"{name}_{key}.npy"
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, np.arange(length)[:, None] + np.zeros((length, width), "f4"))
        np.save(tmp_path / "in" / f"{name}_timestamps_ms.npy", np.arange(length))
    command = ["data", "convert", str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--from=arrays"]
    command += ["--from.visual={id}_clip.npy", "--from.audio={id}_vggish.npy"]
    assert main(command) == 2
    assert main([*command, "--from.frames=4"]) == 0
    items = contents(tmp_path / "out", PublishedLayout())[3]
    assert {name: item[1] for name, item in items.items()} == {name: {name.split("/")[1]} for name in lengths}
    steps = {name: item[2]["visual"][:, 0].tolist() for name, item in items.items()}
    assert steps == {
        "train/cat/a_b": [0, 1, 1, 2], "train/dog/c": [0, 2, 4, 6], "val/cat/d": [0, 1, 2, 3], "test/dog/e": [0] * 4,
    }  # fmt: skip
    assert items["test/dog/e"][2]["audio"].shape == (4, 2)


def test_shards_of_others_are_read_and_their_pickles_are_not(tmp_path):
    import io

    with tarfile.open(tmp_path / "train-0.tar", "w") as shard:
        for number in range(2):
            buffer = io.BytesIO()
            np.save(buffer, np.full((2, 3), number, "f4"))
            for name, data in (("visual.npy", buffer.getvalue()), ("cls", b"7"), ("pkl", pickle.dumps(Evil()))):
                member = tarfile.TarInfo(f"clip{number}.{name}")
                member.size = len(data)
                shard.addfile(member, io.BytesIO(data))
    splits, database, classes, items = contents(tmp_path / "train-0.tar", WebDataset())
    assert (splits, database, classes) == ({"train"}, "train", ("7",))
    assert items["clip1"][2]["visual"].tolist() == [[1, 1, 1]] * 2


def test_tables_of_others_are_read(tmp_path):
    import pyarrow as arrow
    import pyarrow.parquet

    features = [[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]]]
    table = arrow.table({"video": ["a", "b"], "clip": features, "class": [3, 4]})
    arrow.parquet.write_table(table, tmp_path / "train-00000-of-00001.parquet")
    splits, _, classes, items = contents(tmp_path, Parquet(id="video", visual="clip", labels="class"))
    assert (splits, classes) == ({"train"}, ("3", "4"))
    assert items["b"][2]["visual"].tolist() == features[1]


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x"])
def test_no_file_is_written_outside_of_the_folder(tmp_path, name):
    item = Item(name, ("train",), (), {"visual": np.zeros((2, 3), "f4")})
    (tmp_path / "out").mkdir()
    with pytest.raises(AvnasError, match="its file would lie outside of the folder"):
        Arrays().write(Contents(("train",), "train", (), 1, iter([item])), tmp_path / "out")


@pytest.mark.parametrize("name", ["a,0", " a", "a/", "a\nb"])
def test_ids_that_a_list_cannot_hold_are_refused(tmp_path, name):
    item = Item(name, ("train",), (), {"visual": np.zeros((2, 3), "f4")})
    with pytest.raises(AvnasError, match="an id cannot hold commas"):
        PublishedLayout().write(Contents(("train",), "train", (), 1, iter([item])), tmp_path)


def test_only_a_converted_dataset_is_replaced(make_set, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("all of it")
    with pytest.raises(AvnasError, match="is no dataset that was converted"):
        convert(make_set(), PublishedLayout(), tmp_path / "mine", Parquet(), overwrite=True)
    assert (tmp_path / "mine/thesis.txt").exists()


def test_bad_input_is_one_line_and_leaves_nothing(tmp_path, capsys):
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    command = ["data", "convert", str(source), "--out", str(out), "--from=stacked"]
    steps = {
        "there is no train_feats.h5; name the files by --from.features.train=PATTERN": lambda: None,
        "there is no test_feats.h5": lambda: stacked(source / "train_feats.h5", 4),
        "test_labels.mat: 3 rows for 2 videos of test_feats.h5": lambda: (
            stacked(source / "test_feats.h5", 2),
            savemat(source / "test_labels.mat", {"labels": multi_hot(3)}),
        ),
    }
    for message, change in steps.items():
        change()
        assert main(command) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert message in line
    (source / "test_labels.mat").unlink()
    assert main(command) == 0
    assert main(command) == 2
    assert "exists; name another folder, or --overwrite" in capsys.readouterr().err
    assert main([*command, "--overwrite"]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]


def test_a_visual_set_without_val_is_fit_by_a_network_of_frames(tmp_path, capsys):
    """The whole way from files as the self-supervised papers publish them to scores."""
    (tmp_path / "fcv").mkdir()
    stacked(tmp_path / "fcv/fcv_train_feats.h5", 24)
    stacked(tmp_path / "fcv/fcv_test_feats.h5", 12)
    savemat(tmp_path / "fcv/fcv_test_labels.mat", {"labels": multi_hot(12)})
    root = str(tmp_path / "set")
    assert main(["data", "convert", str(tmp_path / "fcv"), "--from=stacked", "--out", root]) == 0
    sizes = ["--network.width=12", "--network.size=mini", "--bits=8", "--finetune.epochs=2"]
    where = [
        f"--data.root={root}",
        f"--data.cache_dir={tmp_path / 'cache'}",
        f"--out={tmp_path / 'run'}",
        "--page=false",
    ]
    trainer = ["--trainer.accelerator=cpu", "--data.sampling=shuffled", "--data.sampling.batch_size=12"]
    command = ["fit", "--network=conmh", *sizes, *where, *trainer]
    assert main(command) == 2
    assert "has no val list to score epochs on; give --finetune.keep=last" in capsys.readouterr().err
    assert main([*command, "--finetune.keep=last"]) == 0
    metrics = json.loads((tmp_path / "run/metrics.json").read_text())
    assert metrics["test"]["map@5"]
    assert "val" not in metrics
    assert main([*command, "--finetune.keep=last", "--network.modality=audio", f"--out={tmp_path / 'other'}"]) == 2
    assert "has no audio features, which ConMH reads" in capsys.readouterr().err
