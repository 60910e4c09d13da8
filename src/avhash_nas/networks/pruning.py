"""From a searched supernet to the network of its architecture."""

from typing import TypeVar

from avhash_nas.networks.searchable import SearchableNetwork
from avhash_nas.space import Architecture

S = TypeVar("S", bound=SearchableNetwork)


def prune(supernet: S, architecture: Architecture, *, inherit: bool = True) -> S:
    """Keeps the chosen candidate of every cell (paper, section 4.3, stage 2).

    The result computes, bit for bit, what the supernet computes on the route of that architecture. The authors' code
    builds a new network at this point, of another width than the supernet's, in spite of Eq. 44.

    Args:
        supernet: The searched network; it stays unchanged.
        architecture: A candidate for every cell.
        inherit: Copy the supernet's weights (Eq. 44) instead of a new initialization.

    Returns:
        A network without choices, with the supernet's device, precision and training mode.

    Raises:
        AvnasError: The architecture is not in the supernet's space.
    """
    arguments = {**supernet.arguments(), "space": supernet.space.fix(architecture).to_dict()}
    plain = type(supernet).from_arguments(arguments).to(next(supernet.parameters()))
    if inherit:
        weights = supernet.state_dict()
        plain.load_state_dict({name: weights[name] for name in plain.state_dict()})
    return plain.train(supernet.training)
