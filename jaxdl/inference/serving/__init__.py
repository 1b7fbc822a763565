"""Web page for a checkpoint: classes, Grad-CAM and nearest training images of an image.

  python -m jaxdl.main --mode=serve --checkpoint=runs/finetune

POST /predict takes one image as the body of the request, and returns JSON (`service.Classifier`).
GET /about returns metadata of the network, GET /health whether it is ready. There are no accounts
and no encryption: the server is for this machine, and listens on loopback by default.
"""

import importlib.util
import pathlib
import socket
from collections.abc import Callable
from typing import Any

from jaxdl.errors import InputError
from jaxdl.inference.serving.settings import LOOPBACK
from jaxdl.inference.serving.settings import ServeSettings as ServeSettings


def serve(checkpoint: pathlib.Path, settings: ServeSettings, say: Callable[[str], None]) -> None:
    """Serve the networks of a workdir until Ctrl-C.

    Args:
      checkpoint: a workdir.
      settings: address and limits.
      say: writes a line for the user.

    Raises:
      InputError: the extra `serve` is not installed, there is no such run, or the address is in
        use.
    """
    for name in ('starlette', 'uvicorn'):
        if not importlib.util.find_spec(name):
            raise InputError(f"--mode=serve needs {name}: pip install 'jaxdl[serve]'")
    with _bind(settings) as listening:
        from jaxdl.inference.serving import app, service

        classifier = service.load(checkpoint, settings)
        host, port = listening.getsockname()[:2]
        host = f'[{host}]' if ':' in host else host
        say(f'serving {checkpoint} on http://{host}:{port} (Ctrl-C stops)')
        if settings.host not in LOOPBACK:
            say(f'host={settings.host}: everyone who reaches this machine can use it')
        _run(app.make_app(classifier, settings), listening)


def _bind(settings: ServeSettings) -> socket.socket:
    family = socket.AF_INET6 if ':' in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family)
    except OSError as error:
        where = f'{settings.host}, port {settings.port}'
        raise InputError(
            f'cannot listen on {where} ({error.strerror}): use --set=port=0 for a free port'
        ) from None


def _run(app: Any, listening: socket.socket) -> None:
    """Run until Ctrl-C or SIGTERM; open requests are completed first."""
    import uvicorn

    config = uvicorn.Config(
        app, log_level='warning', access_log=False, server_header=False, limit_concurrency=32
    )
    try:
        uvicorn.Server(config).run(sockets=[listening])
    except KeyboardInterrupt:  # as uvicorn passes it on, once it has stopped
        return
