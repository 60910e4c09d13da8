import json

import numpy as np
import pytest

from avhash_nas.errors import AvnasError
from avhash_nas.extraction import AST, CLIP, Clip, ColorGradients, Extraction, LogMel, read_clip
from extraction.checkpoints import save_clip
from media.make import make_video

CLIP_OF_NOISE = Clip(
    np.random.default_rng(0).integers(0, 256, (3, 20, 30, 3), np.uint8),
    np.random.default_rng(1).uniform(-1, 1, (3, 800)).astype(np.float32),
    2.0,
)


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return make_video(tmp_path_factory.mktemp("video") / "a.mp4", seconds=1.0)


def written_and_read(extraction):
    return Extraction.from_dict(json.loads(json.dumps(extraction.to_dict())))


def test_restored_extraction_gives_the_same_features(tiny_clip, tiny_ast, video):
    extraction = Extraction(CLIP(str(tiny_clip)), AST(str(tiny_ast)), steps=4)
    once, again = extraction.features(video), written_and_read(extraction).features(video)
    assert once.visual.shape == (4, 12)
    assert once.audio.shape == (4, 16)
    np.testing.assert_array_equal(once.visual, again.visual)
    np.testing.assert_array_equal(once.audio, again.audio)


def test_features_equal_those_of_the_extractors(video):
    clip = read_clip(video, steps=4)
    found = Extraction(ColorGradients(), LogMel(), steps=4).features(video)
    np.testing.assert_array_equal(found.visual, ColorGradients()(clip.frames))
    np.testing.assert_array_equal(found.audio, LogMel()(clip.segments))
    assert found.seconds == clip.seconds == pytest.approx(1.0)


def test_other_weights_are_rejected(tiny_clip, tmp_path, video):
    described = Extraction(CLIP(str(tiny_clip)), LogMel(), steps=2).to_dict()
    described["visual"]["arguments"]["checkpoint"] = str(save_clip(tmp_path, seed=1))
    other = Extraction.from_dict(described)
    with pytest.raises(AvnasError, match=r"visual extractor CLIP .* its weights are [0-9a-f]{16}, and the features"):
        other.prepare()
    with pytest.raises(AvnasError, match="load the same weights"):
        other.features(video)


def test_same_weights_in_another_folder_are_accepted(tiny_clip, tmp_path, video):
    described = Extraction(CLIP(str(tiny_clip)), LogMel(), steps=2).to_dict()
    described["visual"]["arguments"]["checkpoint"] = str(save_clip(tmp_path))
    assert Extraction.from_dict(described).features(video).visual.shape == (2, 12)


def test_from_dict_loads_no_weights(tiny_clip, tmp_path):
    described = Extraction(CLIP(str(tiny_clip)), LogMel()).to_dict()
    described["visual"]["arguments"]["checkpoint"] = str(tmp_path / "gone")
    extraction = Extraction.from_dict(described)
    assert extraction.to_dict() == described
    with pytest.raises(AvnasError, match="there is no such folder"):
        extraction.prepare()


def test_missing_sound_gives_zeros_without_the_model(tmp_path):
    class Deaf(LogMel):
        def __call__(self, segments):
            raise AssertionError

    silent = Clip(CLIP_OF_NOISE.frames, np.zeros((3, 800), np.float32), 2.0, ("no_audio",))
    found = Extraction(ColorGradients(), Deaf()).of_clip(silent)
    assert found.audio.shape == (3, LogMel().dim)
    assert not found.audio.any()
    assert found.notes == ("no_audio",)


def test_float16_queries_equal_stored_features():
    exact, half = (
        Extraction(ColorGradients(), LogMel(), dtype=dtype).of_clip(CLIP_OF_NOISE) for dtype in ("float32", "float16")
    )
    for name in ("visual", "audio"):
        rounded = getattr(exact, name).astype(np.float16)
        assert getattr(half, name).dtype == np.float32
        np.testing.assert_array_equal(getattr(half, name), rounded.astype(np.float32))
        assert (getattr(half, name) != getattr(exact, name)).any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "format 2 is not 1"),
        ({"visual": {"class": "no.such.Class", "arguments": {}, "weights": ""}}, "'no.such.Class' cannot be imported"),
        (
            {"visual": {"class": "pathlib.Path", "arguments": {}, "weights": ""}},
            "Path is not a subclass of Visual",
        ),
        (
            {"audio": {"class": "avhash_nas.extraction.LogMel", "arguments": {"x": 1}, "weights": ""}},
            "the record is invalid",
        ),
        ({"audio": 3}, "the record is invalid"),
        ({"steps": 0}, "steps=0 must be at least 1"),
        ({"steps": "x"}, "the record is invalid"),
        ({"dtype": "int8"}, "dtype='int8' must be float32 or float16"),
    ],
)
def test_invalid_record_is_one_error_line(change, message):
    described = Extraction(ColorGradients(), LogMel()).to_dict() | change
    with pytest.raises(AvnasError, match=message):
        Extraction.from_dict(described)


def test_extractor_of_the_other_modality_is_rejected():
    described = Extraction(ColorGradients(), LogMel()).to_dict()
    described["visual"], described["audio"] = described["audio"], described["visual"]
    with pytest.raises(AvnasError, match="LogMel is not a subclass of VisualExtractor"):
        Extraction.from_dict(described)
