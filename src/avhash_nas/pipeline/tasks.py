"""The task of a network."""

from avhash_nas.errors import AvnasError
from avhash_nas.networks import HashNetwork, ParsingNetwork, VideoNetwork
from avhash_nas.pipeline.hashing_task import HashingTask
from avhash_nas.pipeline.parsing_task import ParsingTask
from avhash_nas.pipeline.task import Task


def task_of(network: type[VideoNetwork]) -> Task:
    """The task that networks of a class are trained for.

    Raises:
        AvnasError: They are neither hashing nor parsing networks.
    """
    if issubclass(network, HashNetwork):
        return HashingTask()
    if issubclass(network, ParsingNetwork):
        return ParsingTask()
    raise AvnasError(f"{network.__name__}: is neither a HashNetwork nor a ParsingNetwork")
