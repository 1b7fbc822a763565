"""The study of experiments/pooling.py as a PyTorch script: tuning, then fresh seeds.

Run    python -m benchmarks.torch_study
Gives  one line of JSON: the seconds of its parts, the rate that each pooling chose, its mean test
       accuracy

Models one after another in as many processes as there are cores, one thread each: the better of
PyTorch's ways. Rates past the edge of the grid are not tried.
"""

import argparse
import json
import multiprocessing
import statistics
import time
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.torch_parts import POOLINGS, Part, digits
from benchmarks.torch_side import network
from jaxdl.runtime.machine import usable_cores

RATES = tuple(float(rate) for rate in np.geomspace(0.01, 1.0, 5))
TUNING, MEASURING, EPOCHS, BATCH, WIDTH, DEPTH = range(3), range(100, 110), 20, 32, 16, 2


def start() -> None:
    """Prepare a process of the pool: one thread, and the data."""
    global train_part, val_part, test_part
    torch.set_num_threads(1)
    train_part, val_part, test_part = (
        (images.to(memory_format=torch.channels_last), labels) for images, labels in digits()
    )


def fit(job: tuple[str, float, int]) -> dict[str, float]:
    """Train one model.

    Returns:
      Last validation and test accuracy, and the seconds of training and evaluating.
    """
    pooling, rate, seed = job
    torch.manual_seed(seed)
    model = network(WIDTH, DEPTH, 1, POOLINGS[pooling])
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight)
    model = model.to(memory_format=torch.channels_last)
    steps = len(train_part[1]) // BATCH
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS * steps)
    seconds, val = dict(train=0.0, evaluate=0.0), 0.0
    for _ in range(EPOCHS):
        began = time.perf_counter()
        train_epoch(model, optimizer, schedule)
        trained = time.perf_counter()
        val = accuracy(model, val_part)
        seconds['train'] += trained - began
        seconds['evaluate'] += time.perf_counter() - trained
    return dict(val=val, test=accuracy(model, test_part), **seconds)


def train_epoch(model: nn.Module, optimizer: torch.optim.Optimizer, schedule: Any) -> float:
    """One pass over the training images in a new order; the mean loss."""
    model.train()
    images, labels = train_part
    order = torch.randperm(len(labels))[: len(labels) // BATCH * BATCH].split(BATCH)
    total = torch.zeros(())
    for chosen in order:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(images[chosen]), labels[chosen])
        loss.backward()
        optimizer.step()
        schedule.step()
        total += loss.detach()
    return total.item() / len(order)


@torch.inference_mode()
def accuracy(model: nn.Module, part: Part) -> float:
    """The share of a part's images that are right."""
    model.eval()
    images, labels = part
    return (model(images).argmax(1) == labels).float().mean().item()


def main() -> None:
    """Both phases, and one line of JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--processes', type=int, default=usable_cores())
    parser.add_argument(
        '--poolings', type=int, default=len(POOLINGS), help='only the first so many: a short check'
    )
    options, began = parser.parse_args(), time.perf_counter()
    poolings = list(POOLINGS)[: options.poolings]
    tuning = [(pooling, rate, seed) for pooling in poolings for rate in RATES for seed in TUNING]
    with multiprocessing.get_context('spawn').Pool(options.processes, start) as pool:
        tuned = dict(zip(tuning, pool.imap(fit, tuning), strict=True))
        means = {
            (p, r): statistics.fmean(tuned[p, r, s]['val'] for s in TUNING)
            for p in poolings
            for r in RATES
        }
        best = {
            pooling: max(RATES, key=lambda rate, p=pooling: means[p, rate]) for pooling in poolings
        }
        measuring = [(pooling, best[pooling], seed) for pooling in poolings for seed in MEASURING]
        measured = dict(zip(measuring, pool.imap(fit, measuring), strict=True))
    wall, fitted = time.perf_counter() - began, [*tuned.values(), *measured.values()]
    spent = {
        name: sum(result[name] for result in fitted) / options.processes
        for name in ('train', 'evaluate')
    }
    tested = {
        p: statistics.fmean(measured[p, best[p], s]['test'] for s in MEASURING) for p in poolings
    }
    print(
        json.dumps(
            dict(
                wall_seconds=wall,
                models=len(fitted),
                seconds=spent,
                rates=best,
                test_accuracy=tested,
            )
        )
    )


if __name__ == '__main__':
    main()
