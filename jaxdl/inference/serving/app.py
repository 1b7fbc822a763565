"""HTTP routes of the page; requests from other pages and under other host names are refused."""

import importlib.resources
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from jaxdl.data.image_headers import BadImage
from jaxdl.inference.serving.service import Classifier
from jaxdl.inference.serving.settings import LOOPBACK, ServeSettings

PAGE = {'/': 'page.html', '/page.css': 'page.css', '/page.js': 'page.js'}
TYPES = dict(html='text/html', css='text/css', js='text/javascript')
# Everything is served from here, and nothing that the page shows can run.
HEADERS = {
    'Content-Security-Policy': (
        "default-src 'none'; script-src 'self'; style-src 'self'; "
        "img-src 'self' data: blob:; connect-src 'self'; "
        "frame-ancestors 'self'; form-action 'none'; base-uri 'none'"
    ),
    'X-Content-Type-Options': 'nosniff',
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Referrer-Policy': 'no-referrer',
    'Cache-Control': 'no-store',
}


def make_app(classifier: Classifier, settings: ServeSettings) -> Starlette:
    """Application with the page, /about, /health, /predict and the training images."""

    async def file(request: Request) -> Response:
        name = PAGE[request.url.path]
        content = (
            importlib.resources.files('jaxdl.inference.serving').joinpath('page', name).read_bytes()
        )
        return Response(content, media_type=TYPES[name.rpartition('.')[2]])

    async def about(request: Request) -> Response:
        return JSONResponse(classifier.metadata())

    async def health(request: Request) -> Response:
        return JSONResponse(dict(ready=True))

    async def predict(request: Request) -> Response:
        content = await _body(request, settings.max_bytes)
        if content is None:
            return _refuse(413, f'an image may have {settings.max_bytes:,} bytes at most')
        if not content:
            return _refuse(400, 'the body of the request must be an image')
        try:
            return JSONResponse(await run_in_threadpool(classifier.classify, content))
        except BadImage as error:
            return _refuse(422, f'cannot be read as an image: {error}')

    async def training(request: Request) -> Response:
        place = request.path_params['place']
        if place >= classifier.neighbours.size:
            return _refuse(404, 'no such image')
        return Response(classifier.neighbours.pictures[place], media_type='image/jpeg')

    routes = [Route(path, file) for path in PAGE]
    routes += [
        Route('/about', about),
        Route('/health', health),
        Route('/predict', predict, methods=['POST']),
    ]
    application = Starlette(routes=[*routes, Route('/training/{place:int}', training)])
    application.add_middleware(BaseHTTPMiddleware, dispatch=make_guard(settings))
    return application


def make_guard(settings: ServeSettings) -> Callable[..., Awaitable[Response]]:
    """Middleware: refuse other origins and other host names; add HEADERS to every response."""

    async def dispatch(
        request: Request, following: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        host, origin = request.headers.get('host', ''), request.headers.get('origin')
        if not is_own_name(re.sub(r':\d+$', '', host).strip('[]'), settings):
            response = _refuse(403, 'this server does not answer to that name: use its address')
        elif origin and urlsplit(origin).netloc != host:
            response = _refuse(403, 'requests of other pages are refused')
        else:
            response = await following(request)
        response.headers.update(HEADERS)
        return response

    return dispatch


def is_own_name(name: str, settings: ServeSettings) -> bool:
    """Whether a Host header names this server.

    Anyone can point a name of their own to this machine's address, but cannot send its address.
    """
    if settings.host in LOOPBACK:
        return name in LOOPBACK
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name.lower() in ('localhost', settings.host.lower(), socket.gethostname().lower())
    return True


async def _body(request: Request, most: int) -> bytes | None:
    """The body; None where it is longer than `most` bytes, before all of it is read."""
    if int(request.headers.get('content-length') or 0) > most:
        return None
    content = bytearray()
    async for piece in request.stream():
        content += piece
        if len(content) > most:
            return None
    return bytes(content)


def _refuse(status: int, words: str) -> Response:
    return JSONResponse(dict(error=words), status)
