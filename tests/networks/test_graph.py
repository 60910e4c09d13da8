"""The walk over a wiring, and the wiring of the whole network laid flat."""

import weakref

import torch
from torch import nn

from avhash_nas.networks import network_graph
from avhash_nas.networks.graph import GraphModule, Node
from avhash_nas.networks.mixed_cell import MixedCell


class Watched(GraphModule):
    """Twice the input, its square, and their sum times the square; notes which outputs live when a step runs."""

    inputs = ("x",)
    graph = (
        Node("twice", ("x",)),
        Node("square", ("twice",)),
        Node("sum", ("twice", "square")),
        Node("out", ("sum", "square")),
    )

    def __init__(self):
        super().__init__()
        self.outputs, self.alive = {}, {}
        functions = {"twice": lambda x: 2 * x, "square": lambda x: x * x, "sum": torch.add, "out": torch.mul}
        for name, function in functions.items():
            self.add_module(name, self.step(name, function))

    def step(self, name, function):
        class Part(nn.Module):
            def forward(part, *inputs):  # noqa: N805
                self.alive[name] = {known for known, output in self.outputs.items() if output() is not None}
                output = function(*inputs)
                self.outputs[name] = weakref.ref(output)
                return output

        return Part()


def test_run_graph_frees_outputs_after_their_last_reader():
    wired = Watched()
    assert wired.run_graph((torch.tensor(3.0),), None) == (6 + 36) * 36
    assert wired.alive == {"twice": set(), "square": {"twice"}, "sum": {"twice", "square"}, "out": {"square", "sum"}}


def test_flat_graph_has_every_cell_once_after_its_inputs(make):
    for preset, count in (("full", 22), ("visual", 11), ("audio", 11), ("transformer", 22)):
        network = make(preset)
        known, cells = {"visual_features", "audio_features"}, []
        for step in network.flat_graph():
            assert set(step.inputs) <= known
            assert step.module not in known
            known.add(step.module)
            if isinstance(network.get_submodule(step.module), MixedCell):
                cells.append(step.module)
        assert cells == [cell.name for cell in network.space.cells]
        assert len(cells) == count
        assert step.module == "hash"


def test_network_graph_equals_the_flat_graph_of_a_network(make):
    for preset in ("full", "visual", "audio"):
        network = make(preset)
        assert network_graph(network.space.modalities) == tuple(network.flat_graph())


def test_flat_graph_joins_the_graphs_of_the_parts(make):
    steps = dict(make("full").flat_graph())
    assert steps["visual.up"] == ("visual_input",)
    assert steps["audio.D2"] == ("audio.M3", "audio.U3")
    assert steps["I2"] == ("audio.U4", "visual.U4")
    assert dict(make("audio").flat_graph())["S"] == ("audio.U4",)
