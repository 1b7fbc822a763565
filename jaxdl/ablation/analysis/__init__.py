"""Analysis of results that were trained elsewhere: a table to the workdir of a report, without jax.

`source` reads files, columns and dataframes, `columns` recognises columns, `runs`, `values` and
`per_image` read the rows, `measurements` checks them, `analyze` writes the workdir. May import
report, statistics, runtime.versions, workdir, fields and errors. Interface: `analyze` and
`AnalysisSettings`.
"""

from jaxdl.ablation.analysis.analyze import analyze as analyze
from jaxdl.ablation.analysis.columns import AnalysisSettings as AnalysisSettings
