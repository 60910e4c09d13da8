"""The ASGI app: routes, error handlers and static pages."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Annotated, Any

from avhash_nas import __version__
from avhash_nas.errors import AvnasError, MissingExtraError
from avhash_nas.serving.catalogue import media_type
from avhash_nas.serving.middleware import SecurityMiddleware
from avhash_nas.serving.schemas import (
    DEFAULT_TOP,
    FoundVideo,
    Health,
    Listed,
    ListPage,
    Problem,
    RefusalError,
    Reply,
    with_descriptions,
)
from avhash_nas.serving.service import Service
from avhash_nas.serving.uploads import VIDEO

_PAGES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/docs": ("docs.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/search.js": ("search.js", "text/javascript; charset=utf-8"),
    "/docs.js": ("docs.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
"""Files by URL path. They are read at start: no part of a request is used as a file path."""


def create_app(service: Service, hosts: Iterable[str] = ()) -> Any:
    """Creates the ASGI app of a service, which starts and closes the service.

    Args:
        service: The service.
        hosts: Accepted host names (`SecurityMiddleware`); empty for any.

    Raises:
        MissingExtraError: FastAPI or python-multipart is not installed.
    """
    try:
        import python_multipart  # noqa: F401
        from fastapi import FastAPI
    except ImportError as error:
        raise MissingExtraError(str(error.name), "serve", "the service") from error

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        await asyncio.to_thread(service.start)
        yield
        await asyncio.to_thread(service.close)

    app = FastAPI(
        exception_handlers=_error_handlers(),
        title="avnas serve",
        summary="Search for similar videos.",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        responses={"4XX": {"model": Problem, "description": "The request failed; `error` says why."}},
    )
    for routes in (_pages(), _search(service), _videos(service)):
        app.include_router(routes)
    app.openapi = with_descriptions(app.openapi, (FoundVideo, Health, Listed, ListPage, Problem, Reply))  # type: ignore[method-assign]
    return SecurityMiddleware(app, hosts)


def _error_handlers() -> dict[Any, Any]:
    """Error handlers by exception: every error is a JSON object with one line in `error`."""
    from fastapi import HTTPException, Request
    from fastapi.exceptions import RequestValidationError
    from fastapi.responses import JSONResponse
    from starlette.exceptions import HTTPException as AnyHTTPException

    def problem(status: int, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
        return JSONResponse({"error": message}, status, headers)

    async def refused(_: Request, error: AvnasError) -> JSONResponse:
        if not isinstance(error, RefusalError):
            return problem(400, str(error))
        return problem(error.status, str(error), {"Retry-After": str(error.retry_after)} if error.retry_after else None)

    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        return problem(422, f"{first['loc'][-1]}: {first['msg']}")

    async def not_found(_: Request, error: HTTPException) -> JSONResponse:
        return problem(error.status_code, str(error.detail), dict(error.headers or {}))

    async def broken(_: Request, __: Exception) -> JSONResponse:
        return problem(500, "internal error; see the log of the service")

    return {AvnasError: refused, RequestValidationError: invalid, AnyHTTPException: not_found, Exception: broken}


def _pages() -> Any:
    from fastapi import APIRouter, Response

    routes = APIRouter(include_in_schema=False)
    folder = files("avhash_nas.serving") / "pages"

    def add(address: str, name: str, kind: str) -> None:
        content = (folder / name).read_bytes()

        async def page() -> Response:
            return Response(content, media_type=kind, headers={"Cache-Control": "no-cache"})

        routes.add_api_route(address, page, methods=["GET", "HEAD"])

    for address, (name, kind) in _PAGES.items():
        add(address, name, kind)
    return routes


def _search(service: Service) -> Any:
    from fastapi import APIRouter, Query, Request
    from starlette.requests import ClientDisconnect

    form = {
        "type": "object",
        "required": [VIDEO],
        "properties": {
            VIDEO: {"type": "string", "format": "binary", "description": "The video file."},
            "top": {"type": "integer", "minimum": 1, "maximum": service.limits.top, "default": DEFAULT_TOP},
            "rerank": {"type": "boolean", "description": "Whether to rerank; by default if the service can."},
        },
    }
    routes = APIRouter()
    body = {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": form}}}}

    @routes.post("/api/search", summary="Search by an uploaded video", openapi_extra=body)
    async def by_upload(request: Request) -> Reply:
        length = request.headers.get("content-length")
        kind = request.headers.get("content-type", "")
        size = int(length) if length and length.isdigit() else None
        try:
            return await service.by_upload(request.stream(), kind, size, request.is_disconnected)
        except ClientDisconnect as error:
            raise RefusalError(499, "the client has disconnected") from error

    @routes.get("/api/search", summary="Search by id, by words or by code")
    async def search(
        request: Request,
        id: Annotated[str | None, Query(description="Id of a video.", max_length=1024)] = None,  # noqa: A002
        text: Annotated[str | None, Query(description="Words.", max_length=1024)] = None,
        label: Annotated[str | None, Query(description="With text: only this class.", max_length=256)] = None,
        code: Annotated[str | None, Query(description="A code in hexadecimal digits.", max_length=4096)] = None,
        top: Annotated[int, Query(ge=1, le=service.limits.top, description="Maximum number of answers.")] = DEFAULT_TOP,
        rerank: Annotated[bool | None, Query(description="Whether to rerank; by default if the service can.")] = None,
    ) -> Reply:
        if sum(each is not None for each in (id, text, code)) != 1:
            raise RefusalError(422, "give one of id, text and code")
        if label is not None and text is None:
            raise RefusalError(422, "label goes with text")
        if text is not None:
            return await service.by_text(text, top, rerank, label)
        if code is not None:
            return await service.by_code(code, top)
        return await service.by_id(str(id), top, rerank, request.is_disconnected)

    return routes


def _videos(service: Service) -> Any:
    from fastapi import APIRouter, Query, Response
    from fastapi.responses import FileResponse

    routes = APIRouter()

    @routes.get("/api/videos", summary="The videos that can be selected, sorted by id")
    async def videos(
        prefix: Annotated[str, Query(description="Prefix of the ids.", max_length=1024)] = "",
        start: Annotated[int, Query(ge=0, le=10**9, description="Number of videos to skip.")] = 0,
        count: Annotated[int, Query(ge=1, le=100, description="Maximum number of videos.")] = 24,
    ) -> ListPage:
        return service.gallery.videos(prefix, start, count)

    @routes.get("/api/videos/{video:path}", summary="One video")
    async def video(video: str) -> Listed:
        return service.gallery.video(video)

    @routes.head("/media/{video:path}", include_in_schema=False, response_class=FileResponse)
    @routes.get("/media/{video:path}", summary="A video's file", response_class=FileResponse)
    async def media(video: str) -> FileResponse:
        path = service.gallery.file(video)
        return FileResponse(path, media_type=media_type(path), headers={"Cache-Control": "private, max-age=3600"})

    @routes.get("/thumbnails/{video:path}", summary="A thumbnail of a video, JPEG", response_class=Response)
    async def thumbnail(
        video: str,
        step: Annotated[int, Query(ge=0, le=255, description="Number of the frame, from 0.")] = 0,
        of: Annotated[int, Query(ge=1, le=256, description="Frames into which the video is cut.")] = 1,
    ) -> Response:
        headers = {"Cache-Control": "private, max-age=3600"}
        image = await service.gallery.thumbnail(video, min(step, of - 1), of)
        return Response(image, media_type="image/jpeg", headers=headers)

    @routes.get("/health", summary="State of the service")
    async def health() -> Health:
        return service.health()

    return routes
