"""The architectures that pretrained weights are read for: the rows of all families."""

from typing import Any

from jaxdl.models import convnext_rows, efficientnet_rows, resnet_rows, vit_rows
from jaxdl.models.network import Row
from jaxdl.workdir.records import Preprocessing as Preprocessing

_ROWS: tuple[Any, ...] = (
    *resnet_rows.ROWS,
    *efficientnet_rows.ROWS,
    *convnext_rows.ROWS,
    *vit_rows.ROWS,
)
ARCHITECTURES: dict[str, Row] = {row.name: row for row in _ROWS}
