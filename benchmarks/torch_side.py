"""The peer: the network of the ablations in PyTorch, one model after another.

Needs the extra `parity`.

The settings were tried on two cores: `channels_last` is 1.5 to 1.7 times as fast from 16 x 16 on
and never slower, the fused SGD a little faster. torch.compile takes the whole step, gradients and
update too, as one graph: with `backward` outside it hardly gains on small images (on the largest it
is a tenth faster so, and eager is faster still). Its mode is the default: `max-autotune` is slower
here, `reduce-overhead` is for GPUs.
"""

import itertools
import math
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.func import functional_call, grad_and_value

from benchmarks import workload
from benchmarks.workload import MOMENTUM, RATE, STEPS, Size

CROSS_ENTROPY = nn.CrossEntropyLoss()


def network(
    width: int, depth: int, channels: int, pool: Callable[[int], nn.Module] | None = None
) -> nn.Module:
    """Stages of 3 x 3 convolution, batch norm, ReLU and 2 x 2 max pool; mean pool; dense.

    The width doubles from stage to stage.
    """
    layers: list[nn.Module] = []
    for i in range(depth):
        layers += [
            nn.Conv2d(channels, width << i, 3, padding=1, bias=False),
            nn.BatchNorm2d(width << i),
            nn.ReLU(),
        ]
        layers += [pool(width << i) if pool else nn.MaxPool2d(2)]
        channels = width << i
    return nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, workload.CLASSES)
    )


def network_of(size: Size) -> nn.Module:
    """The network of a size."""
    return network(size['width'], size['depth'], size['channels']).to(
        memory_format=torch.channels_last
    )


def tensors(size: Size) -> tuple[torch.Tensor, torch.Tensor]:
    """Images float32 [n, channel, height, width] and labels."""
    images, labels = workload.normalised(size)
    return torch.from_numpy(images).permute(0, 3, 1, 2), torch.from_numpy(labels).long()


def prepare(
    size: Size, members: int, threads: int, compiled: bool
) -> tuple[dict[str, Any], Callable[..., Any]]:
    """One model: facts of its start, and the function that trains for about so many seconds."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    images, labels = tensors(size)
    model, orders = network_of(size), workload.orders(size, 1)
    advance = compiled_step(model) if compiled else eager_step(model)
    losses: list[torch.Tensor] = []

    def step() -> None:
        chosen = torch.from_numpy(next(orders)[0])
        losses[1:] = [advance(images[chosen], labels[chosen])]

    began = time.perf_counter()
    step()
    facts = dict(parameters=sum(p.numel() for p in model.parameters()), loss=losses[0].item())
    if compiled:
        facts['compile_seconds'] = time.perf_counter() - began
    return facts, lambda seconds: dict(
        seconds=workload.timed(step, seconds), loss=losses[-1].item()
    )


def eager_step(model: nn.Module) -> Callable[..., torch.Tensor]:
    """The step as most users write it."""
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=MOMENTUM, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)

    def step(images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        optimizer.zero_grad()
        loss = CROSS_ENTROPY(model(images), labels)
        loss.backward()
        optimizer.step()
        schedule.step()
        return loss.detach()

    return step


def compiled_step(model: nn.Module) -> Callable[..., torch.Tensor]:
    """Forward, loss, gradients and update in one graph.

    The rate is an argument, so that a new rate compiles nothing.
    """
    params = {name: p.detach() for name, p in model.named_parameters()}
    momenta, buffers = (
        {name: torch.zeros_like(p) for name, p in params.items()},
        dict(model.named_buffers()),
    )
    rate, count = torch.tensor(RATE), itertools.count()

    def loss_of(
        params: Any, buffers: Any, images: torch.Tensor, labels: torch.Tensor
    ) -> torch.Tensor:
        return CROSS_ENTROPY(functional_call(model, (params, buffers), (images,)), labels)

    @torch.compile(fullgraph=True)
    def program(rate: torch.Tensor, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        gradients, loss = grad_and_value(loss_of)(params, buffers, images, labels)
        for name, p in params.items():
            p.sub_(rate * momenta[name].mul_(MOMENTUM).add_(gradients[name]))
        return loss

    def step(images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        rate.fill_(RATE * 0.5 * (1 + math.cos(math.pi * next(count) / STEPS)))
        return program(rate, images, labels)

    return step
