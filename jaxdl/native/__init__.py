"""Native operations: custom calls to oneDNN and fused passes over memory, for x86-64 Linux.

`python -m jaxdl.native` builds them; without them everything works, slower. May import workdir
and errors.
Interface: the names below and `vmap`.
"""

from jaxdl.native.loader import LIBRARY as LIBRARY
from jaxdl.native.loader import call as call
from jaxdl.native.loader import cpuinfo as cpuinfo
from jaxdl.native.loader import library as library
from jaxdl.native.loader import missing as missing
from jaxdl.native.loader import read_build_info as read_build_info
