"""PyTorch's side, as an expert writes it: whole samples at a time, layers unbound once, nothing else in Python.

Eager autograd, ``torch.func``, and both compiled by ``torch.compile``; samples as rows and as columns: all are timed,
the best counts.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import cache

import numpy as np
import torch
from network import Network, example, milliseconds
from race import Job, Record, Sine, lbfgsb
from sides import Answer, serve

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
torch._dynamo.config.recompile_limit = 64  # one for each network

Tensor = torch.Tensor
Cost = Callable[[Tensor], Tensor]
ValueAndGradient = Callable[[Tensor], tuple[Tensor, Tensor]]


def cost(network: Network, *, columns: bool) -> Cost:
    """J(w), samples as rows or as columns."""
    n, N, P, h = network.width, network.layers, network.parameters, network.step
    inputs = torch.from_numpy(network.inputs.T.copy() if columns else network.inputs)
    labels = torch.from_numpy(network.labels)
    depth = torch.cat([torch.ones(P), torch.full((N * (n * n + n),), h)])

    def in_rows(w: Tensor) -> Tensor:
        u = w[P:].view(N, n * n + n)
        kernels, biases = u[:, : n * n].view(N, n, n).mT, u[:, n * n :]
        x = inputs
        for K, b in zip(kernels.unbind(0), biases.unbind(0), strict=True):
            x = torch.add(x, torch.tanh(torch.addmm(b, x, K)), alpha=h)
        return torch.mv(x, w[:n]) + w[n] if network.head else x.sum(1)

    def in_columns(w: Tensor) -> Tensor:
        u = w[P:].view(N, n * n + n)
        kernels, biases = u[:, : n * n].view(N, n, n), u[:, n * n :, None]
        x = inputs
        for K, b in zip(kernels.unbind(0), biases.unbind(0), strict=True):
            x = torch.add(x, torch.tanh(torch.addmm(b, K, x)), alpha=h)
        return torch.mv(x.t(), w[:n]) + w[n] if network.head else x.sum(0)

    outputs = in_columns if columns else in_rows

    def total(w: Tensor) -> Tensor:
        tikhonov = 0.5 * network.weight * torch.dot(depth, w.square())
        if not network.head:
            return (outputs(w) - labels).square().mean() + tikhonov
        return 0.5 * (torch.sigmoid(outputs(w)) - labels).square().mean() + tikhonov

    return total


def by_autograd(function: Cost) -> ValueAndGradient:
    def value_and_gradient(w: Tensor) -> tuple[Tensor, Tensor]:
        w = w.detach().requires_grad_()
        value = function(w)
        return value.detach(), torch.autograd.grad(value, w)[0]

    return value_and_gradient


def by_func(function: Cost) -> ValueAndGradient:
    both = torch.func.grad_and_value(function)

    def value_and_gradient(w: Tensor) -> tuple[Tensor, Tensor]:
        slope, value = both(w)
        return value, slope

    return value_and_gradient


def ways(network: Network, *, compiled: bool) -> dict[str, ValueAndGradient]:
    """Eager, or what ``torch.compile`` makes of the same."""
    found = {}
    for columns in (False, True):
        function, where = cost(network, columns=columns), "columns" if columns else "rows"
        if compiled:
            found[f"compiled autograd, {where}"] = by_autograd(torch.compile(function, dynamic=False))
            found[f"compiled func, {where}"] = torch.compile(by_func(function), dynamic=False)
        else:
            found |= {f"autograd, {where}": by_autograd(function), f"func, {where}": by_func(function)}
    return found


def gradient(samples: int, width: int, layers: int) -> Answer:
    network, w = example(samples, width, layers)
    point = torch.from_numpy(w)
    reference, times = by_autograd(cost(network, columns=False))(point), {}
    for name, way in (ways(network, compiled=False) | ways(network, compiled=True)).items():
        value, slope = way(point)
        assert abs(value - reference[0]) < 1e-14 and np.allclose(slope, reference[1], rtol=0, atol=1e-14), name
        times[name] = milliseconds(lambda way=way: way(point))
    torch.compiler.reset()
    return {"cost": reference[0].item(), "gradient": reference[1].tolist(), "milliseconds": times}


def batch_step(samples: int, width: int, batch: int) -> Answer:
    """Milliseconds of a step of Adam on a mini-batch, eager; a new one each step, shuffled at every epoch."""
    network, w = example(samples, width, 20)
    inputs, labels = torch.from_numpy(network.inputs), torch.from_numpy(network.labels)
    point = torch.tensor(w)
    optimiser = torch.optim.Adam([point], lr=0.01)
    drawn: list[Tensor] = []

    def step() -> None:
        if not drawn:
            drawn.extend(torch.randperm(samples).split(batch))
        rows = drawn.pop()
        few = Network(inputs[rows].numpy(), labels[rows].numpy())
        point.grad = by_autograd(cost(few, columns=True))(point)[1]
        optimiser.step()

    return {"milliseconds": {"autograd, columns": milliseconds(step)}}


@cache
def quickest(network: Network, *, compiled: bool) -> ValueAndGradient:
    point = torch.zeros(network.size)
    found = ways(network, compiled=compiled)
    found = {name: way for name, way in found.items() if "func" in name or not compiled}  # the others are slower
    return min(found.values(), key=lambda way: milliseconds(lambda: way(point), 0.2))


def run(job: Job | Sine) -> Answer:
    way = quickest(job.network, compiled="compiled" in job.method)
    if "Adam" in job.method:
        record = adam(way, job)
    elif "own" in job.method:
        record = own_lbfgs(way, job)
    else:

        def value_and_gradient(w: np.ndarray) -> tuple[float, np.ndarray]:
            value, slope = way(torch.from_numpy(w))
            return value.item(), slope.numpy()

        record = lbfgsb(value_and_gradient, job)
    return record.judged(job)


def adam(way: ValueAndGradient, job: Job) -> Record:
    """Adam; clamped where there is a box."""
    w = torch.tensor(job.start)
    optimiser, record = torch.optim.Adam([w], lr=job.rate), Record(job.start, job.limit)
    try:
        while True:
            w.grad = way(w)[1]
            optimiser.step()
            if np.isfinite(job.box):
                w.clamp_(-job.box, job.box)
            record(w.numpy())
    except StopIteration:
        return record


def own_lbfgs(way: ValueAndGradient, job: Job) -> Record:
    """torch.optim.LBFGS, strong Wolfe; what is recorded is every point at which it asks."""
    w = torch.tensor(job.start, requires_grad=True)
    record = Record(job.start, job.limit)
    optimiser = torch.optim.LBFGS(
        [w],
        max_iter=100_000,
        history_size=20,
        tolerance_grad=1e-11,
        tolerance_change=0.0,
        line_search_fn="strong_wolfe",
    )

    def closure() -> torch.Tensor:
        value, w.grad = way(w.detach())
        record(w.detach().numpy())
        return value

    with suppress(StopIteration):
        optimiser.step(closure)
    return record


if __name__ == "__main__":
    serve(
        {
            "gradient": gradient,
            "batch_step": batch_step,
            "race": lambda **job: run(Job(**job)),
            "sine": lambda **job: run(Sine(**job)),
        }
    )
