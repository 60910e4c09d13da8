"""What one request may cost the service."""

from dataclasses import dataclass, fields

from avhash_nas.errors import AvnasError


@dataclass(frozen=True)
class ServiceLimits:
    """Bounds on requests; every one is at least 1.

    Attributes:
        upload_bytes: Size of an uploaded file.
        upload_seconds: Time that an upload may take.
        video_seconds: Duration of a video.
        pixels: Of one frame; the default admits 4K.
        decode_seconds: Time that decoding one file may take, in real time and on the processor.
        decode_bytes: Memory that decoding one file may take.
        workers: Files that are decoded at a time.
        waiting: Searches that may wait for a worker; the next one is told to come back later.
        top: Answers to one query.
    """

    upload_bytes: int = 200 * 2**20
    upload_seconds: int = 120
    video_seconds: int = 3600
    pixels: int = 4096 * 2304
    decode_seconds: int = 30
    decode_bytes: int = 2**30
    workers: int = 2
    waiting: int = 16
    top: int = 100

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            AvnasError: A bound is below 1.
        """
        for field in fields(self):
            value = getattr(self, field.name)
            if value < 1:
                raise AvnasError(f"limits.{field.name} must be at least 1, got {value}")
