"""Pages in a headless browser."""

import json
import pathlib
import shutil
import subprocess

CHROMIUM = (
    shutil.which('chromium') or shutil.which('chromium-browser') or shutil.which('google-chrome')
)

FLAGS = (
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-sync',
    '--disable-background-networking',
    '--disable-component-update',
    '--host-resolver-rules=MAP * ~NOTFOUND',
    '--virtual-time-budget=4000',
    '--dump-dom',
)

WIDTHS = (1280, 390)

AROUND = """<!doctype html><script>
addEventListener('message', event => {
  const output = document.createElement('pre')
  document.body.append(Object.assign(output, {textContent: JSON.stringify(event.data)}))
})
</script><body>"""


def browse(page: pathlib.Path, folder: pathlib.Path) -> tuple[str, list[str]]:
    """DOM of a page in chromium, and every address that the page requested."""
    log = folder / 'net.json'
    process = subprocess.run(
        [
            str(CHROMIUM),
            *FLAGS,
            f'--user-data-dir={folder / "profile"}',
            f'--log-net-log={log}',
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert process.returncode == 0, process.stderr[-500:]
    requests = (event.get('params', {}) for event in json.loads(log.read_text())['events'])
    # The browser's own requests, for its updates, come from no page.
    return process.stdout, [
        r['url'] for r in requests if r.get('initiator', 'not an origin') != 'not an origin'
    ]
