"""Operators whose time is known: each run moves a clock on."""

from avhash_nas.operators import Operator


class Clock:
    """Stands for a machine's clock."""

    seconds = 0.0

    def read(self):
        return self.seconds


clock = Clock()


class Quick(Operator):
    """Takes 2 seconds; every fourth run is disturbed and takes 100."""

    name = "quick"
    kinds = "MUF"

    def __init__(self):
        super().__init__()
        self.runs = 0

    def forward(self, x, y=None):
        clock.seconds += 100 if self.runs % 4 == 0 else 2
        self.runs += 1
        return x


class Slow(Operator):
    """Takes a second for each feature."""

    name = "slow"
    kinds = "MUF"

    def __init__(self, *, width):
        super().__init__()
        self.width = width

    def forward(self, x, y=None):
        assert x.shape[2] == self.width
        clock.seconds += self.width
        return x
