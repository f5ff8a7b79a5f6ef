"""PyTorch's side of ``digits.py``: the residual network with a softmax, Adam or SciPy's L-BFGS-B on its gradients."""

import time
from collections.abc import Callable

import numpy as np
import torch
from scipy.optimize import minimize
from sides import Answer, serve

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)

Tensor = torch.Tensor
Start = dict[str, list]


def cost(inputs: list, labels: list, weight: float) -> Callable[[dict[str, Tensor]], Tensor]:
    """J of K (N, n, n), beta (N, n), W and mu."""
    first, classes = torch.tensor(inputs), torch.tensor(labels)

    def total(w: dict[str, Tensor]) -> Tensor:
        x, h = first, 1.0 / len(w["K"])
        for K, b in zip(w["K"].mT.unbind(0), w["beta"].unbind(0), strict=True):
            x = torch.add(x, torch.tanh(torch.addmm(b, x, K)), alpha=h)
        loss = torch.nn.functional.cross_entropy(torch.addmm(w["mu"], x, w["W"].mT), classes)
        depth = h * (w["K"].square().sum() + w["beta"].square().sum())
        return loss + 0.5 * weight * (depth + w["W"].square().sum() + w["mu"].square().sum())

    return total


def digits(
    inputs: list, labels: list, start: Start, method: str, limit: float, rate: float, weight: float, tolerance: float
) -> Answer:
    total, w = cost(inputs, labels, weight), {name: torch.tensor(part) for name, part in start.items()}
    for part in w.values():
        part.requires_grad_()
    begin = time.process_time()
    if method == "Adam":
        adam(total, w, rate, begin + limit, tolerance)
    else:
        lbfgsb(total, w, begin + limit, tolerance)
    return {"seconds": time.process_time() - begin} | {name: part.tolist() for name, part in w.items()}


def adam(total: Callable, w: dict[str, Tensor], rate: float, end: float, tolerance: float) -> None:
    optimiser = torch.optim.Adam(w.values(), lr=rate)
    while time.process_time() < end:
        optimiser.zero_grad()
        total(w).backward()
        if max(part.grad.abs().max() for part in w.values()) <= tolerance:
            return
        optimiser.step()


def lbfgsb(total: Callable, w: dict[str, Tensor], end: float, tolerance: float) -> None:
    sizes = [part.numel() for part in w.values()]

    def put(v: np.ndarray) -> None:
        with torch.no_grad():
            for part, values in zip(w.values(), torch.from_numpy(v).split(sizes), strict=True):
                part.copy_(values.view(part.shape))

    def value_and_gradient(v: np.ndarray) -> tuple[float, np.ndarray]:
        put(v)
        value = total(w)
        slopes = torch.autograd.grad(value, list(w.values()))
        return value.item(), torch.cat([slope.reshape(-1) for slope in slopes]).numpy()

    last = [torch.cat([part.detach().reshape(-1) for part in w.values()]).numpy()]

    def watched(v: np.ndarray) -> None:
        last[0] = v.copy()
        if time.process_time() > end:
            raise StopIteration

    options = {"maxcor": 20, "ftol": 1e-15, "gtol": tolerance, "maxiter": 100_000, "maxfun": 1_000_000}
    minimize(value_and_gradient, last[0], jac=True, method="L-BFGS-B", callback=watched, options=options)
    put(last[0])


if __name__ == "__main__":
    serve({"digits": digits})
