"""jaxdl: theory by execution, ablations with error bars, fine-tuning and inference, in JAX.

Names are loaded when first used (PEP 562), so that `import jaxdl`, its reports and its statistics need no jax.
"""

import importlib
import os
from typing import TYPE_CHECKING, Any

from jaxdl._version import __version__ as __version__

# What huggingface_hub, datasets and wandb would tell of their use; whoever wants them to tells them so before.
os.environ.setdefault('HF_HUB_DISABLE_TELEMETRY', '1')
os.environ.setdefault('HF_UPDATE_DOWNLOAD_COUNTS', '0')
os.environ.setdefault('WANDB_ERROR_REPORTING', 'false')

_HOME = {
    'Ablation': 'experiment',
    'Assignment': 'experiment',
    'Data': 'data',
    'Demonstration': 'experiment',
    'FineTune': 'experiment',
    'InputError': 'errors',
    'Predictor': 'predict',
    'Probe': 'recipe',
    'Recipe': 'recipe',
    'Variant': 'variant',
    'geometric': 'experiment',
    'load_experiment': 'experiment',
    'override': 'experiment',
    'run': 'running',
    'sweep': 'experiment',
}
_MODULES = ('augment', 'data', 'errors', 'models', 'register', 'report', 'statistics', 'theory')
__all__ = [*_HOME, *_MODULES]  # pyright: ignore[reportUnsupportedDunderAll]

if TYPE_CHECKING:
    from jaxdl.data import Data as Data
    from jaxdl.errors import InputError as InputError
    from jaxdl.experiment import Ablation as Ablation
    from jaxdl.experiment import Assignment as Assignment
    from jaxdl.experiment import Demonstration as Demonstration
    from jaxdl.experiment import FineTune as FineTune
    from jaxdl.experiment import geometric as geometric
    from jaxdl.experiment import load_experiment as load_experiment
    from jaxdl.experiment import override as override
    from jaxdl.experiment import sweep as sweep
    from jaxdl.predict import Predictor as Predictor
    from jaxdl.recipe import Probe as Probe
    from jaxdl.recipe import Recipe as Recipe
    from jaxdl.running import run as run
    from jaxdl.variant import Variant as Variant


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f'jaxdl.{_HOME[name]}'), name)
    if name in _MODULES:
        return importlib.import_module(f'jaxdl.{name}')
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def __dir__() -> list[str]:
    return [*globals(), *__all__]
