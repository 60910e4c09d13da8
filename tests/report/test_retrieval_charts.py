"""Charts of a test: retrieval curves, codes, classes and the embedding."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
import torch

from avhash_nas.errors import AvnasError
from avhash_nas.metrics import evaluate, ids_from_names
from avhash_nas.report import svg
from avhash_nas.report.class_scores import class_scores, draw_class_scores
from avhash_nas.report.codes import bit_correlation, distance_histograms, draw_codes
from avhash_nas.report.embedding import choose_videos, draw_embedding
from avhash_nas.report.examples import examples
from avhash_nas.report.retrieval_curves import draw_retrieval_curves
from avhash_nas.results import RunRecord, group_by_method
from report.folders import make_codes, make_run_with_curves


class TestCurves:
    def test_lines_are_means_and_bands_are_ranges(self, tmp_path):
        for seed, precision in enumerate(([1.0, 0.5, 0.2], [0.6, 0.3, 0.2])):
            make_run_with_curves(tmp_path / f"{seed}", seed=seed, precision=precision)
        picture = draw_retrieval_curves(group_by_method(RunRecord(tmp_path / f"{seed}") for seed in (0, 1)))
        (line,) = picture.data["curves"]
        assert (line["K"], line["seeds"]) == ([1, 2, 3], 2)
        np.testing.assert_allclose(line["P@K"]["mean"], [0.8, 0.4, 0.2])
        np.testing.assert_allclose(line["P@K"]["low"], [0.6, 0.3, 0.2])
        np.testing.assert_allclose(line["R@K"]["high"], [1 / 3, 2 / 3, 1])
        assert len(picture.figure.axes) == 3

    def test_each_code_length_has_a_row_and_unfinished_runs_are_named(self, tmp_path):
        records = [
            RunRecord(make_run_with_curves(tmp_path / f"{bits}", bits=bits, precision=[1.0, 0.5])) for bits in (64, 32)
        ]
        records.append(RunRecord(make_run_with_curves(tmp_path / "unfinished", bits=16)))
        picture = draw_retrieval_curves(group_by_method(records))
        assert [axes.get_title() for axes in picture.figure.axes][::3] == ["P@K, 32 bits", "P@K, 64 bits"]
        assert "MeanPoolMLP at 16 bits" in picture.caption

    def test_no_picture_without_curves(self, tmp_path):
        assert draw_retrieval_curves(group_by_method([RunRecord(make_run_with_curves(tmp_path / "run"))])) is None


class TestCodes:
    def test_histograms_count_every_pair_once(self):
        query, database = make_codes(30, several=True), make_codes(300, "database")
        same, other = distance_histograms(query, database)
        signs = [np.unpackbits(each.packed, axis=1) for each in (query, database)]
        expected = np.zeros((2, 17), int)
        for ours, our_labels in zip(signs[0], query.labels):
            for theirs, their_labels in zip(signs[1], database.labels):
                expected[int(not (our_labels & their_labels).any()), (ours != theirs).sum()] += 1
        np.testing.assert_array_equal([same, other], expected)

    def test_a_video_is_no_pair_with_itself(self):
        codes = make_codes(30, several=True)
        both = np.add(*distance_histograms(codes, codes.take(np.arange(10, 20))))
        assert both.sum() == 30 * 10 - 10
        alone = codes.take([7])
        assert np.add(*distance_histograms(alone, alone)).sum() == 0

    def test_an_example_is_not_its_own_answer(self):
        codes = make_codes(12)
        for example in examples(codes, codes, {}, count=12, top=20):
            assert example.query.id not in {each.id for each in example.answers}
            assert len(example.answers) == 11

    def test_correlation_matches_numpy_and_is_0_for_a_constant_bit(self):
        signs = np.sign(np.random.default_rng(0).normal(size=(50, 5))).astype(np.float32)
        np.testing.assert_allclose(bit_correlation(signs), np.corrcoef(signs.T), atol=1e-6)
        signs[:, 2] = 1
        assert bit_correlation(signs)[2].tolist() == [0, 0, 1, 0, 0]

    def test_caption_names_constant_bits(self):
        query, database = make_codes(20), make_codes(40, "database")
        for each in (query, database):
            each.packed[:, 0] |= 0b11000000
        picture = draw_codes(query, database, "a run")
        assert picture.data["balance"][:2] == [1, 1]
        assert int(picture.caption.split(" of 16 bits are the same")[0].split()[-1]) >= 2
        assert sum(picture.data["same"]) + sum(picture.data["other"]) == 800
        ElementTree.fromstring(svg(picture))


class TestClasses:
    def test_class_score_is_that_of_its_queries(self):
        query, database = make_codes(20, noise=0.3, several=True), make_codes(40, "database", noise=0.3)
        found = class_scores(query, database, k=10)
        rows = np.flatnonzero(query.labels[:, 0])
        scores = evaluate(
            torch.from_numpy(query.packed[rows]),
            torch.from_numpy(query.labels[rows]),
            torch.from_numpy(database.packed),
            torch.from_numpy(database.labels),
            ks=(10,),
            database_ids=ids_from_names(database.ids.tolist()),
        )
        assert found["class 0"] == (scores.average_precision[10]["retrieved"], len(rows))

    def test_a_query_of_the_database_is_left_out_unless_the_test_ranked_it(self):
        codes = make_codes(9, classes=9)  # nothing else shares its class
        assert {score for score, _ in class_scores(codes, codes, k=10).values()} == {0.0}
        assert min(score for score, _ in class_scores(codes, codes, k=10, exclude_self=False).values()) > 0

    def test_best_and_worst_of_many_classes_are_shown(self):
        picture = draw_class_scores(make_codes(80, classes=40), make_codes(160, "database", classes=40), "a run", k=10)
        assert len(picture.data["classes"]) == 40
        labels = [label.get_text() for label in picture.figure.axes[0].get_yticklabels()]
        ordered = sorted(picture.data["classes"], key=lambda each: -picture.data["classes"][each]["score"])
        assert labels == [*ordered[:15], *ordered[-15:]]


class TestEmbedding:
    def test_methods_show_the_same_videos_of_the_largest_classes(self):
        one, other = make_codes(90, classes=6), make_codes(90, classes=6, seed=5).take([*range(80)][::-1])
        ids, chosen = choose_videos({"one": one, "other": other}, classes=3, each=10, seed=0)
        assert len(ids) == len(set(ids)) == 30
        assert all(chosen.count(name) == 10 for name in set(chosen))
        assert set(ids) <= set(other.ids.tolist())
        assert choose_videos({"other": other, "one": one}, classes=3, each=10, seed=0) == (ids, chosen)

    def test_same_seed_gives_the_same_picture(self):
        pictures = [
            draw_embedding({"one": make_codes(40), "other": make_codes(40, noise=0.3)}, each=8, seed=3) for _ in "ab"
        ]
        assert pictures[0].data == pictures[1].data
        assert [axes.get_title() for axes in pictures[0].figure.axes] == ["one", "other"]
        drawn = sum(len(points.get_offsets()) for points in pictures[0].figure.axes[0].collections)
        assert drawn == len(pictures[0].data["ids"]) == 32

    def test_equal_codes_can_be_embedded(self):
        same = make_codes(12, noise=0)
        same.packed[:] = 7
        assert len(draw_embedding({"same": same}).data["points"]["same"]) == 12

    def test_methods_without_a_common_video_are_rejected(self):
        with pytest.raises(AvnasError, match="no video of a single label in common"):
            draw_embedding({"one": make_codes(10), "other": make_codes(10, "others")})
