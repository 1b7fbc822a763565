"""How a checkpoint is served: what `--set` changes in the mode serve."""

import dataclasses

from jaxdl import fields

LOOPBACK = ('127.0.0.1', '::1', 'localhost')


@dataclasses.dataclass(frozen=True)
class Serving:
    """Where it is served, and what is said of an image."""

    host: str = '127.0.0.1'
    port: int = fields.ruled(8000, fields.between(0, 65535))  # 0: any that is free
    max_bytes: int = fields.ruled(20 * 2**20, fields.at_least(1))  # of an image
    top: int = fields.ruled(5, fields.at_least(1))  # classes
    nearest: int = fields.ruled(6, fields.at_least(0))  # training images beside each
    training_images: int = fields.ruled(
        5000, fields.at_least(0)
    )  # to seek those among, each class with its share
