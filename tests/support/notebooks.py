"""Notebooks, each run in a kernel of its own.

`python tests/support/notebooks.py [NAME]` renews their outputs.
"""

import os
import pathlib
import sys
import tempfile

import nbformat
from nbclient import NotebookClient

FOLDER = pathlib.Path(__file__).parents[2] / 'notebooks'
NAMES = ('assignment', 'own_images')


def read(name):
    return nbformat.read(FOLDER / f'{name}.ipynb', 4)


def execute(name, folder, **settings):
    """Notebook after a run in `folder` (environment: `settings`); an error in a cell raises."""
    notebook = read(name)
    resources = dict(metadata=dict(path=str(folder)))
    client = NotebookClient(
        notebook, timeout=3600, kernel_name='python3', resources=resources, record_timing=False
    )
    client.execute(env=os.environ | settings)
    return notebook


def clean(notebook):
    """Notebook without times, versions, warnings and all else that differs between runs."""
    notebook.metadata = dict(
        kernelspec=dict(name='python3', display_name='Python 3', language='python'),
        language_info=dict(name='python'),
    )
    for cell in notebook.cells:
        cell.metadata = {}
        if cell.cell_type == 'code':
            cell.outputs = _join_outputs(
                output for output in cell.outputs if output.get('name') != 'stderr'
            )
            for each in cell.outputs:
                if 'image/svg+xml' in each.get(
                    'data', {}
                ):  # in lines it makes a notebook a fifth larger
                    each.data['image/svg+xml'] = ' '.join(each.data['image/svg+xml'].split())
    return notebook


def _join_outputs(outputs):
    """Lines that were printed in one go arrive in pieces."""
    result = []
    for output in outputs:
        if result and output.output_type == result[-1].output_type == 'stream':
            result[-1].text += output.text
        else:
            result.append(output)
    return result


if __name__ == '__main__':
    for name in sys.argv[1:] or NAMES:
        with tempfile.TemporaryDirectory() as folder:
            nbformat.write(clean(execute(name, folder)), FOLDER / f'{name}.ipynb')
