"""The page and its two questions over HTTP, for a browser on this machine and for nobody else's page."""

import importlib.resources
import re
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from jaxdl.data.headers import BadImage
from jaxdl.serving.answers import Answerer
from jaxdl.serving.settings import LOOPBACK, Serving

PAGE = {'/': 'page.html', '/page.css': 'page.css', '/page.js': 'page.js'}
TYPES = dict(html='text/html', css='text/css', js='text/javascript')
# Everything comes from here, and nothing that the page shows can run.
HEADERS = {
    'Content-Security-Policy': (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
        "frame-ancestors 'self'; form-action 'none'; base-uri 'none'"
    ),
    'X-Content-Type-Options': 'nosniff',
    'Referrer-Policy': 'no-referrer',
    'Cache-Control': 'no-store',
}


def app(answerer: Answerer, settings: Serving) -> Starlette:
    """The page, /about, /predict and the training images, of one answerer."""

    async def file(request: Request) -> Response:
        name = PAGE[request.url.path]
        content = importlib.resources.files('jaxdl.serving').joinpath('page', name).read_bytes()
        return Response(content, media_type=TYPES[name.rpartition('.')[2]])

    async def about(request: Request) -> Response:
        return JSONResponse(answerer.about())

    async def predict(request: Request) -> Response:
        content = await _body(request, settings.max_bytes)
        if content is None:
            return _refused(413, f'an image may have {settings.max_bytes:,} bytes at most')
        if not content:
            return _refused(400, 'the body of the request must be an image')
        try:
            return JSONResponse(await run_in_threadpool(answerer.answer, content))
        except BadImage as error:
            return _refused(422, f'cannot be read as an image: {error}')

    async def training(request: Request) -> Response:
        place = request.path_params['place']
        if place >= answerer.near.size:
            return _refused(404, 'no such image')
        return Response(answerer.near.pictures[place], media_type='image/jpeg')

    routes = [Route(path, file) for path in PAGE]
    routes += [Route('/about', about), Route('/predict', predict, methods=['POST'])]
    found = Starlette(routes=[*routes, Route('/training/{place:int}', training)])
    found.add_middleware(BaseHTTPMiddleware, dispatch=guarded(settings))
    return found


def guarded(settings: Serving) -> Callable[..., Awaitable[Response]]:
    """Refuses what another page sends, and another name for this machine; adds HEADERS to every answer."""

    async def dispatch(request: Request, following: Callable[[Request], Awaitable[Response]]) -> Response:
        host, origin = request.headers.get('host', ''), request.headers.get('origin')
        name = re.sub(r':\d+$', '', host).strip('[]')
        if settings.host in LOOPBACK and name not in LOOPBACK:
            response = _refused(403, 'this server answers on this machine only')
        elif origin and urlsplit(origin).netloc != host:
            response = _refused(403, 'another page may not ask')
        else:
            response = await following(request)
        response.headers.update(HEADERS)
        return response

    return dispatch


async def _body(request: Request, most: int) -> bytes | None:
    """The body; None where it is longer than `most`, which is found out before it is here."""
    if int(request.headers.get('content-length') or 0) > most:
        return None
    content = bytearray()
    async for piece in request.stream():
        content += piece
        if len(content) > most:
            return None
    return bytes(content)


def _refused(status: int, words: str) -> Response:
    return JSONResponse(dict(error=words), status)
