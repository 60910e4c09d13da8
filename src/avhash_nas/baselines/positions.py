"""Where a time step lies in its video; see `avhash_nas.networks.positions`."""

from avhash_nas.networks.positions import sinusoids

__all__ = ["sinusoids"]
