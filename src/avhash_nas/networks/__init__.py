"""The audio-visual hashing network, as supernet and as plain network.

`audio_visual.AudioVisualNetwork` is the supernet where its space has choices; `mixed_cell.MixedCell` is one cell of it.
"""

from avhash_nas.networks.audio_visual import AudioVisualNetwork, network_graph, prune
from avhash_nas.networks.batch_norm import BatchNorm
from avhash_nas.networks.binarizers import hard_sign, identity_sign
from avhash_nas.networks.compiling import compile_network, uncompile_network
from avhash_nas.networks.hash_layer import HashLayer
from avhash_nas.networks.hash_network import CodesAndSteps, HashNetwork
from avhash_nas.networks.latency import LatencyTable, measure_latency, measure_network
from avhash_nas.networks.modalities import features_dim, features_of, side_by_side
from avhash_nas.networks.route import Choice, Mixture, Route, Routes, mixture_route
from avhash_nas.networks.routed_network import RoutedNetwork
from avhash_nas.networks.text_network import TextHashNetwork, TextViews, VideoViews
from avhash_nas.networks.text_paired import TextPaired

__all__ = [
    "AudioVisualNetwork",
    "BatchNorm",
    "Choice",
    "CodesAndSteps",
    "HashLayer",
    "HashNetwork",
    "LatencyTable",
    "Mixture",
    "Route",
    "RoutedNetwork",
    "Routes",
    "TextHashNetwork",
    "TextPaired",
    "TextViews",
    "VideoViews",
    "compile_network",
    "features_dim",
    "features_of",
    "hard_sign",
    "identity_sign",
    "measure_latency",
    "measure_network",
    "mixture_route",
    "network_graph",
    "prune",
    "side_by_side",
    "uncompile_network",
]
