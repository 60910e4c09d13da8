"""Videos that should lie near the anchor of their cluster: BTH, DKPH, MCMSH."""

from torch import Tensor


def anchor_alignment(hidden: Tensor, anchors: Tensor) -> Tensor:
    """Mean over videos and dimensions of the squared difference between a video and its anchor.

    The released codes of BTH, DKPH and MCMSH add the two videos of a pair up: twice this.

    Args:
        hidden: One vector for each video, the mean over its time steps, (B, D).
        anchors: The anchor nearest to each video, as found beforehand, (B, D).

    Returns:
        A scalar.
    """
    return (hidden - anchors).square().mean()
