"""`avnas index` and `avnas query`, in one process; one test goes through the program itself."""

import json
import subprocess
import sys

import numpy as np
import pytest

from avhash_nas.cli import main
from avhash_nas.code_set import CodeSet
from avhash_nas.data.media import Media, write_media
from avhash_nas.retrieval import HNSW, open_store
from forking import finished_command
from retrieval.backends import codes_of

pytest.importorskip("faiss")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Two files of codes in the working folder: 30 videos and 5 more."""
    monkeypatch.chdir(tmp_path)
    codes_of([f"v{number}" for number in range(30)], spread=64).save("codes.npz")
    codes_of([f"w{number}" for number in range(5)], seed=1, spread=64).save("more.npz")
    return tmp_path


def avnas(*arguments):
    return main([str(argument) for argument in arguments])


def refused(capsys, *arguments):
    """What a refused command prints."""
    capsys.readouterr()
    try:
        code = avnas(*arguments)
    except SystemExit as error:
        code = error.code
    assert code == 2
    line = capsys.readouterr().err.strip()
    assert "\n" not in line
    return line


def test_the_life_of_an_index(folder, capsys):
    assert avnas("index", "--codes", "codes.npz", "--store", "x.avnas") == 0
    assert "x.avnas: 30 videos, 12 bits, network 0123456789abcdef, flat" in capsys.readouterr().out
    assert "v0 is there already; --replace" in refused(
        capsys, "index", "add", "--codes", "codes.npz", "--store", "x.avnas"
    )
    assert avnas("index", "add", "--codes", "more.npz", "--store", "x.avnas") == 0
    assert "35 videos" in capsys.readouterr().out
    assert avnas("index", "add", "--codes", "codes.npz", "more.npz", "--store", "x.avnas", "--replace") == 0
    assert "0 added, 35 replaced" in capsys.readouterr().out
    (folder / "ids.txt").write_text("v1\n\nnobody\n")
    arguments = ("--ids", "v0", "v1", "--ids_file", "ids.txt")
    assert avnas("index", "remove", "--store", "x.avnas", *arguments) == 0
    assert "33 videos, 12 bits" in (told := capsys.readouterr().out)
    assert "2 removed, 1 were not there" in told
    assert avnas("index", "show", "--store", "x.avnas", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["videos"] == 33
    assert shown["bytes"] == (folder / "x.avnas").stat().st_size
    assert (shown["kind"], shown["values"], shown["frames"]) == ("flat", True, [3, 5])
    assert avnas("index", "show", "--store", "x.avnas") == 0
    assert "0123456789abcdef" in capsys.readouterr().out
    assert not list(folder.glob("*.lock")) + list(folder.glob("*.partial"))


def test_kinds_and_what_is_kept_are_options(folder, capsys):
    options = ("--kind=hnsw", "--kind.m=5", "--values=false", "--frames=false")
    assert avnas("index", "build", "--store", "x.avnas", "--codes", "codes.npz", "more.npz", *options) == 0
    store = open_store("x.avnas")
    assert len(store) == 35
    assert isinstance(store.header.kind, HNSW)
    assert store.header.kind.m == 5
    assert (store.header.values, store.header.frames) == (False, None)
    assert "there is an index already" in refused(capsys, "index", "--codes", "codes.npz", "--store", "x.avnas")
    assert avnas("index", "--codes", "codes.npz", "--store", "x.avnas", "--replace", "--kind=ivf") == 0
    assert len(open_store("x.avnas")) == 30


def test_the_same_commands_for_milvus(folder, capsys):
    pytest.importorskip("milvus_lite")
    store = "milvus:codes.db#videos"
    assert avnas("index", "--codes", "codes.npz", "--store", store) == 0
    assert avnas("index", "add", "--codes", "more.npz", "--store", store) == 0
    assert avnas("index", "remove", "--ids", "v0", "--store", store) == 0
    assert avnas("index", "show", "--store", store, "--json") == 0
    out = capsys.readouterr().out
    assert json.loads(out[out.index("\n{") :])["videos"] == 34
    assert avnas("query", "--store", store, "--id", "w1", "--top", "3", "--json", "--rerank=values") == 0
    assert len(json.loads(capsys.readouterr().out)) == 3
    assert "searches exactly" in refused(
        capsys, "index", "--codes", "codes.npz", "--store", "milvus:codes.db#other", "--kind=ivf"
    )


def test_answers_of_a_query(folder, capsys):
    assert avnas("index", "--codes", "codes.npz", "--store", "x.avnas") == 0
    codes = CodeSet.load("codes.npz")
    write_media("features", [Media(video, f"videos/{video}.mp4") for video in codes.ids[:20]])
    capsys.readouterr()
    code = codes.packed[4].tobytes().hex()
    queries = {"--id": "v4", "--code": code}
    for option, value in queries.items():
        arguments = ("--store", "x.avnas", option, value, "--top", "30", "--features", "features", "--json")
        assert avnas("query", *arguments) == 0
        answers = json.loads(capsys.readouterr().out)
        distances = np.bitwise_count(codes.packed ^ codes.packed[4]).sum(1)
        assert [answer["rank"] for answer in answers] == list(range(1, len(answers) + 1))
        assert [answer["distance"] for answer in answers] == sorted(answer["distance"] for answer in answers)
        for answer in answers:
            row = int(answer["id"].removeprefix("v"))
            assert answer["distance"] == distances[row]
            assert answer["labels"] == [codes.class_names[column] for column in codes.labels[row].nonzero()[0]]
            assert answer["path"] == (str(folder / "features" / f"videos/v{row}.mp4") if row < 20 else None)
        assert ("v4" in [answer["id"] for answer in answers]) == (option == "--code")
    assert avnas("query", "--store", "x.avnas", "--id", "v4", "--itself", "--rerank=values", "--json") == 0
    first = json.loads(capsys.readouterr().out)[0]
    assert first["id"] == "v4"
    assert first["score"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--id", "nobody"), "holds no video 'nobody'"),
        (("--code", "zz"), "is not hexadecimal"),
        (("--code", "0102ff"), "24 bits; x.avnas holds codes of 12 bits, 4 hexadecimal digits"),
        (("--id", "v1", "--code", "0102"), "give one of --video FILE, --id ID, --text WORDS and --code HEX"),
        ((), "give one of --video FILE, --id ID, --text WORDS and --code HEX"),
        (("--video", "a.mp4"), "--video needs --run or --model"),
        (("--video", "a.mp4", "--model", "m"), "there is no such file"),
        (("--id", "v1", "--top", "0"), "--top must be at least 1"),
        (("--code", "0102", "--rerank=values"), "--code goes without --rerank"),
        (("--id", "v1", "--features", "."), "no videos.csv"),
        (("--id", "v1", "--rerank=nothing"), "there is no 'nothing'"),
    ],
)
def test_bad_queries_are_one_line(folder, capsys, arguments, words):
    assert avnas("index", "--codes", "codes.npz", "--store", "x.avnas", "--frames=false") == 0
    capsys.readouterr()
    assert words in refused(capsys, "query", "--store", "x.avnas", *arguments)


def test_bad_indexes_are_one_line(folder, capsys):
    codes_of(["a"], fingerprint="f" * 16).save("other.npz")
    build = ("index", "build", "--store", "x.avnas", "--codes")
    assert "other.npz: 12 bits of network ffff" in refused(capsys, *build, "codes.npz", "other.npz")
    assert "video v0 comes twice" in refused(capsys, *build, "codes.npz", "codes.npz")
    assert "none.npz: no such file" in refused(capsys, *build, "none.npz")
    assert "nlist 99 is more than there are codes" in refused(
        capsys, *build, "codes.npz", "--kind=ivf", "--kind.nlist=99"
    )
    assert "m must be at least 2" in refused(capsys, *build, "codes.npz", "--kind=hnsw", "--kind.m=1")
    assert "there is no 'annoy'" in refused(capsys, *build, "codes.npz", "--kind=annoy")
    assert "codes.npz: not an index" in refused(capsys, "index", "show", "--store", "codes.npz")
    assert "there is no 'forget'" in refused(capsys, "index", "forget", "--store", "x.avnas")
    assert "ends with .db" in refused(capsys, "index", "show", "--store", "milvus:codes")
    assert not (folder / "x.avnas").exists()


def test_the_program_itself(folder):
    assert avnas("index", "--codes", "codes.npz", "--store", "x.avnas") == 0
    query = [sys.executable, "-m", "avhash_nas", "query", "--store", "x.avnas", "--id", "v7", "--top", "2"]
    done = subprocess.run(query, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "distance of 12" in done.stdout
    assert done.stdout.count("│ v") == 2 or done.stdout.count("| v") == 2
    wrong = finished_command("query", "--store", "none.avnas", "--id", "v7")
    assert wrong.returncode == 2
    assert wrong.stderr == "avnas query: error: none.avnas: no such index; `avnas index build` makes one\n"
