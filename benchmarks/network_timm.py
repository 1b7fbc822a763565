"""timm's side of benchmarks/networks.py: eager PyTorch in `channels_last`.

That layout is timm's fastest on a CPU.
"""

import sys
import types
from collections.abc import Callable
from typing import Any

import torch

from benchmarks import sides

LEARNING_RATE = 0.01


def prepare(
    size: dict[str, int], classes: int, name: str, work: str
) -> tuple[dict[str, Any], Callable[..., Any]]:
    """Facts of the network, and the function that works for at least so many seconds.

    The function returns the seconds per image and the last loss.
    """
    # What timm wants of torchvision loads on a CPU-only torch too.
    sys.modules.setdefault(
        'torchvision._meta_registrations', types.ModuleType('torchvision._meta_registrations')
    )
    import timm

    network: Any = timm.create_model(name, num_classes=0 if work == 'features' else classes)
    network = network.to(memory_format=torch.channels_last)
    images = 2 * torch.rand(size['batch'], 3, size['side'], size['side']) - 1
    images = images.to(memory_format=torch.channels_last)
    labels = torch.randint(classes, (size['batch'],))
    optimizer = torch.optim.SGD(network.parameters(), LEARNING_RATE)
    network.train(work == 'training')

    def train() -> float:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(network(images), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    def ask() -> float:
        with torch.inference_mode():
            return network(images)[0, 0].item()

    step = train if work == 'training' else ask
    first = step()

    return dict(parameters=sum(p.numel() for p in network.parameters()), loss=first), sides.repeat(
        step, size['batch']
    )
