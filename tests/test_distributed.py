"""Three processes compute what one computes."""

import pytest
import torch

from avhash_nas.networks import BatchNorm
from distributed import tasks
from distributed.processes import Ranks


def assert_all_as_alone(ranks: Ranks, function, *arguments) -> None:
    """Each rank gives what a single process gives."""
    alone = function(0, *arguments)
    for answer in ranks.run(function, *arguments):
        torch.testing.assert_close(answer, alone, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("sizes", [(2, 2, 2), (1, 3, 2), (0, 5, 1), (6, 0, 0)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64, torch.bool])
def test_rows_come_in_the_order_of_the_ranks(three_ranks, sizes, dtype):
    rows = (torch.arange(12).view(6, 2) % 5).to(dtype)
    for gathered in three_ranks.run(tasks.gather, rows, sizes):
        assert torch.equal(gathered, rows)


def test_no_row_at_all(three_ranks):
    assert [len(rows) for rows in three_ranks.run(tasks.gather, torch.empty(0, 2), (0, 0, 0))] == [0, 0, 0]


@pytest.mark.parametrize("negatives", [0, 2], ids=["in-batch", "triplets"])
def test_loss_gradient_and_second_derivative_are_those_of_the_global_batch(three_ranks, negatives):
    assert_all_as_alone(three_ranks, tasks.derivatives, negatives)


def test_text_loss_and_gradients_are_those_of_the_global_batch(three_ranks):
    assert_all_as_alone(three_ranks, tasks.text_derivatives)


def test_batch_norm_is_that_of_the_global_batch(three_ranks):
    assert_all_as_alone(three_ranks, tasks.normalized)


def test_training_is_that_of_the_global_batch(three_ranks):
    assert_all_as_alone(three_ranks, tasks.trained)


def test_a_rank_without_a_gradient_counts_as_zero(three_ranks):
    for mean in three_ranks.run(tasks.mean_of_some, (True, False, True)):
        assert torch.equal(mean, torch.full((3, 4), 4 / 3, dtype=torch.float64))


def test_no_gradient_anywhere_stays_none(three_ranks):
    assert three_ranks.run(tasks.mean_of_some, (False, False, False)) == [None] * 3


def test_gradients_keep_their_types_and_shapes(three_ranks):
    assert three_ranks.run(tasks.mixed_gradients) == [([torch.float32, torch.float64], [1.0, 2.0])] * 3


def test_decisions(three_ranks):
    assert three_ranks.run(tasks.told) == [("rank 0", 15)] * 3
    assert tasks.told(2) == ("rank 2", 10)


def test_a_single_process_changes_nothing():
    rows = torch.ones(2, 3, requires_grad=True)
    assert tasks.gather_rows(rows) is rows
    assert tasks.mean(None) is None


def test_batch_norm_of_a_single_process_is_that_of_torch():
    norms = [kind(4, affine=False) for kind in (BatchNorm, torch.nn.BatchNorm1d)]
    features, _, weight = tasks.batch()
    outputs = [norm.double()(features @ weight) for norm in norms]
    assert torch.equal(*outputs)
    ours, theirs = (norm.state_dict() for norm in norms)
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
