"""Wheel: complete for a run in another virtual environment and an empty folder."""

import pathlib
import subprocess
import sys
import sysconfig
import venv
import zipfile

import pytest

import jaxdl

ROOT = pathlib.Path(jaxdl.__file__).parent.parent


@pytest.mark.skipif(not (ROOT / 'pyproject.toml').exists(), reason='not a checkout')
def test_a_wheel_runs_a_study_from_an_empty_folder(tmp_path, monkeypatch):
    build = [
        sys.executable,
        '-m',
        'build',
        '--wheel',
        '--no-isolation',
        '--outdir',
        str(tmp_path),
        str(ROOT),
    ]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob('*.whl')
    names = zipfile.ZipFile(wheel).namelist()
    native = [f'jaxdl/native/{file.name}' for file in (ROOT / 'jaxdl/native').glob('*.[ch]*')]
    assert len(native) == 9
    for needed in (
        'jaxdl/experiments/pooling.py',
        'jaxdl/report/page/templates/page.html.jinja',
        'jaxdl/report/page/templates/chart.js',
        'jaxdl/theory/backprop/text.md',
        *(f'jaxdl/inference/serving/page/page.{kind}' for kind in ('html', 'css', 'js')),
        *native,
    ):
        assert needed in names
    assert not [name for name in names if name.endswith('.so')]
    assert not [name for name in names if name.startswith(('tests', 'benchmarks', 'experiments'))]
    venv.create(tmp_path / 'other', with_pip=False, symlinks=True)
    python = tmp_path / 'other' / 'bin' / 'python'
    (site,) = (tmp_path / 'other' / 'lib').glob('python*/site-packages')
    zipfile.ZipFile(wheel).extractall(site)
    # The libraries of this environment, without the editable jaxdl that its .pth file would add.
    (site / 'libraries.pth').write_text(sysconfig.get_paths()['purelib'] + '\n')
    (tmp_path / 'empty').mkdir()
    arguments = ['--quick', '--options=avg', '--set=epochs=1', '--seeds=2', '--set=width=2']
    monkeypatch.delenv('PYTHONPATH', raising=False)
    run = [str(python), '-m', 'jaxdl.main', '--experiment=pooling', *arguments]
    process = subprocess.run(
        run, cwd=tmp_path / 'empty', capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    assert (tmp_path / 'empty' / 'runs' / 'pooling' / 'report.html').stat().st_size > 10_000
    code = 'from jaxdl.native import loader; print(loader.__file__, loader.PACKAGE)'
    where = subprocess.run(
        [str(python), '-c', code],
        cwd=tmp_path / 'empty',
        capture_output=True,
        text=True,
        check=True,
    )
    assert where.stdout.count(str(site)) == 2
