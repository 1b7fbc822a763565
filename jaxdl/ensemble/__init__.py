"""The engine: all members of a group train in one compiled program.

By vmap over members and scan over steps.

May import config, train, data, runtime and everything below. Interface: the names below, `chunks`
(layout of members) and `autotune` (choice of the convolution lowering).
"""

from jaxdl.ensemble.engine import HISTORY as HISTORY
from jaxdl.ensemble.engine import Keys as Keys
from jaxdl.ensemble.engine import Member as Member
from jaxdl.ensemble.engine import Programs as Programs
from jaxdl.ensemble.engine import Training as Training
from jaxdl.ensemble.engine import compile_programs as compile_programs
from jaxdl.ensemble.engine import inputs as inputs
from jaxdl.ensemble.engine import noise_of as noise_of
from jaxdl.ensemble.engine import score as score
from jaxdl.ensemble.engine import start as start
from jaxdl.ensemble.engine import steps_per_epoch as steps_per_epoch
from jaxdl.ensemble.engine import test as test
from jaxdl.ensemble.engine import train as train
