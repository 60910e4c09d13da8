"""Errors that a user can mend: one clear line each, exit code 2."""

from collections.abc import Sequence


class AvnasError(Exception):
    """Bad input. The message says what is wrong, where, and what to do; the command line exits with code 2."""


class DataError(AvnasError):
    """One or more problems of a dataset, found in one pass.

    Args:
        problems: One line for each problem, naming the file and the video or line.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class MissingExtraError(AvnasError):
    """An optional package is needed and not installed.

    Args:
        package: The import name.
        extra: The extra of this project that installs it.
        purpose: What it is needed for.
    """

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs {package}: pip install 'avhash-nas[{extra}]'")
