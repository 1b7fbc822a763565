"""Files of a run: atomic writes, checksums, lock, journal and tables.

May import fields and errors, never jax. Interface: the names below, `tables`, `claims`, `journal`,
`lock`, `checksums` and `zip_safety`.
"""

from jaxdl.workdir.files import MADE_AGAIN as MADE_AGAIN
from jaxdl.workdir.files import NOT_AS_WRITTEN as NOT_AS_WRITTEN
from jaxdl.workdir.files import SPLIT as SPLIT
from jaxdl.workdir.files import SUMS as SUMS
from jaxdl.workdir.files import DamagedFile as DamagedFile
from jaxdl.workdir.files import check as check
from jaxdl.workdir.files import check_inside as check_inside
from jaxdl.workdir.files import clear as clear
from jaxdl.workdir.files import find_damaged as find_damaged
from jaxdl.workdir.files import flatten as flatten
from jaxdl.workdir.files import holds_other as holds_other
from jaxdl.workdir.files import holds_run as holds_run
from jaxdl.workdir.files import is_finished as is_finished
from jaxdl.workdir.files import parse as parse
from jaxdl.workdir.files import publish as publish
from jaxdl.workdir.files import read_arrays as read_arrays
from jaxdl.workdir.files import read_json as read_json
from jaxdl.workdir.files import record as record
from jaxdl.workdir.files import seal as seal
from jaxdl.workdir.files import temporary_file as temporary_file
from jaxdl.workdir.files import write as write
from jaxdl.workdir.files import write_arrays as write_arrays
from jaxdl.workdir.files import write_json as write_json
from jaxdl.workdir.files import write_records as write_records
from jaxdl.workdir.files import write_sums as write_sums
