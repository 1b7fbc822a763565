"""Settings of the mode serve."""

import dataclasses

from jaxdl import fields

LOOPBACK = ('127.0.0.1', '::1', 'localhost')


@dataclasses.dataclass(frozen=True)
class ServeSettings:
    """Address, limits and contents of the page.

    Attributes:
      port: 0: a free one.
      max_bytes: largest image file.
      top: classes that are shown.
      nearest: training images that are shown; 0: none.
      unknown: share of validation images that keep their class, as in the mode predict; 0 for no
        threshold.
      training_images: number of training images to search, of each class its share.
    """

    host: str = '127.0.0.1'
    port: int = fields.ruled(8000, fields.between(0, 65535))
    max_bytes: int = fields.ruled(20 * 2**20, fields.at_least(1))
    top: int = fields.ruled(5, fields.at_least(1))
    unknown: float = fields.ruled(0.0, fields.between(0, 1))
    nearest: int = fields.ruled(6, fields.at_least(0))
    training_images: int = fields.ruled(5000, fields.at_least(0))
