"""Receives a multipart form with one video: streams it to a file and rejects it as soon as a limit is exceeded."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from avhash_nas.serving.schemas import RefusalError, ServiceLimits

VIDEO = "video"
"""Name of the form field with the file."""

_FIELDS = 8
_FIELD_BYTES = 4096
_BUFFER = 2**20


@dataclass
class Upload:
    """A received form.

    Attributes:
        path: The file with the video.
        name: Name of the file on the client, only for display.
        fields: The other fields.
    """

    path: Path
    name: str = ""
    fields: dict[str, str] = field(default_factory=dict)


async def receive(chunks: AsyncIterator[bytes], content_type: str, path: Path, limits: ServiceLimits) -> Upload:
    """Parses a form and writes its video to a file.

    Raises:
        RefusalError: The form is invalid, too large or too slow, the file is not a video, or the disk is full.
    """
    try:
        with path.open("wb") as file:
            form = _Form(Upload(path), file, content_type)
            async with asyncio.timeout(limits.upload_seconds):
                await _fill(form, chunks, limits)
    except TimeoutError as error:
        raise RefusalError(408, f"the upload took longer than {limits.upload_seconds} s") from error
    except OSError as error:
        raise RefusalError(507, f"the upload cannot be stored: {error.strerror}") from error
    return form.upload


async def _fill(form: "_Form", chunks: AsyncIterator[bytes], limits: ServiceLimits) -> None:
    left = limits.upload_bytes + _FIELDS * _FIELD_BYTES
    async for chunk in chunks:
        left -= len(chunk)
        if left < 0:
            raise too_large(limits)
        form.feed(chunk)
        if len(form.buffer) >= _BUFFER:
            await asyncio.to_thread(form.flush)
    form.finish()
    await asyncio.to_thread(form.flush)


def too_large(limits: ServiceLimits) -> RefusalError:
    """The error for a file that exceeds the size limit."""
    return RefusalError(413, f"the file is larger than the limit of {limits.upload_bytes / 2**20:g} MiB")


class _Form:
    """Feeds python-multipart's parser and collects the results of its callbacks."""

    def __init__(self, upload: Upload, file: BinaryIO, content_type: str) -> None:
        from python_multipart.exceptions import FormParserError
        from python_multipart.multipart import MultipartParser, parse_options_header

        self.upload = upload
        self.buffer = bytearray()
        self._file = file
        self._options = parse_options_header
        self._errors = FormParserError
        kind, options = parse_options_header(content_type)
        if kind != b"multipart/form-data" or not options.get(b"boundary"):
            raise RefusalError(415, f"send the video as multipart/form-data, in a field named {VIDEO!r}")
        self._parser: Any = MultipartParser(
            options[b"boundary"],
            {
                "on_part_begin": self._part_begins,
                "on_header_field": self._header_name,
                "on_header_value": self._header_value,
                "on_header_end": self._header_ends,
                "on_headers_finished": self._headers_end,
                "on_part_data": self._data,
                "on_part_end": self._part_ends,
                "on_end": self._form_ends,
            },
        )
        self._headers: dict[bytes, bytes] = {}
        self._name, self._value = bytearray(), bytearray()
        self._field = ""
        self._text: bytearray | None = None  # None inside the video
        self._size = 0
        self._complete = False

    def feed(self, chunk: bytes) -> None:
        """Parses the next bytes of the body."""
        try:
            self._parser.write(chunk)
        except self._errors as error:
            raise RefusalError(400, f"the form is damaged: {error}") from error

    def flush(self) -> None:
        """Writes the buffer to the file."""
        self._file.write(self.buffer)
        self.buffer.clear()

    def finish(self) -> None:
        """Checks that the form is complete."""
        if not self._complete:
            raise RefusalError(400, "the form ends too early")
        if not self.upload.name and not self._size:
            raise RefusalError(400, f"the form has no file in a field named {VIDEO!r}")
        if not self._size:
            raise RefusalError(400, "the file is empty")

    def _part_begins(self) -> None:
        self._headers, self._name, self._value = {}, bytearray(), bytearray()

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += self._short(self._name, data[start:end])

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += self._short(self._value, data[start:end])

    def _header_ends(self) -> None:
        if len(self._headers) >= _FIELDS:
            raise RefusalError(400, "a field of the form has too many headers")
        self._headers[bytes(self._name).lower()] = bytes(self._value)
        self._name, self._value = bytearray(), bytearray()

    def _headers_end(self) -> None:
        options = self._options(self._headers.get(b"content-disposition"))[1]
        self._field = options.get(b"name", b"").decode("utf-8", "replace")
        if self._field != VIDEO:
            if len(self.upload.fields) >= _FIELDS:
                raise RefusalError(400, "the form has too many fields")
            self._text = bytearray()
        elif self.upload.name or self._size:
            raise RefusalError(400, "the form has more than one video")
        else:
            self._text = None
            self.upload.name = options.get(b"filename", b"").decode("utf-8", "replace")

    def _data(self, data: bytes, start: int, end: int) -> None:
        piece = data[start:end]
        if self._text is not None:
            self._text += self._short(self._text, piece)
            return
        self.buffer += piece
        if self._size < HEAD <= self._size + len(piece):
            self._check_container()
        self._size += len(piece)

    def _part_ends(self) -> None:
        if self._text is not None:
            self.upload.fields[self._field] = self._text.decode("utf-8", "replace")
        elif 0 < self._size < HEAD:
            self._check_container()

    def _form_ends(self) -> None:
        self._complete = True

    def _check_container(self) -> None:
        """Rejects a file that is not a video as soon as its first bytes have arrived, before they are flushed."""
        if not is_video(bytes(self.buffer[:HEAD])):
            raise RefusalError(415, "the file is not a video in a known container, such as mp4, mov, webm, mkv or avi")

    @staticmethod
    def _short(so_far: bytearray, piece: bytes) -> bytes:
        if len(so_far) + len(piece) > _FIELD_BYTES:
            raise RefusalError(
                400, f"a field of the form is longer than {_FIELD_BYTES} bytes; a video goes into {VIDEO!r}"
            )
        return piece


HEAD = 380
"""Number of bytes that `is_video` needs."""

_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"styp")
_STARTS = (
    b"\x1a\x45\xdf\xa3",  # Matroska, WebM
    b"\x00\x00\x01\xba",  # MPEG program stream
    b"\x00\x00\x01\xb3",  # MPEG-1 and MPEG-2 video
    b"FLV\x01",
    b"OggS",
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",  # ASF, WMV
    b"GIF8",
)


def is_video(head: bytes) -> bool:
    """Detects common video containers by the magic bytes in the first `HEAD` bytes of a file.

    Text formats are rejected, and with them playlists (HLS, DASH, `ffconcat`) that would make FFmpeg open other files.
    """
    if head.startswith(_STARTS) or head[4:8] in _BOXES:
        return True
    if head.startswith(b"RIFF") and head[8:12] == b"AVI ":
        return True
    return any(  # MPEG transport stream: packets of 188 bytes, or 192 with a timestamp (m2ts)
        len(head) > start + length and head[start] == head[start + length] == 0x47
        for start, length in ((0, 188), (4, 192))
    )
