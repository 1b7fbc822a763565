"""Folder and index of the stored networks of an ablation that ran with `keep_networks=true`."""

import pathlib

FOLDER = pathlib.Path('artifacts', 'networks')  # within the workdir; a .npz per network
# Columns of index.csv; the hyperparameters of a search follow.
INDEX = dict(condition=str, option=str, seed=int, learning_rate=float, file=str)
