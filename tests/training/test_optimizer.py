"""The fused optimizer against the plain one."""

import copy

import lightning as L
import pytest
import torch
from torch import nn

from avhash_nas.training.optimizer import can_fuse, make_adamw


def make_network(dtype=torch.float32):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3)).to(dtype)


def make_groups(network):
    weights = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    vectors = [parameter for parameter in network.parameters() if parameter.ndim == 1]
    return [{"params": weights, "weight_decay": 0.1, "lr": 0.02}, {"params": vectors}]


def train(network, optimizer, steps, start=0):
    for step in range(start, start + steps):
        generator = torch.Generator().manual_seed(step)
        x = torch.randn(8, 5, generator=generator).to(network[0].weight.dtype)
        optimizer.zero_grad()
        network(x).square().mean().backward()
        optimizer.step()
    return [parameter.detach().clone() for parameter in network.parameters()]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_computes_what_the_plain_form_computes(dtype):
    plain, network = make_network(dtype), make_network(dtype)
    expected = train(plain, torch.optim.AdamW(make_groups(plain), lr=0.01, eps=1e-6, weight_decay=0.0), 30)
    optimizer = make_adamw(make_groups(network), 0.01, 1e-6)
    assert all(group["fused"] for group in optimizer.param_groups)
    torch.testing.assert_close(train(network, optimizer, 30), expected, rtol=1e-4, atol=1e-6)
    assert not torch.equal(expected[0], make_network(dtype)[0].weight)


@pytest.mark.parametrize("saved_fused", [True, False])
def test_a_resumed_optimizer_goes_on_as_one_that_never_stopped(saved_fused):
    network = make_network()
    optimizer = make_adamw(make_groups(network), 0.01, 1e-8, fused=saved_fused)
    train(network, optimizer, 5)
    saved = copy.deepcopy(optimizer.state_dict())
    resumed_network = copy.deepcopy(network)
    resumed = make_adamw(make_groups(resumed_network), 0.5, 1.0)
    resumed.load_state_dict(saved)
    ours, expected = train(resumed_network, resumed, 5, start=5), train(network, optimizer, 5, start=5)
    assert all(torch.equal(mine, wanted) for mine, wanted in zip(ours, expected, strict=True))


def test_a_device_without_it_gets_the_plain_form():
    groups = make_groups(make_network().to("meta"))
    optimizer = make_adamw(groups, 0.01, 1e-8)
    assert not any(group["fused"] for group in optimizer.param_groups)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.1, 0.0]
    assert [group["lr"] for group in optimizer.param_groups] == [0.02, 0.01]


def test_other_errors_are_not_taken_for_that():
    with pytest.raises(ValueError, match="learning rate"):
        make_adamw(make_groups(make_network()), -1.0, 1e-8)


@pytest.mark.parametrize(
    ("precision", "clip", "wanted"), [("bf16-mixed", 1.0, False), ("bf16-mixed", None, True), ("32-true", 1.0, True)]
)
def test_gradients_that_are_clipped_in_mixed_precision_are_not_for_a_fused_step(precision, clip, wanted, tmp_path):
    class Module(L.LightningModule):
        def __init__(self):
            super().__init__()
            self.network = make_network()

        def configure_optimizers(self):
            assert can_fuse(self.trainer) == wanted
            return make_adamw(make_groups(self.network), 0.01, 1e-8, fused=can_fuse(self.trainer))

        def training_step(self, batch, batch_idx):
            return self.network(batch).square().mean()

    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = L.Trainer(
        accelerator="cpu", precision=precision, gradient_clip_val=clip, max_steps=2, default_root_dir=tmp_path, **quiet
    )
    trainer.fit(Module(), torch.utils.data.DataLoader(torch.randn(8, 5), batch_size=4))
    assert trainer.global_step == 2
