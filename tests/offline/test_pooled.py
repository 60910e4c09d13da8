from functools import partial
from pathlib import Path

import numpy as np
import pytest

from avhash_nas.data import HashingData
from avhash_nas.errors import AvnasError
from avhash_nas.networks import side_by_side
from avhash_nas.offline import pooled_features


@pytest.fixture(scope="module")
def data(tiny_data: Path, tiny_cache: Path) -> HashingData:
    return HashingData(tiny_data, tiny_cache).prepare()


@pytest.mark.parametrize("modalities", [("visual", "audio"), ("visual",), ("audio",)])
def test_means_over_time_do_not_depend_on_the_pieces(data, modalities, monkeypatch):
    rows = data.splits["train"][::-1].copy()
    batch = data.batch(rows)
    alone = batch.visual if modalities == ("visual",) else batch.audio
    wanted = (side_by_side(batch.visual, batch.audio) if len(modalities) == 2 else alone).mean(1)
    whole = pooled_features(data, rows, modalities)
    monkeypatch.setattr(data, "pieces", partial(data.pieces, videos=7))
    assert np.array_equal(pooled_features(data, rows, modalities), whole)
    assert whole.dtype == np.float32
    assert np.allclose(whole, wanted.numpy(), atol=1e-6)


def test_no_modality_is_refused(data):
    with pytest.raises(AvnasError, match="expected visual, audio or both, got none"):
        pooled_features(data, data.splits["train"], ())
