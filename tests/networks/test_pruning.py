"""Pruning keeps the function: a plain network computes what the supernet computes on the architecture's route."""

import pytest
import torch

from avhash_nas.errors import AvnasError
from avhash_nas.networks import Mixture, prune
from avhash_nas.space import Architecture, load_space


def test_pruned_network_computes_the_same_bits(supernet, features, architectures):
    for architecture in architectures:
        plain = prune(supernet, architecture)
        assert torch.equal(plain(*features), supernet(*features, supernet.space.indices(architecture)))


def test_pruned_tensors_equal_the_supernets(supernet, architectures):
    tensors = supernet.state_dict()
    for architecture in architectures[:10]:
        plain = prune(supernet, architecture)
        kept = plain.state_dict()
        assert all(torch.equal(tensor, tensors[name]) for name, tensor in kept.items())
        survivors = {
            name
            for name in tensors
            if ".operators." not in name or chosen(name, architecture)  # outside cells, all of them
        }
        assert set(kept) == survivors
        assert plain.space.only() == architecture


def chosen(name, architecture):
    cell, _, rest = name.partition(".operators.")
    return architecture[cell] == rest.split(".")[0]


def test_pruning_leaves_the_supernet_unchanged(make, features, architectures):
    supernet = make().double().eval()
    before = {name: tensor.clone() for name, tensor in supernet.state_dict().items()}
    plain = prune(supernet, architectures[0])
    with torch.no_grad():
        for parameter in plain.parameters():
            parameter.fill_(7)
    assert all(torch.equal(tensor, before[name]) for name, tensor in supernet.state_dict().items())


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_pruned_network_has_the_supernets_mode_and_precision(make, architectures, training, dtype):
    supernet = make(balance=True).to(dtype).train(training)
    plain = prune(supernet, architectures[0])
    assert all(module.training is training for module in plain.modules())
    assert {parameter.dtype for parameter in plain.parameters()} == {dtype}


def test_pruned_network_is_on_the_supernets_device(make, architectures):
    supernet = make().to("meta")
    plain = prune(supernet, architectures[0], inherit=False)
    assert {parameter.device.type for parameter in plain.parameters()} == {"meta"}


def test_without_inherit_weights_are_new(supernet, features, architectures):
    torch.manual_seed(5)
    fresh = prune(supernet, architectures[0], inherit=False)
    inherited = prune(supernet, architectures[0])
    assert fresh.state_dict().keys() == inherited.state_dict().keys()
    assert not torch.equal(fresh.hash.fc.weight, inherited.hash.fc.weight)
    assert not torch.equal(fresh(*features), inherited(*features))


def test_batch_statistics_are_inherited(make, features, architectures):
    supernet = make(balance=True, head_hidden=5).double()
    route = supernet.space.indices(architectures[0])
    supernet(*features, route)
    supernet.eval()
    plain = prune(supernet, architectures[0])
    assert torch.equal(plain.hash.balance.running_mean, supernet.hash.balance.running_mean)
    assert torch.equal(plain(*features), supernet(*features, route))


def test_gradients_equal_those_of_the_supernet(supernet, features, architectures):
    supernet.zero_grad(set_to_none=True)
    plain = prune(supernet, architectures[1])
    plain(*features).square().sum().backward()
    supernet(*features, supernet.space.indices(architectures[1])).square().sum().backward()
    expected = {name: parameter.grad for name, parameter in plain.named_parameters()}
    for name, parameter in supernet.named_parameters():
        if name in expected:
            assert torch.equal(parameter.grad, expected[name]), name
        else:
            assert parameter.grad is None, name
    supernet.zero_grad(set_to_none=True)


def test_pruned_network_equals_one_hot_mixtures(supernet, features, architectures):
    for architecture in architectures[:10]:
        route = supernet.space.indices(architecture)
        mixtures = {
            cell.name: Mixture(torch.nn.functional.one_hot(torch.tensor(route[cell.name]), len(cell.candidates)))
            for cell in supernet.space.cells
        }
        torch.testing.assert_close(supernet(*features, mixtures), prune(supernet, architecture)(*features))


@pytest.mark.parametrize("preset", ["visual", "audio"])
def test_pruning_a_single_modality(make, features, preset):
    supernet = make(preset).double().eval()
    architecture = supernet.space.architecture({cell.name: 1 for cell in supernet.space.cells})
    expected = supernet(*features, supernet.space.indices(architecture))
    assert torch.equal(prune(supernet, architecture)(*features), expected)


def test_architecture_of_another_space_is_refused(supernet):
    other = Architecture({**load_space("mamba").only(), "F": "mul"})
    with pytest.raises(AvnasError, match="cell F has no candidate 'mul'"):
        prune(supernet, other)
    with pytest.raises(AvnasError, match=r"architecture: cell audio\.M1 is missing"):
        prune(supernet, load_space("arch-1-visual").only())
