"""ParsingModule: what it lets a network see, and scores of architectures equal to those of a validation."""

import numpy as np
import pytest
import torch

from avhash_nas.data import ParsingData
from avhash_nas.networks import AudioVisualParser, prune
from avhash_nas.pipeline.architecture_scorer import Scoring
from avhash_nas.pipeline.parsing_task import ParsingTask, evaluate_parser
from avhash_nas.space import load_space
from avhash_nas.training import moments, quiet_trainer
from avhash_nas.training.moments import Moment
from baselines.parsing import link
from distributed import tasks_parsing
from training.parsing_runs import events_set


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parsing")
    return ParsingData(events_set(folder / "set"), cache_dir=folder / "cache", eval_batch_size=4).prepare()


def parser(space="full"):
    torch.manual_seed(0)
    return AudioVisualParser(8, 6, 4, load_space(space), width=8, heads=2, states=2, rank=2).eval()


def test_scores_of_architectures_are_those_of_a_validation(data):
    supernet = parser()
    generator = np.random.default_rng(0)
    architectures = [supernet.space.sample(generator) for _ in range(5)]
    scores = ParsingTask().score_architectures(supernet, data, Scoring(), torch.device("cpu"), architectures)
    for architecture, score in zip(architectures[:3], scores, strict=False):
        module = ParsingTask().module_class(prune(supernet, architecture))
        quiet_trainer(accelerator="cpu").validate(module, datamodule=data, verbose=False)
        assert module.scores[""].means == score


def test_pruning_keeps_what_the_route_computes(data):
    supernet = parser()
    architecture = supernet.space.sample(np.random.default_rng(1))
    batch = data.batch(data.splits["val"])
    routed = supernet(batch.visual, batch.audio, supernet.space.indices(architecture))
    pruned = prune(supernet, architecture)(batch.visual, batch.audio)
    for one, other in zip(routed, pruned, strict=True):
        assert torch.equal(one, other)


def test_every_cell_takes_part():
    """A gradient reaches each cell of the space, so none is searched for nothing."""
    network = parser("arch-1")
    network(torch.randn(2, 6, 8), torch.randn(2, 6, 6)).video.sum().backward()
    cells = {name.split(".operators")[0] for name, each in network.named_parameters() if ".operators." in name}
    reached = {
        name.split(".operators")[0]
        for name, each in network.named_parameters()
        if ".operators." in name and each.grad is not None and each.grad.any()
    }
    assert reached == cells


def test_oracle_labels_are_seen_by_name_only(data):
    """The same weights, with and without the labels of test that were cut to the truth's weak labels."""
    trainer = quiet_trainer(accelerator="cpu")
    plain, pseudo, oracle = (link(label_text=name, dims=(8, 6)).eval() for name in ("predicted", "pseudo", "oracle"))
    batch = data.batch(data.splits["test"])
    shown = ParsingTask().module_class(pseudo).outputs(batch, None)
    hidden = pseudo(batch.visual, batch.audio, None, torch.zeros_like(batch.events.truth))
    assert torch.equal(shown.logits, hidden.logits)
    told = ParsingTask().module_class(oracle).outputs(batch, None)
    assert torch.equal(told.logits, oracle(batch.visual, batch.audio, None, batch.events.oracle).logits)
    assert not torch.equal(told.logits, shown.logits)
    assert evaluate_parser(plain, data, trainer).videos == 10


@pytest.mark.parametrize("sizes", [(2, 2, 2), (1, 0, 5)])
def test_loss_and_gradient_are_those_of_the_global_batch(three_ranks, sizes):
    alone = tasks_parsing.loss_and_gradient(0, (6,))
    for answer in three_ranks.run(tasks_parsing.loss_and_gradient, sizes):
        torch.testing.assert_close(answer, alone, rtol=1e-9, atol=1e-12)


def test_moments_end_where_the_senses_change():
    segments = torch.zeros(2, 6, 2)
    segments[0, 1:4, 0] = torch.tensor([0.6, 0.8, 0.8])
    segments[1, 3:6, 0] = torch.tensor([0.9, 0.5, 0.7])
    segments[1, 0, 1] = 0.9  # a class that the video lacks
    found = moments(segments, torch.tensor([0.9, 0.1]), ("Dog", "Cat"), seconds=2.0)
    assert [moment[:4] for moment in found] == [
        ("Dog", "heard", 2.0, 6.0), ("Dog", "both", 6.0, 8.0), ("Dog", "seen", 8.0, 12.0),
    ]  # fmt: skip
    assert [moment.confidence for moment in found] == pytest.approx([0.7, 0.85, 0.6], abs=1e-5)
    assert moments(segments, torch.zeros(2), ("Dog", "Cat"), 2.0) == []
    assert isinstance(found[0], Moment)
