"""From a supernet and an architecture to a plain network."""

from avhash_nas.networks.audio_visual import AudioVisualNetwork
from avhash_nas.space import Architecture


def prune(supernet: AudioVisualNetwork, architecture: Architecture, *, inherit: bool = True) -> AudioVisualNetwork:
    """Keep the chosen candidate of every cell (paper, section 4.3, stage 2).

    The result computes, bit for bit, what the supernet computes on the route of that architecture. The authors' code
    builds a fresh network at this point, of another width than the supernet's, in spite of Eq. 44.

    Args:
        supernet: The searched network; it is left as it is.
        architecture: A candidate for every cell.
        inherit: Take over the supernet's weights (Eq. 44), or leave the fresh initialization.

    Returns:
        A network without choices, of the supernet's device, precision and training mode.

    Raises:
        AvnasError: The architecture does not lie in the supernet's space.
    """
    arguments = {**supernet.arguments(), "space": supernet.space.fix(architecture).to_dict()}
    plain = AudioVisualNetwork.from_arguments(arguments).to(next(supernet.parameters()))
    if inherit:
        weights = supernet.state_dict()
        plain.load_state_dict({name: weights[name] for name in plain.state_dict()})
    return plain.train(supernet.training)
