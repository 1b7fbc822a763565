"""Checkpoints by orbax: complete or absent after a kill, with SHA-256 of every file."""

import pathlib
import shutil
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from jaxdl import workdir
from jaxdl.errors import InputError, warn
from jaxdl.runtime import distributed

STAMP = '_CHECKPOINT_METADATA'  # time of a checkpoint, which orbax writes last


def save(folder: pathlib.Path, step: int, tree: Any) -> None:
    """Save `tree` as the checkpoint of `step`, then remove earlier ones."""
    import orbax.checkpoint as ocp  # takes 0.3 s, and a short run saves nothing

    with _manager(folder, max_to_keep=1) as manager:
        manager.save(step, args=ocp.args.StandardSave(tree), force=True)
        manager.wait_until_finished()


def restore(folder: pathlib.Path, like: Any) -> tuple[int, Any] | None:
    """Restore the newest checkpoint of a chunk of members.

    A damaged checkpoint is removed: the chunk starts again and ends with the same numbers.

    Args:
      folder: the checkpoints.
      like: a tree with the structure, shapes, types and shardings of the result.

    Returns:
      The step and the tree; None without a checkpoint.
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
            problem = f'checkpoint {folder.name} cannot be read ({type(error).__name__})'
            warn(f'{problem}: its chunk starts again')
    drop(folder)
    return None


def drop(folder: pathlib.Path) -> None:
    """Remove the checkpoints of a chunk that is complete."""
    shutil.rmtree(folder, ignore_errors=True)


class Keeper:
    """Checkpoints of a run in training: the latest ones, and the best by a metric.

    They are written in the background. A checkpoint is a tree of arrays, and JSON that describes
    it. The largest metric is the best.

    Args:
      folder: the checkpoints.
      keep: number of latest checkpoints.
    """

    def __init__(self, folder: pathlib.Path, keep: int) -> None:
        from orbax.checkpoint import checkpoint_managers as rules

        metric_of = lambda metrics: metrics['metric']
        best = rules.BestN(get_metric_fn=metric_of, n=1, keep_checkpoints_without_metrics=False)
        policy = rules.AnyPreservationPolicy([rules.LatestN(keep), best])
        _sweep(folder)
        # Without best_fn no metric is written, although the policy alone selects checkpoints.
        self.manager: Any = _manager(folder, preservation_policy=policy, best_fn=metric_of)

    def save(
        self, step: int, tree: Any, about: Mapping[str, Any], metric: float | None = None
    ) -> None:
        """Save the state before `step`; return once the arrays are copied, before they are written.

        Args:
          step: the next training step.
          tree: arrays.
          about: JSON that describes the checkpoint.
          metric: larger is better; None, or not finite, if there is none.
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
        """Restore the newest undamaged checkpoint.

        A damaged one is named on stderr and removed, so that it is written again.

        Args:
          like: a tree with the structure, shapes, types and shardings of the result.
          step: only the checkpoint of this step.

        Returns:
          The step and the tree; None without a checkpoint.
        """
        import orbax.checkpoint as ocp

        abstract = jax.tree.map(_abstract, like)
        steps = [step] if step is not None else sorted(self.manager.all_steps(), reverse=True)
        for candidate in steps:
            try:
                args = ocp.args.Composite(state=ocp.args.StandardRestore(abstract))
                return candidate, self.manager.restore(candidate, args=args)['state']
            except Exception as error:  # a damaged file may raise anything
                _warn_of_damage(self.manager.directory / str(candidate), type(error).__name__)
                self.manager.delete(candidate)
        return None

    def best(self) -> int | None:
        """Step of the best checkpoint; None if none has a metric."""
        self.manager.wait_until_finished()
        every = {step: self.manager.metrics(step) for step in self.manager.all_steps()}
        metrics = {step: row['metric'] for step, row in every.items() if row and 'metric' in row}
        return max(metrics, key=lambda step: (metrics[step], step)) if metrics else None

    def close(self) -> None:
        """Wait until everything is written."""
        self.manager.wait_until_finished()
        self.manager.close()


def newest(folder: pathlib.Path) -> tuple[int, Any, dict[str, Any]] | None:
    """Read the newest undamaged checkpoint of a run in training, on this process's first device.

    Returns:
      Step, tree and the JSON that describes it; None without a checkpoint.
    """
    import orbax.checkpoint as ocp

    if not folder.is_dir():
        return None
    with ocp.CheckpointManager(
        folder.resolve(), options=ocp.CheckpointManagerOptions(read_only=True)
    ) as manager:
        for step in sorted(manager.all_steps(), reverse=True):
            if broken := workdir.find_damaged(folder / str(step)):
                _warn_of_damage(folder / str(step), f'{broken[0]}, by {workdir.SUMS}')
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
                _warn_of_damage(folder / str(step), type(error).__name__)
    return None


def _warn_of_damage(checkpoint: pathlib.Path, reason: str) -> None:
    problem = f'checkpoint {checkpoint} is damaged ({reason})'
    warn(f'{problem}: an earlier one is used, or the training starts again')


def _sweep(folder: pathlib.Path) -> None:
    """Remove damaged checkpoints of a folder, before orbax reads any of them."""
    for step in sorted(folder.glob('[0-9]*')) if distributed.is_first() else ():
        broken = workdir.find_damaged(step) if step.name.isdigit() else ()
        if broken:
            _warn_of_damage(step, f'{broken[0]}, by {workdir.SUMS}')
            drop(step)
    distributed.wait('swept')


def _abstract(leaf: Any) -> jax.ShapeDtypeStruct:
    """Shape, type and sharding of a leaf; by default on this process's first device."""
    if isinstance(leaf, np.ndarray):  # as it is: on a device float64 would become float32
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype)
    place = getattr(leaf, 'sharding', None)
    if not isinstance(place, jax.sharding.Sharding):
        place = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place)


def _manager(folder: pathlib.Path, **settings: Any) -> Any:
    """Make a manager that writes checksums in the background, before a checkpoint is renamed."""
    import orbax.checkpoint as ocp

    folder = folder.resolve()

    def finish() -> None:
        unnamed = folder.glob('*.orbax-checkpoint-tmp*') if distributed.is_first() else ()
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
    """Write a network to `folder`, whole or not at all, in place of what was there.

    Shardings are not written, so any machine can read the arrays.

    Args:
      folder: where to write.
      tree: arrays, the same in all processes.
      about: JSON that describes the network.
    """
    import orbax.checkpoint as ocp

    tree = jax.tree.map(np.asarray, tree)
    folder = folder.resolve()
    new, old = (folder.with_name(f'.{folder.name}.{kind}') for kind in ('new', 'old'))
    if distributed.is_first():
        folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished = new.parent.glob(f'{new.name}.orbax-checkpoint-tmp*')
        for remainder in (new, old, *unfinished):  # of a killed run
            drop(remainder)
    args = ocp.args.Composite(model=ocp.args.PyTreeSave(tree), about=ocp.args.JsonSave(dict(about)))
    with ocp.Checkpointer(ocp.CompositeCheckpointHandler()) as checkpointer:
        checkpointer.save(new, args=args)
    if distributed.is_first():
        workdir.write_sums(new, _files(new))
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
        drop(old)


def read_model(folder: pathlib.Path) -> tuple[Any, dict[str, Any]]:
    """Read a network that `write_model` wrote.

    Returns:
      A tree of NumPy arrays, and the JSON that describes it.

    Raises:
      InputError: it is missing or damaged.
    """
    import orbax.checkpoint as ocp

    if not folder.is_dir():
        raise InputError(f'checkpoint {folder} does not exist')
    # Before orbax, whose threads write to stderr after they met a damaged file.
    broken = workdir.find_damaged(folder)
    if broken:
        raise InputError(
            f'checkpoint {folder} is damaged '
            f'({broken[0]} differs from its checksum in {workdir.SUMS})'
        )
    handler = ocp.CompositeCheckpointHandler(
        model=ocp.PyTreeCheckpointHandler(), about=ocp.JsonCheckpointHandler()
    )
    with ocp.Checkpointer(handler) as checkpointer:
        metadata = checkpointer.metadata(folder.resolve()).item_metadata['model'].tree
        as_numpy = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), metadata)
        args = ocp.args.Composite(
            model=ocp.args.PyTreeRestore(restore_args=as_numpy), about=ocp.args.JsonRestore()
        )
        content = checkpointer.restore(folder.resolve(), args=args)
    return content['model'], dict(content['about'])


def _files(folder: pathlib.Path) -> list[pathlib.Path]:
    return sorted(path for path in folder.rglob('*') if path.is_file())
