"""Intervals, paired tests, multiple comparisons, the protocol and variance components.

NumPy and SciPy only.

May import workdir (rows of tables) and errors, never jax. Interface: the names below, `protocol`,
`variance`, `classification`, `metrics` and `jackknife`.
"""

from jaxdl.statistics.cluster_bootstrap import ESTABLISHED as ESTABLISHED
from jaxdl.statistics.cluster_bootstrap import OPEN as OPEN
from jaxdl.statistics.cluster_bootstrap import RESAMPLES as RESAMPLES
from jaxdl.statistics.cluster_bootstrap import TOO_FEW as TOO_FEW
from jaxdl.statistics.cluster_bootstrap import Estimate as Estimate
from jaxdl.statistics.cluster_bootstrap import PredictionComparison as PredictionComparison
from jaxdl.statistics.cluster_bootstrap import PredictionScores as PredictionScores
from jaxdl.statistics.cluster_bootstrap import compare_predictions as compare_predictions
from jaxdl.statistics.cluster_bootstrap import score_predictions as score_predictions
from jaxdl.statistics.crossed import FEWEST_GROUPS as FEWEST_GROUPS
from jaxdl.statistics.crossed import CorrectComparison as CorrectComparison
from jaxdl.statistics.crossed import compare_correct as compare_correct
from jaxdl.statistics.crossed import compare_values as compare_values
from jaxdl.statistics.paired import ALPHA as ALPHA
from jaxdl.statistics.paired import STATISTICS as STATISTICS
from jaxdl.statistics.paired import Comparison as Comparison
from jaxdl.statistics.paired import Equivalence as Equivalence
from jaxdl.statistics.paired import Pairing as Pairing
from jaxdl.statistics.paired import compare as compare
from jaxdl.statistics.paired import constant as constant
from jaxdl.statistics.paired import corrected_level as corrected_level
from jaxdl.statistics.paired import detectable as detectable
from jaxdl.statistics.paired import equivalence as equivalence
from jaxdl.statistics.paired import expected_best as expected_best
from jaxdl.statistics.paired import holm as holm
from jaxdl.statistics.paired import logit_interval as logit_interval
from jaxdl.statistics.paired import mean_interval as mean_interval
from jaxdl.statistics.paired import pairing as pairing
from jaxdl.statistics.paired import sd_interval as sd_interval
from jaxdl.statistics.paired import seeds_needed as seeds_needed
from jaxdl.statistics.paired import wilson as wilson
from jaxdl.statistics.unpaired import compare_unpaired as compare_unpaired
