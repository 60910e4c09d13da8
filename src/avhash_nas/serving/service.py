"""The service without its web framework: what each request comes to."""

import tempfile
import threading
import time
import uuid
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path

from avhash_nas import __version__
from avhash_nas.serving.catalogue import Catalogue
from avhash_nas.serving.gallery import Gallery
from avhash_nas.serving.job_queue import Gone, WaitingLine, unless
from avhash_nas.serving.reading import query_clip
from avhash_nas.serving.sandbox import Sandbox, SandboxError
from avhash_nas.serving.schemas import Health, RefusalError, Reply, ServiceLimits, found, search_options
from avhash_nas.serving.uploads import receive, too_large
from avhash_nas.serving.video_search import Answer, VideoSearch

Answers = tuple[list[Answer], tuple[str, ...]]
"""And what was met while reading a file."""

_MANY = 256
_FORM = 2**16  # bytes that a form takes besides its file
_NO_FILES = "this service answers by id and by code only: it was started without what makes codes of videos"


class Service:
    """Answers searches within bounds; files are decoded in a sandbox, a few at a time.

    Args:
        search: Finds videos.
        catalogue: The videos that can be chosen and played.
        limits: What one request may cost.

    Attributes:
        gallery: Shows them.
    """

    def __init__(self, search: VideoSearch, catalogue: Catalogue, limits: ServiceLimits | None = None) -> None:
        self.limits = limits or ServiceLimits()
        self._search = search
        self._by_distance = VideoSearch(search.store, search.network, search.extraction)
        self._sandbox = Sandbox(self.limits.decode_seconds, self.limits.decode_bytes)
        self._decoding = WaitingLine("decode", self.limits.workers, self.limits.waiting)
        self._searching = WaitingLine("search", 1, _MANY)
        self.gallery = Gallery(catalogue, self._sandbox, self.limits)
        self._features = threading.Lock()
        self._folder = tempfile.TemporaryDirectory(prefix="avnas-serve-")

    def start(self) -> None:
        """See that files can be decoded, and make the first request as fast as the others."""
        self._sandbox.start()

    def close(self) -> None:
        """Stop what runs, drop what waits, and remove what was uploaded."""
        self._sandbox.close()
        for part in (self._decoding, self._searching, self.gallery):
            part.close()
        self._folder.cleanup()

    @property
    def takes_files(self) -> bool:
        """Whether codes can be made of files."""
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
            rerank=self._search.rerank is not None,
            running=self._decoding.taken - self._decoding.waiting,
            waiting=self._decoding.waiting,
            capacity=self.limits.waiting,
            upload_bytes=self.limits.upload_bytes,
            top=self.limits.top,
            version=__version__,
        )

    async def by_upload(self, chunks: AsyncIterator[bytes], content_type: str, length: int | None, gone: Gone) -> Reply:
        """The videos most like one that is sent as a form with `video`, `top` and `rerank`.

        Args:
            chunks: The request's body.
            content_type: Of the request.
            length: Bytes of the body, where the request tells.
            gone: Whether the client has hung up.

        Raises:
            RefusalError: The form, the file or an option is not acceptable, or the service is busy.
        """
        self._check_files()
        if length is not None and length > self.limits.upload_bytes + _FORM:
            raise too_large(self.limits)
        path = Path(self._folder.name) / uuid.uuid4().hex
        with self._decoding.place() as run:
            try:
                upload = await receive(chunks, content_type, path, self.limits)
                top, rerank = search_options(upload.fields, self.limits)
                work = run(self._of_file, upload.name or "the file", str(path), top, self._ranked(rerank))
                return await unless(gone, self._reply(upload.name, work))
            finally:
                path.unlink(missing_ok=True)

    async def by_id(self, video: str, top: int, rerank: bool | None, gone: Gone) -> Reply:
        """The videos most like one of the store, or like one that is only listed, whose file is then read.

        Args:
            video: Its id.
            top: How many at most.
            rerank: Whether to rerank; None does where the service can.
            gone: Whether the client has hung up.

        Raises:
            RefusalError: There is no such video, its file cannot be read, or the service is busy.
        """
        search = self._ranked(rerank)
        if await self._searching.run(search.store.__contains__, video):
            return await self._reply(video, self._searching.run(lambda: (search.by_id(video, top), ())))
        path = self.gallery.catalogue.file(video)
        if path is None:
            raise RefusalError(404, f"there is no video {video!r} in the store")
        self._check_files()
        with self._decoding.place() as run:
            return await unless(gone, self._reply(video, run(self._of_file, video, str(path), top, search)))

    async def by_code(self, code: str, top: int) -> Reply:
        """The videos with the codes nearest to one.

        Args:
            code: In hexadecimal digits.
            top: How many at most.

        Raises:
            AvnasError: It is no code of the store's length.
        """
        return await self._reply(code, self._searching.run(lambda: (self._by_distance.by_code(code, top), ())))

    def _of_file(self, name: str, path: str, top: int, search: VideoSearch) -> Answers:
        """Decode a file in the sandbox, the rest here."""
        if search.extraction is None:
            raise RefusalError(400, _NO_FILES)
        try:
            clip = query_clip(self._sandbox, path, search.extraction.steps, search.extraction.audio.rate, self.limits)
        except SandboxError as error:
            raise RefusalError(422, f"{name}: {error}") from error
        with self._features:  # extractors use all cores by themselves
            features = search.extraction.of_clip(clip)
        return search.by_features(features.visual, features.audio, top), clip.notes

    async def _reply(self, query: str, work: Awaitable[Answers]) -> Reply:
        """Await answers, and take the time."""
        started = time.monotonic()
        answers, notes = await work
        return Reply(
            query=query,
            bits=self._search.store.bits,
            seconds=round(time.monotonic() - started, 4),
            notes=notes,
            answers=tuple(found(answer, self.gallery.catalogue) for answer in answers),
        )

    def _ranked(self, rerank: bool | None) -> VideoSearch:
        """The search with or without its second stage."""
        if rerank and self._search.rerank is None:
            raise RefusalError(400, "rerank: this service was started without --rerank")
        return self._by_distance if rerank is False else self._search

    def _check_files(self) -> None:
        if not self.takes_files:
            raise RefusalError(400, _NO_FILES)
