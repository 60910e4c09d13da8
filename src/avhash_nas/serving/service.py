"""The service, independent of the web framework."""

import tempfile
import threading
import time
import uuid
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path

from avhash_nas import __version__
from avhash_nas.serving.catalogue import Catalogue
from avhash_nas.serving.gallery import Gallery
from avhash_nas.serving.job_queue import Disconnected, JobQueue, unless_disconnected
from avhash_nas.serving.reading import query_clip
from avhash_nas.serving.sandbox import Sandbox, SandboxError
from avhash_nas.serving.schemas import Health, RefusalError, Reply, ServiceLimits, found_video, search_options
from avhash_nas.serving.uploads import receive, too_large
from avhash_nas.serving.video_search import Answer, VideoSearch

Answers = tuple[list[Answer], tuple[str, ...]]
"""Answers, and notes on the decoded file."""

_MANY = 256
_FORM = 2**16  # size of a form besides its file, in bytes
_NO_FILES = "this service searches by id and by code only: it was started without a network or an extraction"


class Service:
    """Answers searches within limits; files are decoded in a sandbox, a few at a time.

    Args:
        search: The search.
        catalogue: The videos that can be selected and played.
        limits: Limits on requests.

    Attributes:
        gallery: Lists, files and thumbnails of the catalogue.
    """

    def __init__(self, search: VideoSearch, catalogue: Catalogue, limits: ServiceLimits | None = None) -> None:
        self.limits = limits or ServiceLimits()
        self._search = search
        self._by_distance = VideoSearch(search.store, search.network, search.extraction, text=search.text)
        self._sandbox = Sandbox(self.limits.decode_seconds, self.limits.decode_bytes)
        self._decoding = JobQueue("decode", self.limits.workers, self.limits.waiting)
        self._searching = JobQueue("search", 1, _MANY)
        self.gallery = Gallery(catalogue, self._sandbox, self.limits)
        self._features = threading.Lock()
        self._folder = tempfile.TemporaryDirectory(prefix="avnas-serve-")

    def start(self) -> None:
        """Starts the sandbox."""
        self._sandbox.start()

    def close(self) -> None:
        """Stops running work, drops waiting jobs, and removes uploads."""
        self._sandbox.close()
        for part in (self._decoding, self._searching, self.gallery):
            part.close()
        self._folder.cleanup()

    @property
    def takes_files(self) -> bool:
        """Whether the service can search by video file."""
        return self._search.network is not None and self._search.extraction is not None

    def health(self) -> Health:
        """State of the service."""
        store = self._search.store
        return Health(
            status="ok",
            videos=len(store),
            bits=store.bits,
            fingerprint=store.fingerprint,
            uploads=self.takes_files,
            texts=self._search.text is not None,
            classes=store.class_names,
            rerank=self._search.rerank is not None,
            running=self._decoding.occupied - self._decoding.waiting,
            waiting=self._decoding.waiting,
            capacity=self.limits.waiting,
            upload_bytes=self.limits.upload_bytes,
            top=self.limits.top,
            version=__version__,
        )

    async def by_upload(
        self, chunks: AsyncIterator[bytes], content_type: str, length: int | None, disconnected: Disconnected
    ) -> Reply:
        """Search by an uploaded form with `video`, `top` and `rerank`; `length` is the declared size of its body.

        Raises:
            RefusalError: The form, the file or an option is invalid, or the service is busy.
        """
        self._check_files()
        if length is not None and length > self.limits.upload_bytes + _FORM:
            raise too_large(self.limits)
        path = Path(self._folder.name) / uuid.uuid4().hex
        with self._decoding.slot() as run:
            try:
                upload = await receive(chunks, content_type, path, self.limits)
                top, rerank = search_options(upload.fields, self.limits)
                work = run(self._of_file, upload.name or "the file", str(path), top, self._ranked(rerank))
                return await unless_disconnected(disconnected, self._reply(upload.name, work))
            finally:
                path.unlink(missing_ok=True)

    async def by_id(self, video: str, top: int, rerank: bool | None, disconnected: Disconnected) -> Reply:
        """Search by the id of a video in the store, or in the catalogue, whose file is then decoded.

        Args:
            video: Its id.
            top: Maximum number of answers.
            rerank: Whether to rerank; None if the service can.
            disconnected: Whether the client has disconnected.

        Raises:
            RefusalError: There is no such video, its file cannot be decoded, or the service is busy.
        """
        search = self._ranked(rerank)
        if await self._searching.run(search.store.__contains__, video):
            return await self._reply(video, self._searching.run(lambda: (search.by_id(video, top), ())))
        path = self.gallery.catalogue.file(video)
        if path is None:
            raise RefusalError(404, f"there is no video {video!r} in the store")
        self._check_files()
        with self._decoding.slot() as run:
            return await unless_disconnected(
                disconnected, self._reply(video, run(self._of_file, video, str(path), top, search))
            )

    async def by_code(self, code: str, top: int) -> Reply:
        """Search by a code in hexadecimal digits.

        Raises:
            AvnasError: The code is invalid or has another length than the store's.
        """
        return await self._reply(code, self._searching.run(lambda: (self._by_distance.by_code(code, top), ())))

    async def by_text(self, text: str, top: int, rerank: bool | None, label: str | None) -> Reply:
        """Search by words.

        Raises:
            AvnasError: The text is empty or too long, there is no such class, or the service has no text side.
        """
        search = self._ranked(rerank)
        return await self._reply(text, self._searching.run(lambda: (search.by_text(text, top, label), ())))

    def _of_file(self, name: str, path: str, top: int, search: VideoSearch) -> Answers:
        """Decodes a file in the sandbox and searches by its features."""
        if search.extraction is None:
            raise RefusalError(400, _NO_FILES)
        try:
            clip = query_clip(self._sandbox, path, search.extraction, self.limits)
        except SandboxError as error:
            raise RefusalError(422, f"{name}: {error}") from error
        with self._features:  # one extraction already uses all cores
            features = search.extraction.of_clip(clip)
        return search.by_features(features.visual, features.audio, top), clip.notes

    async def _reply(self, query: str, work: Awaitable[Answers]) -> Reply:
        """Awaits answers and measures the time."""
        started = time.monotonic()
        answers, notes = await work
        kept = self._search.store.header.frames
        steps = kept[0] if kept is not None else None
        return Reply(
            query=query,
            bits=self._search.store.bits,
            seconds=round(time.monotonic() - started, 4),
            notes=notes,
            answers=tuple(found_video(answer, self.gallery.catalogue, steps) for answer in answers),
        )

    def _ranked(self, rerank: bool | None) -> VideoSearch:
        """The search with or without rerank."""
        if rerank and self._search.rerank is None:
            raise RefusalError(400, "rerank: this service was started without --rerank")
        return self._by_distance if rerank is False else self._search

    def _check_files(self) -> None:
        if not self.takes_files:
            raise RefusalError(400, _NO_FILES)
