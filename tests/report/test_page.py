"""Pages of runs and comparisons: their content, and how a browser shows them."""

import json
from dataclasses import replace
from html.parser import HTMLParser

import pytest
import yaml

from avhash_nas.cli import main
from avhash_nas.comparison import Comparison, Entry
from avhash_nas.data import Media, read_media, write_media
from avhash_nas.report import Section, write_page
from avhash_nas.report.comparison_charts import draw_costs, draw_ranking, draw_scores, pareto, search_seconds
from avhash_nas.report.comparison_page import comparison_sections
from avhash_nas.report.examples import examples
from avhash_nas.report.run_page import run_sections
from avhash_nas.results import ComparisonResults, RunRecord, Table
from media.make import make_video
from report.folders import make_codes, make_run, small_space

METRICS = {
    "parameters": 2_345_678,
    "time": {"supernet_epoch_s": 6.0, "search_s": 2.5, "train_epoch_s": 12.0, "inference_12500_s": 0.25},
    "epochs": {"search": 3, "finetune": 2},
    "test": {
        f"map@{k}": {"retrieved": 0.61234 + k / 1e4, "standard": 0.51234 + k / 1e4, "k": 0.41234 + k / 1e4}
        for k in (5, 20, 100)
    },
}


def complete(folder, **changes):
    """A finished run with all results that a report shows."""
    make_run(folder, rounds=(3, 3), space=small_space(folder.parent), **changes)
    metrics = json.loads((folder / "metrics.json").read_text())
    (folder / "metrics.json").write_text(json.dumps({**metrics, **METRICS}))
    ranks = [1 / (k + 1) for k in range(40)]
    curve = {"at": [*range(1, 41)], "precision": ranks, "recall": ranks[::-1]}
    (folder / "curves.json").write_text(json.dumps({"by_rank": curve}))
    for role in ("query", "database"):
        make_codes(24, role).save(folder / "codes" / f"{role}.npz")
    return folder


class Texts(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.texts, self.links, self.sources = [], [], []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_data(self, data):
        self.texts.append(data)

    def handle_starttag(self, tag, attrs):
        named = dict(attrs)
        self.links += [named["href"]] if "href" in named else []
        self.sources += [named["src"]] if "src" in named else []


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    records = [RunRecord(complete(folder / f"run-{seed}", seed=seed, epochs=2)) for seed in (0, 1)]
    return write_page(folder / "page", "Two <runs> & more", run_sections(records))


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("dark", [False, True])
def test_browser_shows_the_page_without_network_or_errors(visit, page, width, dark):
    visit.resize(width, dark=dark)
    shown = visit.open(page)
    assert visit.problems == []
    assert {address.partition(":")[0] for address in visit.requested} <= {"file", "data"}
    assert visit.sticking_out() == []
    assert shown.title() == "Two <runs> & more"
    sizes = shown.evaluate("[...document.querySelectorAll('figure svg')].map(x => x.getBoundingClientRect().height)")
    assert len(sizes) >= 8
    assert min(sizes) > 50
    drawn = shown.evaluate(
        "[...document.querySelectorAll('figure svg')].map(x => x.querySelectorAll('path, use').length)"
    )
    assert min(drawn) > 10


def test_pictures_follow_the_color_scheme(visit, page):
    shown = visit.open(page)
    ink = "getComputedStyle([...document.querySelectorAll('figure svg text')][0]).fill"
    visit.resize(1280)
    light = shown.evaluate(ink)
    visit.resize(1280, dark=True)
    assert shown.evaluate(ink) != light
    assert shown.evaluate(ink) == shown.evaluate("getComputedStyle(document.body).color")


def test_page_shows_the_metrics(page):
    texts = Texts(page).texts
    for scores in METRICS["test"].values():
        for value in scores.values():
            assert f"{value:.4f}" in texts
    assert {"2.3", "6.0s", "2.5s", "12s", "0.2s"} <= set(texts)


def test_all_links_have_targets(page):
    found = Texts(page)
    anchors = {link for link in found.links if link.startswith("#") and "-" not in link}
    text = page.read_text()
    assert all(f'id="{anchor[1:]}"' in text for anchor in anchors)
    files = [link for link in found.links if link.endswith((".png", ".svg"))]
    assert len(files) >= 16
    assert all((page.parent / file).stat().st_size > 1000 for file in files)
    assert all(source.startswith("data:") for source in found.sources)


def test_ids_are_unique_in_the_page(visit, page):
    shown = visit.open(page)
    assert (
        shown.evaluate("(a => a.length - new Set(a).size)([...document.querySelectorAll('[id]')].map(x => x.id))") == 0
    )


def test_page_of_an_unfinished_run_names_missing_results(tmp_path, visit):
    make_run(tmp_path / "run", finished=False, space=small_space(tmp_path))
    assert main(["report", str(tmp_path / "run")]) == 0
    page = tmp_path / "run" / "report" / "index.html"
    texts = " ".join(Texts(page).texts)
    assert "The run is not finished" in texts
    assert "no architecture is chosen yet" in texts
    assert (page.parent / "training-0-learning-curves.png").exists()
    visit.open(page)
    assert visit.problems == []


def test_run_that_has_just_started_gives_a_page(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text(yaml.safe_dump({"bits": 16, "seed": 0, "space": "full"}))
    assert main(["report", str(tmp_path / "run")]) == 0


def test_folder_without_a_run_is_rejected(tmp_path, capsys):
    assert main(["report", str(tmp_path)]) == 2
    assert "no run here" in capsys.readouterr().err


def test_texts_are_escaped_and_empty_sections_omitted(tmp_path):
    table = Table("<script>", ["<b>", "x"], [["<i>", "&"]], ["<u>"])
    page = write_page(tmp_path, "<t>", [Section("<s>", [table], ["<n>"]), Section("empty", [])])
    text = page.read_text()
    assert all(f"&lt;{name}&gt;" in text for name in ("script", "b", "i", "u", "t", "s", "n"))
    assert "empty" not in text


class TestExamples:
    def test_answers_are_the_nearest_and_hits_are_marked(self, tmp_path):
        query, database = make_codes(8, noise=0.2), make_codes(40, "database", noise=0.2)
        found = examples(query, database, {}, count=3, top=5, seed=1)
        assert len(found) == 3
        for example in found:
            distances = [answer.distance for answer in example.answers]
            assert distances == sorted(distances)
            assert all(answer.relevant == (answer.labels == example.query.labels) for answer in example.answers)
        assert found == examples(query, database, {}, count=3, top=5, seed=1)

    def test_existing_videos_are_shown(self, tmp_path):
        query, database = make_codes(2), make_codes(4, "database")
        make_video(tmp_path / "a.mp4", seconds=0.5)
        write_media(tmp_path, [Media("query-0", "a.mp4"), Media("query-1", "gone.mp4")])
        shown = examples(query, database, read_media(tmp_path), count=2, top=2)
        assert [each.query.picture.startswith("data:image/jpeg;base64,") for each in shown] == [True, False]


class TestComparison:
    @pytest.fixture
    def results(self, tmp_path):
        comparison = Comparison(
            [Entry("one", label="One"), Entry("other", label="Other")], out=str(tmp_path), bits=[16], seeds=[0, 1]
        )
        runs = [run for entry in comparison.entries for run in comparison.runs(entry)]
        for number, run in enumerate(runs):
            complete(run.path, seed=number)
        metrics = {run: json.loads((run.path / "metrics.json").read_text()) for run in runs}
        for run in runs[:2]:
            run.scores.write_text(json.dumps({"a": 0.1, "b": 0.2, "c": 0.3}))
        alone = {(16, seed): {"a": 0.5, "b": 0.7, "c": 0.6} for seed in (0, 1)}
        return ComparisonResults(comparison, metrics, alone=alone)

    def test_the_page_of_a_comparison(self, results, tmp_path, visit):
        page = write_page(tmp_path / "page", results.comparison.title, comparison_sections(results))
        visit.open(page)
        assert visit.problems == []
        assert visit.sticking_out() == []
        assert "0.622 ± 0.000" in Texts(page).texts

    def test_scores_have_a_row_per_method_and_untrained_references_last(self, results):
        beside = {name: {"map@100": {"retrieved": 0.1}} for name in ("chance", "random_projection")}
        metrics = {run: {**of, **beside} for run, of in results.metrics.items()}
        rows = draw_scores(ComparisonResults(results.comparison, metrics)).data["rows"]
        assert [row["label"] for row in rows] == ["One", "Other", "random projection", "chance"]
        assert rows[0]["scores"] == [{"mean": pytest.approx(0.62234), "spread": 0.0, "seeds": 2}]
        entries = [replace(entry, group=entry.title * 2) for entry in results.comparison.entries]
        grouped = ComparisonResults(replace(results.comparison, entries=entries, bits=[16, 32]), metrics)
        rows = draw_scores(grouped).data["rows"]
        assert [row["label"] for row in rows if not row["scores"]] == ["OneOne", "OtherOther", "Without training"]
        assert rows[1]["scores"][1] is None

    def test_costs_are_means_over_seeds(self, results):
        (one, _) = draw_costs(results).data["points"]
        assert one["entry"] == "One"
        assert (one["parameters_m"], one["search_s"], one["inference_12500_s"]) == (2.345678, 20.5, 0.25)

    def test_ranking_shows_only_entries_with_both_scores(self, results):
        entries = draw_ranking(results).data["entries"]
        assert list(entries) == ["One"]
        assert [pairs["tau"] for pairs in entries["One"]] == [pytest.approx(1 / 3)] * 2

    def test_no_pictures_without_finished_runs(self, results):
        nothing = ComparisonResults(results.comparison, {})
        assert draw_scores(nothing) is None
        assert draw_costs(nothing) is None
        assert draw_ranking(nothing) is None

    def test_pareto_front_has_all_undominated_points(self):
        points = [(3, 0.5), (1, 0.2), (2, 0.6), (2, 0.1), (4, 0.6), (5, 0.7)]
        front = pareto(points)
        for cost, score in points:
            beaten = any(c <= cost and s >= score and (c, s) != (cost, score) for c, s in points)
            assert ((cost, score) in front) == (not beaten)

    def test_search_time_is_zero_without_a_search(self):
        assert search_seconds({"time": {"train_epoch_s": 1.0}, "epochs": {"finetune": 3}}) == 0
