"""The check that a strategy solves a problem with a known solution."""

from avhash_nas.testing.bench import Make, Problem, run, temporary_folder, visual_space

TOY = Problem(visual_space(M1=("skip", "mlp", "self_attention", "conv3")), epochs=16)
"""One free cell. Only the convolution can distinguish the two classes, which differ only in the order of two events.

Everything else in the network, attention without positions and the mean over time, ignores the order of time steps.
"""


def one_cell_is_solved(make: Make) -> None:
    """In a space with one free cell, one of whose four candidates can solve the problem, the strategy finds it."""
    strategy = make()
    with temporary_folder() as folder:
        run(strategy, TOY, folder)
    derived = strategy.derive()["visual.M1"]
    assert derived == "conv3", f"only conv3 can solve the problem; derived was {derived}"
