"""What is done to the features of a training batch."""

import torch
from torch import Tensor, nn

from avhash_nas.data import Batch
from avhash_nas.errors import AvnasError


class Augmentation(nn.Module):
    """Varies training videos so that a network of few videos cannot learn them by heart. Not in the paper.

    Args:
        frames: Time steps kept of each video: the T steps are cut into that many equal parts and one step is drawn
            from each, for every video anew, the same ones in both modalities (the sampling of temporal segment
            networks, Wang et al. 2016). Where T / frames is no whole number, neighboring parts share a step, which may
            then be drawn twice. It makes a training step cheaper by T / frames as well. 0 keeps all.
        noise: Standard deviation of Gaussian noise on every feature, in units of the batch's own deviation.

    Raises:
        AvnasError: An option is negative.
    """

    def __init__(self, frames: int = 0, noise: float = 0.0) -> None:
        super().__init__()
        if frames < 0:
            raise AvnasError(f"augmentation.frames must not be negative, got {frames}")
        if noise < 0:
            raise AvnasError(f"augmentation.noise must not be negative, got {noise}")
        self.frames = frames
        self.noise = noise

    def forward(self, batch: Batch) -> Batch:
        """A varied batch; labels and index stay.

        Args:
            batch: Features of shape (B, T, dim).
        """
        visual, audio = batch.visual, batch.audio
        if 0 < self.frames < visual.shape[1]:
            steps = segment_steps(len(visual), visual.shape[1], self.frames, visual.device)
            visual, audio = _take(visual, steps), _take(audio, steps)
        if self.noise:
            visual, audio = self._with_noise(visual), self._with_noise(audio)
        return batch._replace(visual=visual, audio=audio)

    def _with_noise(self, features: Tensor) -> Tensor:
        return features + self.noise * features.std() * torch.randn_like(features)


def segment_steps(videos: int, steps: int, segments: int, device: torch.device) -> Tensor:
    """One time step from each of `segments` equal parts of 0 ... `steps` - 1, for each video.

    Returns:
        Shape (videos, segments), ascending in each row.
    """
    starts = torch.arange(segments, device=device) * steps / segments
    drawn = starts + torch.rand(videos, segments, device=device) * (steps / segments)
    return drawn.long().clamp_(max=steps - 1)


def _take(features: Tensor, steps: Tensor) -> Tensor:
    return features.gather(1, steps[:, :, None].expand(-1, -1, features.shape[2]))
