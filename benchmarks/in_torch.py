"""Many models in PyTorch, as a user would write it who wants speed: a loop, `vmap(grad)`, and that compiled."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.func import functional_call, grad, stack_module_state, vmap

Step = Callable[[], float]  # seconds


def dense(widths: tuple[int, ...]) -> torch.nn.Module:
    """Dense layers with relu between them."""
    pairs = list(itertools.pairwise(widths))
    layers = [part for a, b in pairs for part in (torch.nn.Linear(a, b), torch.nn.ReLU())]
    return torch.nn.Sequential(*layers[:-1])


def lenet() -> torch.nn.Module:
    """The network of jdl.models.McMahanCNN((16, 32), hidden=128) on grey images of 28x28."""
    return torch.nn.Sequential(
        *convolution(1, 16, 0), *convolution(16, 32, 0), torch.nn.Flatten(), *dense((1568, 128, 10))
    )


def gn_lenet() -> torch.nn.Module:
    """The network of jdl.models.GNLeNet on images of 32x32x3."""
    parts = *convolution(3, 32, 2), *convolution(32, 32, 2), *convolution(32, 64, 2)
    return torch.nn.Sequential(*parts, torch.nn.Flatten(), torch.nn.Linear(1024, 10))


def convolution(inputs: int, features: int, groups: int) -> list[torch.nn.Module]:
    """5x5, normalised by groups if there are any, relu, pooling."""
    norm = [torch.nn.GroupNorm(groups, features)] if groups else []
    return [torch.nn.Conv2d(inputs, features, 5, padding=2), *norm, torch.nn.ReLU(), torch.nn.MaxPool2d(2)]


def slopes_of(module: torch.nn.Module) -> Callable:
    """The gradients of stacked models, each on its own batch."""

    def loss(params, x, y):
        return torch.nn.functional.cross_entropy(functional_call(module, params, (x,)), y)

    return vmap(grad(loss))


def stacked(models: list[torch.nn.Module]) -> dict[str, torch.Tensor]:
    """The parameters of some models of the same shapes, in one tensor for each layer."""
    return {name: value.detach().clone() for name, value in stack_module_state(models)[0].items()}


def timed(step: Callable[..., Any], threads: int, state: Any, *rest: Any) -> Callable[[int], float]:
    """A function from a number of rounds to seconds, of `state = step(state, *rest)`."""

    def run(rounds: int) -> float:
        nonlocal state
        torch.set_num_threads(threads)
        with torch.no_grad():
            start = time.perf_counter()
            for _ in range(rounds):
                state = step(state, *rest)
        return time.perf_counter() - start

    return run


def compiled(function: Callable, threads: int) -> Callable:
    """The function by TorchInductor, whose code is made for a number of threads."""
    torch.set_num_threads(threads)
    return torch.compile(function, dynamic=False)


def eager_loop(models: list[torch.nn.Module], x: torch.Tensor, y: torch.Tensor, threads: int, lr: float) -> Step:
    """A step of SGD of every model, one after the other."""
    optimizers = [torch.optim.SGD(model.parameters(), lr=lr) for model in models]

    def run():
        torch.set_num_threads(threads)
        start = time.perf_counter()
        for i, (model, optimizer) in enumerate(zip(models, optimizers, strict=True)):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(x[i]), y[i]).backward()
            optimizer.step()
        return time.perf_counter() - start

    return run


def at_once(
    models: list[torch.nn.Module], x: torch.Tensor, y: torch.Tensor, threads: int, lr: float
) -> dict[str, Step]:
    """A step of SGD of all models by `vmap(grad)`, as it is and compiled."""
    gradients = slopes_of(models[0])

    def step(params, x, y):
        slopes = gradients(params, x, y)
        return {name: value - lr * slopes[name] for name, value in params.items()}

    ways = {"vmap(grad)": step, "compiled vmap(grad)": compiled(step, threads)}
    runs = {name: timed(way, threads, stacked(models), x, y) for name, way in ways.items()}
    return {name: lambda run=run: run(1) for name, run in runs.items()}


def rounds_of_torch(task: Any, threads: int, lr: float = 0.1) -> dict[str, Callable[[int], float]]:
    """Rounds of D-PSGD of a dense network: compiled as a whole, and with only the gradients compiled."""
    problem = task.problem
    as_tensor = lambda x: torch.from_numpy(np.array(x))
    senders = as_tensor(task.topology.plan("slots").links.senders).long()
    images, labels = as_tensor(problem.train_x), as_tensor(problem.train_y).long()
    rows = as_tensor(problem.indices)[:, : int(problem.num_examples[0])].long()
    n, degree = senders.shape
    widths = (images[0].numel(), *problem.module.hidden, problem.classes)
    models = [dense(widths) for _ in range(n)]
    images = images.reshape(len(images), -1)
    gradients = slopes_of(dense(widths).to("meta"))

    def one_round(gradients, params, images, labels, rows, senders):
        places = torch.randint(0, rows.shape[1], (n, problem.batch_size))
        chosen = torch.gather(rows, 1, places)
        x = images[chosen]
        x = x.float() / 255 if x.dtype == torch.uint8 else x
        slopes = gradients(params, x, labels[chosen])
        sent = {name: value - lr * slopes[name] for name, value in params.items()}
        return {name: mean_with(senders, value) for name, value in sent.items()}

    def mean_with(senders, x):
        total = x
        for slot in range(degree):
            total = total + x[senders[:, slot]]
        return total / (degree + 1)

    whole = compiled(lambda *arguments: one_round(gradients, *arguments), threads)
    part = compiled(gradients, threads)
    data = images, labels, rows, senders
    return {
        "round compiled": timed(whole, threads, stacked(models), *data),
        "gradients compiled": timed(lambda *arguments: one_round(part, *arguments), threads, stacked(models), *data),
    }
