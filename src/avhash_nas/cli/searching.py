"""What a search needs beside the store: the network of the codes, and how features are made of videos."""

from typing import TYPE_CHECKING

from avhash_nas.cli.model_folder import check_fits, model_folder
from avhash_nas.errors import AvnasError, MissingExtraError

if TYPE_CHECKING:
    from avhash_nas.extraction import Extraction
    from avhash_nas.networks import HashNetwork
    from avhash_nas.retrieval import CodeStore


def query_network(model: str, device: str) -> "HashNetwork":
    """The network of a run or of a model folder.

    Args:
        model: The folder.
        device: Where it runs: cpu, cuda, cuda:1.

    Raises:
        AvnasError: The folder holds no network, or there is no such device.
    """
    from avhash_nas.networks import HashNetwork

    network = HashNetwork.from_pretrained(model_folder(model))
    try:
        return network.to(device)
    except (RuntimeError, AssertionError) as error:
        raise AvnasError(f"--device {device}: {str(error).splitlines()[0]}") from error


def query_extraction(store: "CodeStore", model: str, network: "HashNetwork") -> "Extraction | None":
    """How features are made of a video file, as the store knows it, or else the model; None if neither does.

    Args:
        store: That is searched.
        model: Folder of a run or of a model.
        network: That takes the features.

    Raises:
        AvnasError: The features are of other widths than the network takes, or an extractor cannot be loaded.
        MissingExtraError: What reads video files is not installed.
    """
    from avhash_nas.data import read_extraction
    from avhash_nas.extraction import Extraction

    described = store.extraction or read_extraction(model_folder(model))
    if described is None:
        return None
    extraction = Extraction.from_dict(described)
    check_fits(extraction, network, model, store.where)
    try:
        import av  # noqa: F401
        import PIL  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(str(error.name), "extract", "reading video files") from error
    return extraction.prepare()
