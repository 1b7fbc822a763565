"""The peer: the network of the ablations in PyTorch, eager, models one after another. Needs the extra `parity`."""

import time

import torch
from torch import nn


def network(width: int, depth: int, channels: int, classes: int) -> nn.Module:
    """Stages of 3 x 3 convolution, batch norm, ReLU, 2 x 2 max pool, widths doubling; mean pool; dense."""
    layers: list[nn.Module] = []
    for i in range(depth):
        layers += [nn.Conv2d(channels, width << i, 3, padding=1, bias=False), nn.BatchNorm2d(width << i), nn.ReLU()]
        layers += [nn.MaxPool2d(2)]
        channels = width << i
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


def seconds_per_step(
    side: int, channels: int, width: int, depth: int, batch: int, seconds: float, threads: int
) -> float:
    """Seconds of one training step of one model, over about `seconds`, after a tenth of that to warm up."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    images = torch.randn(1024, channels, side, side)
    labels = torch.randint(0, 10, (1024,))
    model = network(width, depth, channels, 10)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10_000)
    loss_of = nn.CrossEntropyLoss()

    def steps(limit: float) -> tuple[int, float]:
        began, count = time.perf_counter(), 0
        while time.perf_counter() - began < limit:
            for chosen in torch.randperm(1024)[: 1024 // batch * batch].split(batch):
                optimizer.zero_grad()
                loss_of(model(images[chosen]), labels[chosen]).backward()
                optimizer.step()
                schedule.step()
                count += 1
        return count, time.perf_counter() - began

    steps(seconds / 10)
    count, taken = steps(seconds)
    return taken / count
