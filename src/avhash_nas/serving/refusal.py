"""Requests that the service does not fulfil."""

from avhash_nas.errors import AvnasError


class RefusalError(AvnasError):
    """A request that is answered by an error.

    Args:
        status: HTTP status.
        message: One line for the user: what is wrong and what to do.
        retry_after: Seconds after which the same request may succeed, or None.
    """

    def __init__(self, status: int, message: str, retry_after: int | None = None) -> None:
        self.status = status
        self.retry_after = retry_after
        super().__init__(message)
