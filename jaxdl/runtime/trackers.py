"""Trackers: TensorBoard, Weights & Biases, MLflow and Trackio.

A tracker is open while its run trains, and takes named numbers at a step. Nothing leaves the
machine by default. TensorBoard, Weights & Biases and MLflow write into the workdir, Trackio into
its local folder. An environment variable names another target: WANDB_MODE, MLFLOW_TRACKING_URI,
TRACKIO_SPACE_ID or TRACKIO_SERVER_URL.
"""

import contextlib
import contextvars
import dataclasses
import hashlib
import io
import json
import logging
import os
import pathlib
import posixpath
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jaxdl import workdir
from jaxdl.errors import InputError

Tell = Callable[[Mapping[str, float], int], None]  # (named numbers, step)
FLUSH = 1  # seconds until numbers are in the file
PROJECT = 'jaxdl'


@dataclasses.dataclass(frozen=True)
class Tracker:
    """A row of TRACKERS.

    Attributes:
      module: the module that it needs.
      begin: opens it for a workdir and closes it.
    """

    module: str
    begin: Callable[[pathlib.Path], contextlib.AbstractContextManager[Tell]]


@dataclasses.dataclass(frozen=True)
class _Identity:
    """A run in the eyes of a tracker.

    Attributes:
      top: absolute path of the workdir.
      config: content of config.json.
      key: 16 characters that depend on both, so that a resumed run is the same one.
    """

    top: pathlib.Path
    config: dict[str, Any]
    key: str


def _identify(folder: pathlib.Path) -> _Identity:
    top = folder.resolve()
    config = (top / 'config.json').read_bytes() if (top / 'config.json').exists() else b'{}'
    key = hashlib.sha256(str(top).encode() + config).hexdigest()[:16]
    return _Identity(top, workdir.parse(config.decode()), key)


@contextlib.contextmanager
def _tensorboard(folder: pathlib.Path) -> Iterator[Tell]:
    from tensorboardX import SummaryWriter

    # Names of files have whole seconds: without a suffix, a run that resumes at once replaces one.
    suffix = f'.{uuid.uuid4().hex[:8]}'
    top = str(folder / 'tensorboard')
    with SummaryWriter(top, flush_secs=FLUSH, filename_suffix=suffix) as writer:

        def tell(numbers: Mapping[str, float], step: int) -> None:
            for name, value in numbers.items():
                writer.add_scalar(name, value, step)

        yield tell


MODES = ('online', 'offline', 'disabled')
QUIET: dict[str, Any] = dict(
    console='off', silent=True, x_disable_stats=True, save_code=False, disable_git=True
)


@contextlib.contextmanager
def _wandb(folder: pathlib.Path) -> Iterator[Tell]:
    """Open a run of Weights & Biases, offline unless WANDB_MODE is set; `wandb sync` sends it."""
    import wandb

    mode, identity = os.environ.get('WANDB_MODE', 'offline'), _identify(folder)
    if mode not in MODES:
        raise InputError(
            f'WANDB_MODE={mode}: must be one of {", ".join(MODES)}; unset, nothing is sent'
        )
    try:
        run = wandb.init(
            project=PROJECT,
            name=identity.top.name,
            id=identity.key,
            config=identity.config,
            dir=str(identity.top),
            mode=mode,  # type: ignore[arg-type]
            resume='allow',
            reinit='create_new',
            settings=wandb.Settings(**QUIET),
        )
    except wandb.Error as error:
        raise InputError(f'trackers: wandb failed ({error}): use WANDB_MODE=offline') from None
    run.define_metric(
        '*', step_metric='at'
    )  # groups follow one another, each from its own first epoch
    try:
        yield lambda numbers, step: run.log(dict(numbers, at=step))
    except BaseException:  # `with run` would print its traceback
        run.finish(exit_code=1)
        raise
    run.finish()


BATCH = 100  # metrics or parameters per request to MLflow
LONGEST = 6000  # characters of a parameter's value in MLflow
LONGEST_NAME = 250
TAG = 'jaxdl.run'


@contextlib.contextmanager
def _mlflow(folder: pathlib.Path) -> Iterator[Tell]:
    """Open a run of MLflow in an SQLite file of the workdir, unless MLFLOW_TRACKING_URI is set."""
    from mlflow import MlflowClient  # pyright: ignore[reportMissingImports]
    from mlflow.entities import Metric  # pyright: ignore[reportMissingImports]

    for package in ('mlflow', 'alembic'):  # each migration of the new file is a line of INFO
        logging.getLogger(package).setLevel(logging.WARNING)
    identity, place = _identify(folder), os.environ.get('MLFLOW_TRACKING_URI', '')
    local = '' if place else _mlflow_folder(identity.top)
    try:
        client = MlflowClient(place or f'sqlite:///{local}/mlflow.db')
        run_id = _begin_mlflow(client, identity, local)
    except Exception as error:  # of MLflow, of SQLAlchemy or of the network
        where = f'MLFLOW_TRACKING_URI={place}' if place else local
        raise InputError(
            f'trackers: mlflow failed ({_first_line(error)}): {where} must be a store of MLflow'
        ) from None

    def tell(numbers: Mapping[str, float], step: int) -> None:
        now = int(time.time() * 1000)
        metrics = [Metric(_mlflow_name(name), value, now, step) for name, value in numbers.items()]
        for start in range(0, len(metrics), BATCH):
            client.log_batch(run_id, metrics=metrics[start : start + BATCH])

    try:
        yield tell
    except BaseException:
        client.set_terminated(run_id, 'FAILED')
        raise
    client.set_terminated(run_id)


def _mlflow_folder(top: pathlib.Path) -> str:
    """Make the folder of MLflow in a workdir."""
    place = (top / 'mlflow').as_posix()
    if {'%', '?'} & {*place}:  # MLflow reads the path as a part of a URL
        raise InputError(f'trackers: mlflow takes no path with % or ?, such as {place}: rename it')
    pathlib.Path(place).mkdir(exist_ok=True)
    return place


def _begin_mlflow(client: Any, identity: _Identity, local: str) -> str:
    """Id of the run of a workdir, a new one where there is none, with the configuration."""
    from mlflow.entities import Param  # pyright: ignore[reportMissingImports]

    artifacts = pathlib.Path(local, 'artifacts').as_uri() if local else None
    experiment = client.get_experiment_by_name(PROJECT)
    number = experiment.experiment_id if experiment else None
    number = number or client.create_experiment(PROJECT, artifacts)
    runs = client.search_runs([number], f"tags.`{TAG}` = '{identity.key}'", max_results=1)
    tags = {TAG: identity.key}
    run = runs[0] if runs else client.create_run(number, tags=tags, run_name=identity.top.name)
    client.update_run(run.info.run_id, 'RUNNING')
    params = [
        Param(_mlflow_name(name), _text(value))
        for name, value in workdir.flatten(identity.config).items()
        if _mlflow_name(name) not in run.data.params
    ]
    for start in range(0, len(params), BATCH):
        client.log_batch(run.info.run_id, params=params[start : start + BATCH])
    return run.info.run_id


def _mlflow_name(name: str) -> str:
    """A name that MLflow takes; names that differ stay different.

    MLflow takes letters, digits, spaces and `_-./`, and no path that another path equals.
    """
    plain = re.sub(r'[^/\w.\- ]', '_', name)[: LONGEST_NAME - 9]
    plain = posixpath.normpath(plain).lstrip('/.') or '_'
    return plain if plain == name else f'{plain} {hashlib.sha256(name.encode()).hexdigest()[:8]}'


def _text(value: Any) -> str:
    """A setting as text; the end of a long one is cut off."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST else f'{text[: LONGEST - 3]}...'


@contextlib.contextmanager
def _trackio(folder: pathlib.Path) -> Iterator[Tell]:
    """Open a run of Trackio in its local folder: TRACKIO_DIR, else that of Trackio itself."""
    import trackio  # pyright: ignore[reportMissingImports]

    identity = _identify(folder)
    try:
        with _local_trackio():
            # In a context without another run, which `init` would finish.
            run = contextvars.Context().run(
                trackio.init,
                PROJECT,
                name=f'{identity.top.name}-{identity.key[:8]}',
                config=identity.config,
                resume='allow',
                embed=False,
                auto_log_gpu=False,
                auto_log_cpu=False,
            )
    except Exception as error:  # trackio has no one error for a store that cannot be opened
        raise InputError(
            f'trackers: trackio failed ({_first_line(error)}): TRACKIO_DIR must be a folder that '
            'can be written to'
        ) from None
    try:
        yield lambda numbers, step: run.log(dict(numbers), step=step)
    finally:
        with contextlib.redirect_stdout(io.StringIO()):
            run.finish()


@contextlib.contextmanager
def _local_trackio() -> Iterator[None]:
    """Begin a run without messages, and without a request where nothing is to be sent.

    Trackio asks the Hugging Face hub for the name of the user, with the user's token.
    """
    import huggingface_hub

    remote = any(os.environ.get(name) for name in ('TRACKIO_SPACE_ID', 'TRACKIO_SERVER_URL'))
    ask = huggingface_hub.whoami
    if not remote:
        huggingface_hub.whoami = _unknown_user
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        huggingface_hub.whoami = ask


def _unknown_user(*args: Any, **kwargs: Any) -> dict[str, Any]:
    raise OSError('offline')


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]


TRACKERS = {
    'tensorboard': Tracker('tensorboardX', _tensorboard),
    'wandb': Tracker('wandb', _wandb),
    'mlflow': Tracker('mlflow', _mlflow),
    'trackio': Tracker('trackio', _trackio),
}
