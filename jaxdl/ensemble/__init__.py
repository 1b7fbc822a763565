"""The engine and the runner of members that train at the same time in one compiled program.

vmap over members, scan over steps. May import config, train, data, runtime and everything below.
Interface: the names below, `chunks` (layout of members), `autotune` (choice of the lowering) and
`scoring` (metrics of a split).
"""

from jaxdl.ensemble.engine import HISTORY as HISTORY
from jaxdl.ensemble.engine import Keys as Keys
from jaxdl.ensemble.engine import Member as Member
from jaxdl.ensemble.engine import OptionalParts as OptionalParts
from jaxdl.ensemble.engine import Programs as Programs
from jaxdl.ensemble.engine import Training as Training
from jaxdl.ensemble.engine import compile_programs as compile_programs
from jaxdl.ensemble.engine import find_optional_parts as find_optional_parts
from jaxdl.ensemble.engine import initial_states as initial_states
from jaxdl.ensemble.engine import inputs as inputs
from jaxdl.ensemble.engine import new_training as new_training
from jaxdl.ensemble.engine import predict as predict
from jaxdl.ensemble.engine import steps_per_epoch as steps_per_epoch
from jaxdl.ensemble.engine import test as test
from jaxdl.ensemble.engine import train as train
from jaxdl.ensemble.run import COSTS as COSTS
from jaxdl.ensemble.run import Chunk as Chunk
from jaxdl.ensemble.run import Hooks as Hooks
from jaxdl.ensemble.run import Result as Result
from jaxdl.ensemble.run import TrainedMember as TrainedMember
from jaxdl.ensemble.run import Workload as Workload
from jaxdl.ensemble.run import batch_of as batch_of
from jaxdl.ensemble.run import chunks_in_memory as chunks_in_memory
from jaxdl.ensemble.run import compile_group as compile_group
from jaxdl.ensemble.run import group_by_program as group_by_program
from jaxdl.ensemble.run import map_members as map_members
from jaxdl.ensemble.run import run_members as run_members
from jaxdl.ensemble.run import train_members as train_members
