"""What every hashing network can do: encode, be saved, be loaded, and say what is wrong with a folder."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from avhash_nas.baselines import MeanPoolMLP
from avhash_nas.codes import binarize, unpack
from avhash_nas.errors import AvnasError
from avhash_nas.networks import AudioVisualNetwork, HashNetwork

CALLED = []


class Values(HashNetwork):
    """Hands its visual input's first step back as the relaxed code."""

    def __init__(self, visual_dim, audio_dim, bits):
        super().__init__()
        self.bits = bits
        self.frozen = torch.nn.Dropout(0.5)

    def forward(self, visual, audio, route=None):
        CALLED.append(self.frozen.training)
        return self.frozen(visual[:, 0])

    @property
    def head(self):
        return self.frozen

    def arguments(self):
        return {"visual_dim": 3, "audio_dim": 1, "bits": self.bits}


class Failing(Values):
    def forward(self, visual, audio, route=None):
        raise ValueError("no")


def never_to_be_called(**arguments):
    CALLED.append(arguments)


class NotANetwork:
    def __init__(self, **arguments):
        CALLED.append(arguments)

    from_arguments = never_to_be_called


@pytest.fixture(params=["audio_visual", "mlp"])
def trained(request, make):
    """A network whose every buffer and parameter differs from a fresh one's."""
    options = {"balance": True, "input_dropout": 0.2}
    network = make("arch-1", head_hidden=5, **options) if request.param == "audio_visual" else mlp(**options)
    network(torch.randn(6, 4, 8), torch.randn(6, 4, 6))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += torch.randn_like(parameter)
    return network


def mlp(**options):
    return MeanPoolMLP(8, 6, 12, hidden=5, **options)


def test_encode_packs_the_signs_of_the_forward_pass(trained):
    visual, audio = torch.randn(9, 4, 8), torch.randn(9, 4, 6)
    packed = trained.encode(visual, audio)
    assert packed.dtype == torch.uint8
    assert packed.shape == (9, 2)
    assert torch.equal(packed, trained.encode(visual, audio))  # no dropout
    assert torch.equal(unpack(packed, 12), binarize(trained.eval()(visual, audio).detach()))
    assert 0 < unpack(packed, 12).eq(1).float().mean() < 1


def test_the_sign_of_zero_is_plus_one():
    values = torch.tensor([[[0.0, -0.0, -1e-30]], [[1.0, -1.0, 0.0]]])
    packed = Values(3, 1, 3).encode(values, torch.zeros(2, 1, 1))
    assert unpack(packed, 3).tolist() == [[1, 1, -1], [1, -1, 1]]


def test_default_step_codes_are_codes_of_single_step_videos(trained):
    visual, audio = torch.randn(3, 1, 8), torch.randn(3, 1, 6)
    trained.train()
    steps = trained.time_steps(visual, audio)
    assert all(module.training for module in trained.modules())
    assert steps.shape == (3, 1, trained.bits)
    torch.testing.assert_close(steps[:, 0], trained.eval()(visual, audio))


def test_step_codes_depend_on_neighbors_and_average_to_the_code(make):
    network = make("arch-1").eval()  # the hash layer is linear in front of tanh
    visual, audio = torch.randn(3, 5, 8), torch.randn(3, 5, 6)
    steps = network.time_steps(visual, audio)
    torch.testing.assert_close(steps.atanh().mean(dim=1).tanh(), network(visual, audio), rtol=1e-4, atol=1e-5)
    alone = HashNetwork.codes_and_steps(network, visual, audio).steps
    assert steps.shape == alone.shape
    assert not torch.allclose(steps, alone, atol=1e-3)


@pytest.mark.parametrize("network_class", [Values, Failing])
def test_encode_restores_the_mode_of_every_module(network_class):
    network = network_class(3, 1, 3).train()
    network.frozen.eval()
    for training, frozen in ((True, False), (False, False), (True, True)):
        network.training, network.frozen.training = training, frozen
        if network_class is Failing:
            with pytest.raises(ValueError, match="no"):
                network.encode(torch.ones(1, 1, 3), torch.ones(1, 1, 1))
        else:
            network.encode(torch.ones(1, 1, 3), torch.ones(1, 1, 1))
            assert CALLED[-1] is False
        assert (network.training, network.frozen.training) == (training, frozen)


def test_encode_refuses_nan():
    with pytest.raises(AvnasError, match="codes: row 1 has nan"):
        Values(3, 1, 3).encode(torch.tensor([[[1.0, 1, 1]], [[1, float("nan"), 1]]]), torch.zeros(2, 1, 1))


def test_save_and_load_round_trip(trained, tmp_path):
    trained.save_pretrained(tmp_path / "a" / "model")
    loaded = HashNetwork.from_pretrained(tmp_path / "a" / "model")
    assert type(loaded) is type(trained)
    assert loaded.arguments() == trained.arguments()
    assert not any(module.training for module in loaded.modules())
    state = trained.state_dict()
    assert loaded.state_dict().keys() == state.keys()
    assert any("running_var" in name for name in state)
    assert all(torch.equal(tensor, state[name]) for name, tensor in loaded.state_dict().items())
    visual, audio = torch.randn(3, 4, 8), torch.randn(3, 4, 6)
    assert torch.equal(loaded(visual, audio), trained.eval()(visual, audio))


def test_supernet_round_trip(make, tmp_path):
    supernet = make("full")
    supernet.save_pretrained(tmp_path)
    loaded = AudioVisualNetwork.from_pretrained(tmp_path)
    assert loaded.space == supernet.space
    assert all(torch.equal(tensor, supernet.state_dict()[name]) for name, tensor in loaded.state_dict().items())


def test_saved_folder_has_only_json_and_tensors(trained, tmp_path):
    trained.save_pretrained(tmp_path)
    trained.save_pretrained(tmp_path)  # over the earlier one
    assert {path.name for path in tmp_path.iterdir()} == {"config.json", "model.safetensors"}
    assert load_file(tmp_path / "model.safetensors").keys() == trained.state_dict().keys()
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["arguments"] == json.loads(json.dumps(trained.arguments()))


@pytest.fixture
def saved(tmp_path):
    mlp().save_pretrained(tmp_path)
    return tmp_path


def rewrite(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
def test_missing_file_is_named(saved, file):
    (saved / file).unlink()
    with pytest.raises(AvnasError, match=rf"{file}: cannot be read: .*[Nn]o such file"):
        HashNetwork.from_pretrained(saved)


@pytest.mark.parametrize("kept", [0, 4, 100, -1])
def test_truncated_weights_are_refused(saved, kept):
    path = saved / "model.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(AvnasError, match=r"model\.safetensors: cannot be read"):
        HashNetwork.from_pretrained(saved)


def test_truncated_config_is_refused(saved):
    path = saved / "config.json"
    path.write_text(path.read_text()[:-4])
    with pytest.raises(AvnasError, match=r"config\.json: not valid JSON"):
        HashNetwork.from_pretrained(saved)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (f"{__name__}.NotANetwork", "is not a VideoNetwork"),
        (f"{__name__}.never_to_be_called", "is not a VideoNetwork"),
        ("os.system", "'os.system' is not a VideoNetwork"),
        ("no_such_package.Network", "cannot be imported: No module named 'no_such_package'"),
        ("avhash_nas.networks.Absent", "cannot be imported: .*no attribute 'Absent'"),
        ("Network", "cannot be imported"),
        (".relative.Network", "cannot be imported"),
        ("", "cannot be imported"),
        (None, "cannot be imported"),
    ],
)
def test_class_that_is_not_a_network_is_refused_and_not_called(saved, path, message):
    CALLED.clear()
    rewrite(saved, **{"class": path})
    with pytest.raises(AvnasError, match=rf"config\.json: .*{message}"):
        HashNetwork.from_pretrained(saved)
    assert CALLED == []


def test_network_of_another_class_is_refused(saved):
    with pytest.raises(AvnasError, match=r"config\.json: holds a MeanPoolMLP, not a AudioVisualNetwork"):
        AudioVisualNetwork.from_pretrained(saved)


@pytest.mark.parametrize("found", [None, 2, "1"])
def test_unknown_format_is_refused(saved, found):
    rewrite(saved, format=found)
    with pytest.raises(AvnasError, match=rf"config\.json: format {found!r} is not 1, the one that this version reads"):
        HashNetwork.from_pretrained(saved)


@pytest.mark.parametrize(
    "arguments",
    [
        {"visual_dim": 8, "audio_dim": 6, "bits": 12, "hidden": 7},
        {"visual_dim": 8, "audio_dim": 6, "bits": 12, "hidden": 5, "balance": True},
        {"visual_dim": 8, "audio_dim": 6, "bits": 12, "hidden": 5, "color": 1},
        {"visual_dim": 8, "audio_dim": 6},
        [1, 2],
        None,
    ],
)
def test_mismatch_of_config_and_weights_is_refused(saved, arguments):
    rewrite(saved, arguments=arguments)
    with pytest.raises(AvnasError, match=r"config\.json and model\.safetensors do not fit"):
        HashNetwork.from_pretrained(saved)


def test_config_without_arguments_is_refused(saved):
    (saved / "config.json").write_text(json.dumps({"format": 1, "class": "avhash_nas.baselines.mlp.MeanPoolMLP"}))
    with pytest.raises(AvnasError, match="do not fit: 'arguments'"):
        HashNetwork.from_pretrained(saved)


def test_weights_of_another_network_are_refused(saved):
    weights = load_file(saved / "model.safetensors")
    save_file({name: tensor for name, tensor in weights.items() if "bias" not in name}, saved / "model.safetensors")
    with pytest.raises(AvnasError, match=r"do not fit: .*Missing key") as caught:
        HashNetwork.from_pretrained(saved)
    assert len(str(caught.value).splitlines()) == 1
