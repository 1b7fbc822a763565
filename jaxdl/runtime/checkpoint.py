"""Arrays on disk, by orbax: written beside and renamed.

So that a killed run leaves the last whole one.
"""

import pathlib
import shutil
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from jaxdl import workdir
from jaxdl.errors import InputError, warn
from jaxdl.runtime import distributed

STAMP = (
    '_CHECKPOINT_METADATA'  # the time of a checkpoint, which orbax writes last, and nobody reads
)


def save(folder: pathlib.Path, step: int, tree: Any) -> None:
    """Saves `tree` as the checkpoint of `step`; earlier ones go once it is whole."""
    import orbax.checkpoint as ocp  # a third of a second to import, and a short run saves nothing

    with _manager(folder, max_to_keep=1) as manager:
        manager.save(step, args=ocp.args.StandardSave(tree), force=True)
        manager.wait_until_finished()


def restore(folder: pathlib.Path, like: Any) -> tuple[int, Any] | None:
    """The newest checkpoint's step and its tree, with the structure, shapes and types of `like`.

    None without one.

    A checkpoint that is damaged is dropped: a chunk of members starts anew and ends with the same
    numbers.
    """
    import orbax.checkpoint as ocp

    if not folder.exists():
        return None
    _sweep(folder)
    with _manager(folder) as manager:
        step = manager.latest_step()
        if step is None:
            return None
        try:
            abstract = jax.tree.map(
                lambda x: jax.ShapeDtypeStruct(
                    x.shape, x.dtype, sharding=getattr(x, 'sharding', None)
                ),
                like,
            )
            return step, manager.restore(step, args=ocp.args.StandardRestore(abstract))
        except (ValueError, KeyError, OSError, FileNotFoundError) as error:
            what = f'checkpoint {folder.name} cannot be read ({type(error).__name__})'
            warn(f'{what}: its chunk starts anew')
    drop(folder)
    return None


def drop(folder: pathlib.Path) -> None:
    """Removes the checkpoints of a chunk that is done."""
    shutil.rmtree(folder, ignore_errors=True)


class Keeper:
    """The checkpoints of a run in training: the best by a metric and the last ones.

    Written while the run goes on.

    A checkpoint is a tree of arrays and `about`, which says what it is; largest metrics are the
    best.
    """

    def __init__(self, folder: pathlib.Path, keep: int) -> None:
        from orbax.checkpoint import checkpoint_managers as rules

        measured = lambda found: found['metric']
        best = rules.BestN(get_metric_fn=measured, n=1, keep_checkpoints_without_metrics=False)
        policy = rules.AnyPreservationPolicy([rules.LatestN(keep), best])
        _sweep(folder)
        # Without best_fn no metric is written, though the policy alone says what stays.
        self.manager: Any = _manager(folder, preservation_policy=policy, best_fn=measured)

    def save(
        self, step: int, tree: Any, about: Mapping[str, Any], metric: float | None = None
    ) -> None:
        """Saves the state before `step`; returns once the arrays are copied.

        While they are still being written.
        """
        import orbax.checkpoint as ocp

        if step in self.manager.all_steps():
            return
        args = ocp.args.Composite(
            state=ocp.args.StandardSave(tree), about=ocp.args.JsonSave(dict(about))
        )
        metrics = None if metric is None or not np.isfinite(metric) else dict(metric=float(metric))
        self.manager.save(step, args=args, metrics=metrics, force=True)

    def restore(self, like: Any, step: int | None = None) -> tuple[int, Any] | None:
        """The newest whole checkpoint (or that of `step`), with shapes, types and places of `like`.

        None without one.

        One that is damaged is passed over and goes, so that it is written again, and it says so.
        """
        import orbax.checkpoint as ocp

        abstract = jax.tree.map(_abstract, like)
        for found in [step] if step is not None else sorted(self.manager.all_steps(), reverse=True):
            try:
                args = ocp.args.Composite(state=ocp.args.StandardRestore(abstract))
                return found, self.manager.restore(found, args=args)['state']
            except (
                Exception
            ) as error:  # a damaged file breaks its reader in ways that cannot be listed
                _pass_over(self.manager.directory / str(found), type(error).__name__)
                self.manager.delete(found)
        return None

    def best(self) -> int | None:
        """The step of the best checkpoint; None where none was measured."""
        self.manager.wait_until_finished()
        found = {step: self.manager.metrics(step) for step in self.manager.all_steps()}
        measured = {step: own['metric'] for step, own in found.items() if own and 'metric' in own}
        return max(measured, key=lambda step: (measured[step], step)) if measured else None

    def close(self) -> None:
        """Waits until all is written."""
        self.manager.wait_until_finished()
        self.manager.close()


def newest(folder: pathlib.Path) -> tuple[int, Any, dict[str, Any]] | None:
    """Step, tree and `about` of the newest whole checkpoint of a run in training.

    None without one.
    """
    import orbax.checkpoint as ocp

    if not folder.is_dir():
        return None
    with ocp.CheckpointManager(
        folder.resolve(), options=ocp.CheckpointManagerOptions(read_only=True)
    ) as manager:
        for step in sorted(manager.all_steps(), reverse=True):
            if lost := workdir.damaged(folder / str(step)):
                _pass_over(folder / str(step), f'{lost[0]}, by {workdir.SUMS}')
                continue
            try:
                about = manager.restore(
                    step, args=ocp.args.Composite(about=ocp.args.JsonRestore())
                )['about']
                like = manager.item_metadata(step)['state']
                args = ocp.args.Composite(
                    state=ocp.args.StandardRestore(jax.tree.map(_abstract, like))
                )
                return step, manager.restore(step, args=args)['state'], about
            except Exception as error:  # as above
                _pass_over(folder / str(step), type(error).__name__)
    return None


def _pass_over(checkpoint: pathlib.Path, why: str) -> None:
    what = f'checkpoint {checkpoint} is damaged ({why})'
    warn(f'{what}: an earlier one is used, or the training starts anew')


def _sweep(folder: pathlib.Path) -> None:
    """Drops the checkpoints of a folder whose bytes are not those that were written.

    Before orbax reads any of them.
    """
    for step in sorted(folder.glob('[0-9]*')) if distributed.first() else ():
        lost = workdir.damaged(step) if step.name.isdigit() else ()
        if lost:
            _pass_over(step, f'{lost[0]}, by {workdir.SUMS}')
            drop(step)
    distributed.wait('swept')


def _abstract(leaf: Any) -> jax.ShapeDtypeStruct:
    """Shape, type and where a leaf is to be.

    On this process's first device where nothing says so.
    """
    if isinstance(leaf, np.ndarray):  # as it is: on a device float64 would become float32
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype)
    place = getattr(leaf, 'sharding', None)
    if not isinstance(place, jax.sharding.Sharding):
        place = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place)


def _manager(folder: pathlib.Path, **settings: Any) -> Any:
    """A manager whose checkpoints have their sums.

    Written in the background before a checkpoint gets its name.
    """
    import orbax.checkpoint as ocp

    folder = folder.resolve()

    def finish() -> None:
        unnamed = folder.glob('*.orbax-checkpoint-tmp*') if distributed.first() else ()
        for checkpoint in unnamed:
            workdir.write_sums(
                checkpoint, [path for path in _files(checkpoint) if path.name != STAMP]
            )

    saving = ocp.options.AsyncOptions(post_finalization_callback=finish)
    options = ocp.CheckpointManagerOptions(
        enable_async_checkpointing=True, async_options=saving, **settings
    )
    return ocp.CheckpointManager(folder, options=options)


def write_model(folder: pathlib.Path, tree: Any, about: Mapping[str, Any]) -> None:
    """Writes a network's arrays, and `about` as JSON, into `folder`: whole or not at all.

    In place of what was there.

    Nothing of where the arrays lay is kept, so that any machine can read them. Arrays of several
    processes must be the same in all of them.
    """
    import orbax.checkpoint as ocp

    tree = jax.tree.map(np.asarray, tree)
    folder = folder.resolve()
    new, old = (folder.with_name(f'.{folder.name}.{what}') for what in ('new', 'old'))
    if distributed.first():
        folder.parent.mkdir(parents=True, exist_ok=True)
        for left in (
            new,
            old,
            *new.parent.glob(f'{new.name}.orbax-checkpoint-tmp*'),
        ):  # by a run that was killed
            drop(left)
    args = ocp.args.Composite(model=ocp.args.PyTreeSave(tree), about=ocp.args.JsonSave(dict(about)))
    with ocp.Checkpointer(ocp.CompositeCheckpointHandler()) as checkpointer:
        checkpointer.save(new, args=args)
    if distributed.first():
        workdir.write_sums(new, _files(new))
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
        drop(old)


def read_model(folder: pathlib.Path) -> tuple[Any, dict[str, Any]]:
    """What `write_model` wrote: a tree of NumPy arrays, whatever devices wrote it, and `about`.

    Raises:
      InputError: it is not there, or its bytes are not those that were written.
    """
    import orbax.checkpoint as ocp

    if not folder.is_dir():
        raise InputError(f'there is no checkpoint {folder}')
    # The bytes first: orbax, once it stumbles over a damaged file, leaves threads behind that
    # complain on stderr.
    lost = workdir.damaged(folder)
    if lost:
        raise InputError(
            f'checkpoint {folder} is damaged: {lost[0]} is not what {workdir.SUMS} says'
        )
    handler = ocp.CompositeCheckpointHandler(
        model=ocp.PyTreeCheckpointHandler(), about=ocp.JsonCheckpointHandler()
    )
    with ocp.Checkpointer(handler) as checkpointer:
        held = checkpointer.metadata(folder.resolve()).item_metadata['model'].tree
        whole = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), held)
        args = ocp.args.Composite(
            model=ocp.args.PyTreeRestore(restore_args=whole), about=ocp.args.JsonRestore()
        )
        found = checkpointer.restore(folder.resolve(), args=args)
    return found['model'], dict(found['about'])


def _files(folder: pathlib.Path) -> list[pathlib.Path]:
    return sorted(path for path in folder.rglob('*') if path.is_file())
