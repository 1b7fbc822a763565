"""jaxdl: theory by execution, ablations with error bars, fine-tuning and inference, in JAX.

Names are loaded when first used (PEP 562), so that `import jaxdl`, its reports and its statistics
need no jax.
"""

import importlib
import os
from typing import TYPE_CHECKING, Any

from jaxdl._version import __version__ as __version__

# Turn off the telemetry of packages that jaxdl imports, unless the variables are set.
os.environ.setdefault('HF_HUB_DISABLE_TELEMETRY', '1')
os.environ.setdefault('HF_UPDATE_DOWNLOAD_COUNTS', '0')
os.environ.setdefault('WANDB_ERROR_REPORTING', 'false')
os.environ.setdefault('MLFLOW_DISABLE_TELEMETRY', 'true')

_HOME = {
    'Ablation': 'config.experiment',
    'Assignment': 'config.experiment',
    'Data': 'data',
    'Demonstration': 'config.experiment',
    'FineTune': 'config.experiment',
    'InputError': 'errors',
    'Predictor': 'inference.predictor',
    'Probe': 'config.recipe',
    'Recipe': 'config.recipe',
    'TrainSettings': 'train.settings',
    'Variant': 'train.variant',
    'analyze': 'ablation.analysis',
    'geometric': 'config.experiment',
    'load_experiment': 'config.load',
    'load_member': 'ablation.member_networks',
    'log_uniform': 'statistics.search',
    'override': 'config.overrides',
    'run': 'cli.dispatch',
    'sweep': 'config.experiment',
    'traced': 'models.custom',
    'train_member': 'ablation.member_networks',
    'uniform': 'statistics.search',
}
_MODULES = ('augment', 'data', 'errors', 'models', 'register', 'report', 'statistics', 'theory')
__all__ = [*_HOME, *_MODULES]  # pyright: ignore[reportUnsupportedDunderAll]

if TYPE_CHECKING:
    from jaxdl.ablation.analysis import analyze as analyze
    from jaxdl.ablation.member_networks import load_member as load_member
    from jaxdl.ablation.member_networks import train_member as train_member
    from jaxdl.cli.dispatch import run as run
    from jaxdl.config.experiment import Ablation as Ablation
    from jaxdl.config.experiment import Assignment as Assignment
    from jaxdl.config.experiment import Demonstration as Demonstration
    from jaxdl.config.experiment import FineTune as FineTune
    from jaxdl.config.experiment import geometric as geometric
    from jaxdl.config.experiment import sweep as sweep
    from jaxdl.config.load import load_experiment as load_experiment
    from jaxdl.config.overrides import override as override
    from jaxdl.config.recipe import Probe as Probe
    from jaxdl.config.recipe import Recipe as Recipe
    from jaxdl.data import Data as Data
    from jaxdl.errors import InputError as InputError
    from jaxdl.inference.predictor import Predictor as Predictor
    from jaxdl.models.custom import traced as traced
    from jaxdl.statistics.search import log_uniform as log_uniform
    from jaxdl.statistics.search import uniform as uniform
    from jaxdl.train.settings import TrainSettings as TrainSettings
    from jaxdl.train.variant import Variant as Variant


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f'jaxdl.{_HOME[name]}'), name)
    if name in _MODULES:
        return importlib.import_module(f'jaxdl.{name}')
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def __dir__() -> list[str]:
    return [*globals(), *__all__]
