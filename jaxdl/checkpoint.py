"""Arrays on disk, by orbax: written beside and renamed, so that a killed run leaves the last whole one."""

import pathlib
import shutil
from typing import Any

import jax


def save(folder: pathlib.Path, step: int, tree: Any) -> None:
    """Saves `tree` as the checkpoint of `step`; earlier ones go once it is whole."""
    import orbax.checkpoint as ocp  # a third of a second to import, and a short run saves nothing

    with _manager(folder) as manager:
        manager.save(step, args=ocp.args.StandardSave(tree), force=True)
        manager.wait_until_finished()


def restore(folder: pathlib.Path, like: Any) -> tuple[int, Any] | None:
    """The newest checkpoint's step and its tree, with the structure, shapes and types of `like`; None without one.

    A checkpoint that cannot be read is dropped: a chunk of members starts anew and ends with the same numbers.
    """
    import orbax.checkpoint as ocp

    if not folder.exists():
        return None
    with _manager(folder) as manager:
        step = manager.latest_step()
        if step is None:
            return None
        try:
            abstract = jax.tree.map(
                lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=getattr(x, 'sharding', None)), like
            )
            return step, manager.restore(step, args=ocp.args.StandardRestore(abstract))
        except (ValueError, KeyError, OSError, FileNotFoundError) as error:
            print(f'jaxdl: checkpoint {folder.name} cannot be read ({type(error).__name__}): its chunk starts anew')
    drop(folder)
    return None


def drop(folder: pathlib.Path) -> None:
    """Removes the checkpoints of a chunk that is done."""
    shutil.rmtree(folder, ignore_errors=True)


def _manager(folder: pathlib.Path) -> Any:
    import orbax.checkpoint as ocp

    options = ocp.CheckpointManagerOptions(max_to_keep=1, enable_async_checkpointing=False)
    return ocp.CheckpointManager(folder.resolve(), options=options)
