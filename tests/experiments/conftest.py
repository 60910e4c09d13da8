"""Makes the modules that scripts of experiments share known to the tests, as the scripts do for themselves."""

import sys

from experiments.loading import EXPERIMENTS

sys.path += [str(EXPERIMENTS), str(EXPERIMENTS / "wesnoth")]
