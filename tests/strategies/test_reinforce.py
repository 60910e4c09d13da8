"""REINFORCE's pieces: the loss's gradient, unbiased advantages, the moving average's convention."""

import itertools

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from avhash_nas.errors import AvnasError
from avhash_nas.strategies.reinforce import MovingBaseline, above_others, reinforce_loss, standardized

REWARDS = st.lists(st.floats(-8, 8, width=32), min_size=2, max_size=6)


def started(value, decay=0.99):
    baseline = MovingBaseline(decay).double()
    baseline.update(torch.tensor([value, value], dtype=torch.float64))
    return baseline


class TestLoss:
    def test_its_gradient_is_minus_the_mean_of_advantage_times_score(self):
        log_probabilities = torch.tensor([-1.0, -2.0, -0.5], requires_grad=True)
        advantages = torch.tensor([3.0, -6.0, 0.0], requires_grad=True)
        reinforce_loss(log_probabilities, advantages).backward()
        assert log_probabilities.grad.tolist() == [-1.0, 2.0, 0.0]
        assert advantages.grad is None


class TestMovingBaseline:
    @given(REWARDS, st.floats(-8, 8), st.floats(0, 0.999))
    def test_every_reward_moves_it_once_in_turn(self, rewards, before, decay):
        baseline = started(before, decay)
        baseline.update(torch.tensor(rewards, dtype=torch.float64))
        expected = before
        for reward in rewards:
            expected -= (1 - decay) * (expected - reward)
        assert float(baseline.value) == pytest.approx(expected, abs=1e-9)

    def test_it_keeps_99_percent_of_the_old(self):
        """ProxylessNAS's convention, which keeps 1 percent, would give 0.9999."""
        baseline = started(0.0)
        baseline.update(torch.ones(2))
        assert float(baseline.value) == pytest.approx(1 - 0.99**2)

    def test_an_advantage_uses_the_average_before_its_own_update(self):
        baseline = started(1.0)
        rewards = torch.tensor([3.0, 0.5])
        assert baseline.advantages(rewards).tolist() == [2.0, -0.5]
        assert baseline.advantages(rewards).tolist() == [2.0, -0.5]
        baseline.update(rewards)
        assert baseline.advantages(rewards)[0] < 2.0

    @given(REWARDS)
    def test_the_first_step_compares_each_with_the_others(self, rewards):
        baseline = MovingBaseline().double()
        advantages = baseline.advantages(torch.tensor(rewards, dtype=torch.float64))
        for place, reward in enumerate(rewards):
            others = rewards[:place] + rewards[place + 1 :]
            assert float(advantages[place]) == pytest.approx(reward - sum(others) / len(others), abs=1e-9)
        baseline.update(torch.tensor(rewards, dtype=torch.float64))
        assert float(baseline.value) == pytest.approx(sum(rewards) / len(rewards), abs=1e-9)

    def test_the_first_steps_gradient_is_unbiased_and_not_zero(self):
        """Over all pairs of samples from a known policy: E[A grad log pi] = grad E[R]."""
        logits = torch.tensor([0.3, -0.4, 0.1], dtype=torch.float64, requires_grad=True)
        rewards = torch.tensor([1.0, -2.0, 5.0], dtype=torch.float64)
        log_policy = torch.log_softmax(logits, 0)
        exact = torch.autograd.grad((log_policy.exp() * rewards).sum(), logits, retain_graph=True)[0]
        expected = torch.zeros_like(exact)
        for pair in itertools.product(range(3), repeat=2):
            drawn = list(pair)
            weight = float(log_policy[drawn].detach().sum().exp())
            loss = reinforce_loss(log_policy[drawn], MovingBaseline().double().advantages(rewards[drawn]))
            expected -= weight * torch.autograd.grad(loss, logits, retain_graph=True)[0]
        torch.testing.assert_close(expected, exact, rtol=1e-12, atol=1e-12)
        assert exact.abs().max() > 0.1

    def test_its_state_is_saved(self):
        baseline = started(-3.25)
        other = MovingBaseline().double()
        other.load_state_dict(baseline.state_dict())
        rewards = torch.tensor([1.0, 2.0], dtype=torch.float64)
        assert torch.equal(other.advantages(rewards), baseline.advantages(rewards))

    @pytest.mark.parametrize("decay", [-0.1, 1.0, float("nan")])
    def test_decay_out_of_range(self, decay):
        with pytest.raises(AvnasError, match=rf"strategy\.decay must lie in \[0, 1\), got {decay}"):
            MovingBaseline(decay)


class TestAboveOthers:
    @given(REWARDS, st.floats(-5, 5))
    def test_what_all_samples_share_falls_out(self, rewards, level):
        rewards = torch.tensor(rewards, dtype=torch.float64)
        advantages = above_others(rewards)
        torch.testing.assert_close(above_others(rewards + level), advantages)
        assert float(advantages.sum()) == pytest.approx(0, abs=1e-9)


class TestStandardized:
    @given(REWARDS, st.floats(0.5, 4), st.floats(-5, 5))
    def test_neither_scale_nor_level_of_the_rewards_matters(self, rewards, scale, level):
        rewards = torch.tensor(rewards, dtype=torch.float64)
        assume(rewards.std() > 1e-3)
        advantages = standardized(rewards)
        torch.testing.assert_close(standardized(scale * rewards + level), advantages, rtol=1e-6, atol=1e-6)
        assert float(advantages.mean()) == pytest.approx(0, abs=1e-9)
        assert float(advantages.square().mean()) == pytest.approx(1)

    def test_equal_rewards_say_nothing(self):
        assert standardized(torch.full((4,), 0.7, dtype=torch.float64)).abs().max() < 1e-6
