"""jaxdl's ensembles against their peers: a step of a member, many members, a whole study.

Run    make bench, or python -m benchmarks.ensemble --sizes=8x8 --peers=torch --parts=sizes
Takes  about 22 minutes on 2 cores
Gives  one table; build/bench.json, a list of rows; build/bench_members.png and
       build/bench_study.png

Every figure is a ratio of one run, the sides alternating in processes of their own: nothing else
should run beside it.
"""

import argparse
import json
import os
import pathlib
import tempfile
import time
from collections.abc import Callable, Iterator

from benchmarks import charts, growth, peers, rows, steps, study
from benchmarks.rows import Row

Options = argparse.Namespace


def sizes(options: Options) -> Iterator[list[Row]]:
    """One step of a member, size by size, against all peers."""
    for work in _chosen(peers.SIZES, options.sizes):
        yield steps.compare(
            work, _chosen(peers.PEERS, options.peers), options.rounds, options.seconds
        )


def members(options: Options) -> Iterator[list[Row]]:
    """Growth of the cost with the number of members, in two rounds."""
    for work in _chosen(growth.COUNTS, options.sizes):
        yield growth.compare(
            work,
            _chosen(growth.STACKED, options.peers),
            min(2, options.rounds),
            options.seconds / 2,
        )


def measure_study(options: Options) -> Iterator[list[Row]]:
    """The whole study."""
    yield study.compare()


PARTS: dict[str, Callable[[Options], Iterator[list[Row]]]] = dict(
    sizes=sizes, members=members, study=measure_study
)


def main() -> None:
    """Measure, print the table, and write the rows after each size."""
    options, began, entries = _options(), time.perf_counter(), [rows.machine()]
    options.output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as cache:
        os.environ['TORCHINDUCTOR_CACHE_DIR'] = (
            cache  # an empty one: torch.compile's seconds are those of a first time
        )
        for name in _chosen(PARTS, options.parts):
            for part in PARTS[name](options):
                entries += part
                options.output.write_text(json.dumps(entries, indent=1) + '\n')
    print('\n' + rows.table(entries) + '\n')
    charts.draw(entries, options.output.parent)
    print(f'written to {options.output}, {(time.perf_counter() - began) / 60:.1f} minutes')


def _options() -> Options:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--rounds', type=int, default=5, help='rounds of a fast side; slow ones have 2 at most'
    )
    parser.add_argument('--seconds', type=float, default=1.5, help='that a side trains in a round')
    parser.add_argument('--sizes', default='', help='only those whose name contains this')
    parser.add_argument('--peers', default='', help='only those whose name contains this')
    parser.add_argument('--parts', default='', help=f'only one of {", ".join(PARTS)}')
    parser.add_argument('--output', type=pathlib.Path, default=pathlib.Path('build/bench.json'))
    return parser.parse_args()


def _chosen(names: dict, part: str) -> list[str]:
    return [name for name in names if part in name]


if __name__ == '__main__':
    main()
