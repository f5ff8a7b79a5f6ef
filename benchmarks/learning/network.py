"""The networks of all sides, their sizes and starts, and gradients by hand in NumPy: the reference of every other.

    x_{k+1} = x_k + h tanh(K_k x_k + b_k),  h = T/N,   J = 1/(2S) Σ_s (σ(W·x_N + μ) − c)² + ½ α (h Σ_k |u_k|² + |p|²)

with p = (W, μ), u_k = (K_k row by row, b_k) and w = (p, u_0, …, u_{N−1}); T = 1. Paper 002's sine has no readout to
train, w = (u_0, …, u_{N−1}), J = 1/S Σ_s (Σ_i x_{N,i} − c)² and T = 5. It needs NumPy alone, for every side has it, in
whatever interpreter it lives.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

Array = np.ndarray
WEIGHT = 1e-4


@dataclass(frozen=True, eq=False)
class Network:
    """Inputs (S, n), labels (S,), N layers, α and T; without a ``head`` the outputs are sums of states."""

    inputs: Array
    labels: Array
    layers: int = 20
    weight: float = WEIGHT
    horizon: float = 1.0
    head: bool = True

    @property
    def width(self) -> int:
        return self.inputs.shape[1]

    @property
    def step(self) -> float:
        return self.horizon / self.layers

    @property
    def parameters(self) -> int:
        return self.width + 1 if self.head else 0

    @property
    def size(self) -> int:
        return self.parameters + self.layers * (self.width**2 + self.width)

    def start(self, seed: int, scale: float = 1.0) -> Array:
        """W, K ~ N(0, scale²) and μ, b = 0."""
        n, generator = self.width, np.random.default_rng(seed)
        head = np.append(scale * generator.standard_normal(n), 0.0)
        kernels = scale * generator.standard_normal((self.layers, n * n))
        return np.concatenate([head, np.hstack([kernels, np.zeros((self.layers, n))]).ravel()])

    def value_and_gradient(self, w: Array) -> tuple[float, Array]:
        """J and ∇J."""
        P, h = self.parameters, self.step
        x, sigma = self.states(w)
        if self.head:
            W, mu = w[: P - 1], w[P - 1]
            predicted = 0.5 * (1.0 + np.tanh(0.5 * (W @ x[-1] + mu)))
            error = predicted - self.labels
            loss, slope = 0.5 * np.mean(error**2), error * predicted * (1.0 - predicted) / error.size
        else:
            W, error = np.ones(self.width), x[-1].sum(axis=0) - self.labels
            loss, slope = np.mean(error**2), 2.0 * error / error.size
        gradient = self.weight * w
        gradient[P:] *= h
        if self.head:
            gradient[: P - 1] += x[-1] @ slope
            gradient[P - 1] += slope.sum()
        in_u = gradient[P:].reshape(self.layers, -1)
        for k, rate in self.adjoint(w, sigma, np.outer(W, slope)):
            in_u[k] += np.append(rate @ x[k].T, rate.sum(axis=1))
        tikhonov = w[:P] @ w[:P] + h * (w[P:] @ w[P:])
        return float(loss + 0.5 * self.weight * tikhonov), gradient

    def states(self, w: Array) -> tuple[Array, Array]:
        """x (N + 1, n, S) and tanh (N, n, S), samples as columns."""
        K, b = self.layered(w)
        x, sigma = np.empty((self.layers + 1, *self.inputs.T.shape)), np.empty((self.layers, *self.inputs.T.shape))
        x[0] = self.inputs.T
        for k in range(self.layers):
            np.matmul(K[k], x[k], out=sigma[k])
            sigma[k] += b[k]
            np.tanh(sigma[k], out=sigma[k])
            np.multiply(sigma[k], self.step, out=x[k + 1])
            x[k + 1] += x[k]
        return x, sigma

    def adjoint(self, w: Array, sigma: Array, costate: Array) -> Iterator[tuple[int, Array]]:
        """Layer and h σ'(z_k) ∘ p_{k+1} (n, S) from the last to the first; it writes on sigma and the costate."""
        K, _ = self.layered(w)
        for k in reversed(range(self.layers)):
            np.square(sigma[k], out=sigma[k])
            np.subtract(1.0, sigma[k], out=sigma[k])
            sigma[k] *= costate
            sigma[k] *= self.step
            yield k, sigma[k]
            costate += K[k].T @ sigma[k]

    def layered(self, w: Array) -> tuple[Array, Array]:
        """K (N, n, n) and b (N, n, 1)."""
        n, u = self.width, w[self.parameters :].reshape(self.layers, -1)
        return u[:, : n * n].reshape(-1, n, n), u[:, n * n :, None]

    def residuals(self, w: Array) -> tuple[Array, Array]:
        """Without a head and α: ρ (S,) with J = |ρ|², and ∂ρ/∂w (S, ·)."""
        x, sigma = self.states(w)
        S, root = self.labels.size, self.labels.size**-0.5
        jacobian = np.empty((S, self.layers, w.size // self.layers))
        for k, rate in self.adjoint(w, sigma, np.full((self.width, S), root)):
            jacobian[:, k, : self.width**2] = np.einsum("is,js->sij", rate, x[k]).reshape(S, -1)
            jacobian[:, k, self.width**2 :] = rate.T
        return root * (x[-1].sum(axis=0) - self.labels), jacobian.reshape(S, -1)


def example(samples: int, width: int, layers: int) -> tuple[Network, Array]:
    """A network on normal inputs, labelled by their first two entries, and the point at which gradients are timed."""
    inputs = np.random.default_rng(0).standard_normal((samples, width))
    network = Network(inputs, (inputs[:, 0] * inputs[:, 1] > 0).astype(float), layers)
    return network, network.start(1, scale=width**-0.5)


@cache
def sine(samples: int = 1000) -> Network:
    """Five copies of ξ ∈ [−π, π], to be taken to sin ξ."""
    xi = np.linspace(-np.pi, np.pi, samples)
    return Network(np.repeat(xi[:, None], 5, axis=1), np.sin(xi), 20, 0.0, 5.0, head=False)


def sine_start(name: str) -> Array:
    """W truncated normal with deviation 0.1 and b = 0.1, "good"; or U(±0.005) around "zero"."""
    generator = np.random.default_rng(0)
    kernels = 0.1 * np.clip(generator.standard_normal((20, 25)), -2.0, 2.0)
    good = np.hstack([kernels, np.full((20, 5), 0.1)]).ravel()
    return good if name == "good" else generator.uniform(-0.005, 0.005, good.size)


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
