"""The network of all sides, its sizes and starts, and its gradient by hand in NumPy: the reference of every other.

    x_{k+1} = x_k + h tanh(K_k x_k + b_k),  h = 1/N,   J = 1/(2S) Σ_s (σ(W·x_N + μ) − c)² + ½ α (h Σ_k |u_k|² + |p|²)

with p = (W, μ), u_k = (K_k row by row, b_k) and w = (p, u_0, …, u_{N−1}). It needs NumPy alone, for every side
has it, in whatever interpreter it lives.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray
WEIGHT = 1e-4


@dataclass(frozen=True, eq=False)
class Network:
    """Inputs (S, n), labels (S,), N layers and α."""

    inputs: Array
    labels: Array
    layers: int = 20
    weight: float = WEIGHT

    @property
    def width(self) -> int:
        return self.inputs.shape[1]

    @property
    def size(self) -> int:
        n = self.width
        return n + 1 + self.layers * (n * n + n)

    def start(self, seed: int, scale: float = 1.0) -> Array:
        """W, K ~ N(0, scale²) and μ, b = 0."""
        n, generator = self.width, np.random.default_rng(seed)
        head = np.append(scale * generator.standard_normal(n), 0.0)
        kernels = scale * generator.standard_normal((self.layers, n * n))
        return np.concatenate([head, np.hstack([kernels, np.zeros((self.layers, n))]).ravel()])

    def value_and_gradient(self, w: Array) -> tuple[float, Array]:
        """J and ∇J; samples are columns, and nothing is evaluated twice."""
        n, S, N, h = self.width, self.labels.size, self.layers, 1.0 / self.layers
        W, u = w[:n], w[n + 1 :].reshape(N, n * n + n)
        K, b = u[:, : n * n].reshape(N, n, n), u[:, n * n :, None]
        x, sigma = np.empty((N + 1, n, S)), np.empty((N, n, S))
        x[0] = self.inputs.T
        for k in range(N):
            np.matmul(K[k], x[k], out=sigma[k])
            sigma[k] += b[k]
            np.tanh(sigma[k], out=sigma[k])
            np.multiply(sigma[k], h, out=x[k + 1])
            x[k + 1] += x[k]
        predicted = 0.5 * (1.0 + np.tanh(0.5 * (W @ x[N] + w[n])))
        error = predicted - self.labels
        slope = error * predicted * (1.0 - predicted) / S
        gradient = self.weight * w
        gradient[n + 1 :] *= h
        gradient[:n] += x[N] @ slope
        gradient[n] += slope.sum()
        in_u = gradient[n + 1 :].reshape(N, n * n + n)
        costate = np.outer(W, slope)
        for k in reversed(range(N)):
            np.square(sigma[k], out=sigma[k])
            np.subtract(1.0, sigma[k], out=sigma[k])
            sigma[k] *= costate
            sigma[k] *= h
            in_u[k, : n * n] += (sigma[k] @ x[k].T).ravel()
            in_u[k, n * n :] += sigma[k].sum(axis=1)
            costate += K[k].T @ sigma[k]
        tikhonov = w[: n + 1] @ w[: n + 1] + h * (w[n + 1 :] @ w[n + 1 :])
        return float(0.5 * np.mean(error**2) + 0.5 * self.weight * tikhonov), gradient


def example(samples: int, width: int, layers: int) -> tuple[Network, Array]:
    """A network on normal inputs, labelled by their first two entries, and the point at which gradients are timed."""
    inputs = np.random.default_rng(0).standard_normal((samples, width))
    network = Network(inputs, (inputs[:, 0] * inputs[:, 1] > 0).astype(float), layers)
    return network, network.start(1, scale=width**-0.5)


def milliseconds(function: Callable[[], Any], seconds: float = 1.5) -> float:
    """CPU of one call, the least mean of a batch of calls that takes some 30 ms, in so many seconds of trying."""
    function()
    clock = time.process_time()
    function()
    batch = max(1, int(0.03 / max(time.process_time() - clock, 1e-6)))
    least, end = np.inf, time.process_time() + seconds
    while time.process_time() < end or not np.isfinite(least):
        clock = time.process_time()
        for _ in range(batch):
            function()
        least = min(least, (time.process_time() - clock) / batch)
    return 1e3 * least
