"""The peer `torch.func`: all members as stacked tensors, `vmap` over the gradients of one.

Batch norm keeps its running statistics: stacked buffers go in, updated ones come out (`vmap`
permits it). Every member has batches of its own: sharing them, in a nested `vmap` too, was not
faster.
"""

import copy
import itertools
import math
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.func import functional_call, grad_and_value, stack_module_state, vmap

from benchmarks import workload
from benchmarks.torch_side import CROSS_ENTROPY, network_of, tensors
from benchmarks.workload import MOMENTUM, STEPS, Size


def prepare(
    size: Size, members: int, threads: int, compiled: bool
) -> tuple[dict[str, Any], Callable[..., Any]]:
    """Facts of `members` models at their start, and the function that trains them.

    The function trains for about so many seconds.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    models = [network_of(size) for _ in range(members)]
    images, labels = tensors(size)
    if not compiled:  # channels_last is a gain under torch.compile only
        models = [model.to(memory_format=torch.contiguous_format) for model in models]
        images = images.contiguous()
    advance, orders = stacked_step(models, compiled), workload.orders(size, members)
    losses: list[torch.Tensor] = []

    def step() -> None:
        chosen = torch.from_numpy(next(orders))
        losses[1:] = [advance(images[chosen], labels[chosen])]

    began = time.perf_counter()
    step()
    facts = dict(
        parameters=sum(p.numel() for p in models[0].parameters()), loss=losses[0].mean().item()
    )
    if compiled:
        facts['compile_seconds'] = time.perf_counter() - began

    def run(seconds: float) -> dict[str, float]:
        return dict(seconds=workload.timed(step, seconds) / members, loss=losses[-1].mean().item())

    return facts, run


def stacked_step(models: list[nn.Module], compiled: bool) -> Callable[..., torch.Tensor]:
    """images [member, batch, channel, height, width], labels [member, batch] -> losses [member]."""
    params, buffers = stack_module_state(models)
    params = {name: p.detach() for name, p in params.items()}
    momenta, count = {name: torch.zeros_like(p) for name, p in params.items()}, itertools.count()
    base = torch.from_numpy(workload.rates(len(models)))
    shapes = {name: (-1, *[1] * (p.ndim - 1)) for name, p in params.items()}
    gradients_of = vmap(grad_and_value(member_loss(models[0]), has_aux=True))

    def train_all(
        buffers: Any, rates: torch.Tensor, images: torch.Tensor, labels: torch.Tensor
    ) -> Any:
        gradients, (losses, buffers) = gradients_of(params, buffers, images, labels)
        for name, p in params.items():
            p.sub_(rates.view(shapes[name]) * momenta[name].mul_(MOMENTUM).add_(gradients[name]))
        return losses, buffers

    program = torch.compile(train_all, fullgraph=True) if compiled else train_all

    def step(images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        nonlocal buffers
        height = 0.5 * (1 + math.cos(math.pi * next(count) / STEPS))
        losses, buffers = program(buffers, base * height, images, labels)
        return losses

    return step


def member_loss(model: nn.Module) -> Callable[..., Any]:
    """One member: its loss, and its buffers after the step."""
    skeleton = copy.deepcopy(model).to('meta')

    def loss_of(params: Any, buffers: Any, images: torch.Tensor, labels: torch.Tensor) -> Any:
        buffers = dict(buffers)
        return CROSS_ENTROPY(
            functional_call(skeleton, (params, buffers), (images,)), labels
        ), buffers

    return loss_of
