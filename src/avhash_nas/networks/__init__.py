"""The audio-visual hashing network, as supernet and as plain network."""

from avhash_nas.networks.audio_visual import AudioVisualNetwork
from avhash_nas.networks.hash_layer import HashLayer
from avhash_nas.networks.hash_network import HashNetwork
from avhash_nas.networks.pruning import prune
from avhash_nas.networks.route import Choice, Mixture, Route, Routes, mixture_route

__all__ = [
    "AudioVisualNetwork",
    "Choice",
    "HashLayer",
    "HashNetwork",
    "Mixture",
    "Route",
    "Routes",
    "mixture_route",
    "prune",
]
