"""The network's wiring, step by step from the equations of the AV-NAS paper.

The operators are the network's own, taken by name; how they are connected is written out here a second time.
"""

import torch


def operator(network, cell, choices):
    """The module that plays a cell: `visual.M1` as `choices` names it."""
    holder = network.get_submodule(cell)
    return holder.operators[choices[cell]]


def encoder(network, modality, x, choices):
    """Eq. 3-5 for one modality."""

    def f(leaf):
        return operator(network, f"{modality}.{leaf}", choices)

    maps = network.get_submodule(modality)
    left = maps.up(x)
    left = f("M1")(left)
    left = f("U1")(left)
    left = f("M2")(left)
    right = maps.up_gate(x)
    right = f("U2")(right)
    joined = f("D1")(left, right)
    joined = maps.down(joined)
    e1 = f("U3")(joined)
    return f("U4")(f("D2")(f("M3")(e1), e1))


def hash_code(network, sequence):
    """Eq. 34: the mean over time, a fully connected layer, tanh."""
    return torch.tanh(network.hash.fc(sequence.mean(dim=1)))


def audio_visual(network, visual, audio, choices):
    """Eq. 12-14, 33 and 34: encoders, interaction, fusion, transformation, code."""
    streams = {}
    for modality, features in (("visual", visual), ("audio", audio)):
        to_model_width = network.get_submodule(f"{modality}_input")
        streams[modality] = encoder(network, modality, to_model_width(features), choices)
    v, a = streams["visual"], streams["audio"]
    z_v = operator(network, "I1", choices)(v, a)
    z_a = operator(network, "I2", choices)(a, v)
    z = operator(network, "F", choices)(z_v, z_a)
    return hash_code(network, operator(network, "T", choices)(z))
