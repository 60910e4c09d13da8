"""The check that a strategy finds what is there to be found."""

from avhash_nas.testing.bench import Make, Problem, run, temporary_folder, visual_space

TOY = Problem(visual_space(M1=("skip", "mlp", "self_attention", "conv3")), epochs=16)
"""One free cell. Only the convolution can tell the two classes apart, as they differ in the order of events alone.

All else that the network has, attention without positions and the mean over time, does not see the order of time steps.
"""


def one_cell_is_solved(make: Make) -> None:
    """In a space with one free cell, of whose four candidates one can solve the problem, the strategy finds it."""
    strategy = make()
    with temporary_folder() as folder:
        run(strategy, TOY, folder)
    found = strategy.derive()["visual.M1"]
    assert found == "conv3", f"conv3 alone can solve the problem; found was {found}"
