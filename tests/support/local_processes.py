"""Several processes of one run on this machine."""

import socket


def free_port():
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        return free.getsockname()[1]


def flags(count):
    where = free_port()
    return [
        [f'--coordinator=127.0.0.1:{where}', f'--processes={count}', f'--process={i}']
        for i in range(count)
    ]


def wait_for_all(started):
    outputs = [process.communicate(timeout=300) for process in started]
    assert [process.returncode for process in started] == [0] * len(started), outputs
