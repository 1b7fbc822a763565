"""A page to try a checkpoint: drop images, see what the network says of them, and why.

  jaxdl --mode=serve --checkpoint=runs/finetune

POST /predict takes one image as the body of the request, and answers in JSON (`answers.Answerer`);
GET /about says which network it is, and GET /health answers once it can be asked. There are no
accounts and no encryption: it is for this machine, and listens on loopback unless told.
"""

import importlib.util
import pathlib
import socket
from collections.abc import Callable
from typing import Any

from jaxdl.errors import InputError
from jaxdl.inference.serving.settings import LOOPBACK
from jaxdl.inference.serving.settings import Serving as Serving


def serve(checkpoint: pathlib.Path, settings: Serving, say: Callable[[str], None]) -> None:
    """Serves the networks of a workdir until Ctrl-C.

    Raises:
      InputError: the extra `serve` is not installed, there is no such run, or the address cannot be
        had.
    """
    for name in ('starlette', 'uvicorn'):
        if not importlib.util.find_spec(name):
            raise InputError(f"--mode=serve needs {name}: pip install 'jaxdl[serve]'")
    with _bound(settings) as listening:
        from jaxdl.inference.serving import answers, app

        answerer = answers.load(checkpoint, settings)
        host, port = listening.getsockname()[:2]
        say(
            f'serving {checkpoint} on http://{f"[{host}]" if ":" in host else host}:{port} (Ctrl-C stops)'
        )
        if settings.host not in LOOPBACK:
            say(f'host={settings.host}: whoever reaches this machine can use it')
        _run(app.app(answerer, settings), listening)


def _bound(settings: Serving) -> socket.socket:
    family = socket.AF_INET6 if ':' in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family)
    except OSError as error:
        where = f'{settings.host}, port {settings.port}'
        raise InputError(
            f'{where} cannot be listened on ({error.strerror}): --set=port=0 takes a free one'
        ) from None


def _run(app: Any, listening: socket.socket) -> None:
    """Until Ctrl-C or SIGTERM; what is under way is answered first."""
    import uvicorn

    config = uvicorn.Config(
        app, log_level='warning', access_log=False, server_header=False, limit_concurrency=32
    )
    try:
        uvicorn.Server(config).run(sockets=[listening])
    except KeyboardInterrupt:  # as uvicorn passes it on, once it has stopped
        return
