"""JAX's side: ``jit(value_and_grad)`` of layers scanned or unrolled, samples as rows or columns; the best counts."""

from collections.abc import Callable
from functools import cache
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from network import Network, example, milliseconds
from race import Job, Sine, lbfgsb
from sides import Answer, serve

jax.config.update("jax_enable_x64", True)


def cost(network: Network, *, columns: bool, scanned: bool) -> Callable[[Any], Any]:
    """J(w)."""
    n, N, P, h = network.width, network.layers, network.parameters, network.step
    inputs, labels = jnp.asarray(network.inputs.T if columns else network.inputs), jnp.asarray(network.labels)

    def layer(x: Any, u: Any) -> tuple[Any, None]:
        K, b = u[: n * n].reshape(n, n), u[n * n :]
        z = K @ x + b[:, None] if columns else x @ K.T + b
        return x + h * jnp.tanh(z), None

    def total(w: Any) -> Any:
        u, x = w[P:].reshape(N, n * n + n), inputs
        if scanned:
            x, _ = jax.lax.scan(layer, x, u)
        else:
            for k in range(N):
                x, _ = layer(x, u[k])
        tikhonov = jnp.sum(w[:P] ** 2) + h * jnp.sum(w[P:] ** 2)
        if not network.head:
            return jnp.mean((x.sum(0 if columns else 1) - labels) ** 2) + 0.5 * network.weight * tikhonov
        error = jax.nn.sigmoid((w[:n] @ x if columns else x @ w[:n]) + w[n]) - labels
        return 0.5 * jnp.mean(error**2) + 0.5 * network.weight * tikhonov

    return total


def ways(network: Network) -> dict[str, Callable[[Any], tuple[Any, Any]]]:
    return {
        f"{'scanned' if scanned else 'unrolled'}, {'columns' if columns else 'rows'}": jax.jit(
            jax.value_and_grad(cost(network, columns=columns, scanned=scanned))
        )
        for scanned, columns in product((True, False), repeat=2)
    }


def gradient(samples: int, width: int, layers: int) -> Answer:
    network, w = example(samples, width, layers)
    point, times = jnp.asarray(w), {}
    value, slope = jax.value_and_grad(cost(network, columns=False, scanned=True))(point)
    for name, way in ways(network).items():
        assert jnp.allclose(way(point)[1], slope, rtol=0, atol=1e-14), name
        times[name] = milliseconds(lambda way=way: jax.block_until_ready(way(point)))
    return {"cost": float(value), "gradient": slope.tolist(), "milliseconds": times}


@cache
def quickest(network: Network) -> Callable[[Any], tuple[Any, Any]]:
    point = jnp.zeros(network.size)
    return min(ways(network).values(), key=lambda way: milliseconds(lambda: jax.block_until_ready(way(point)), 0.2))


def run(job: Job | Sine) -> Answer:
    way = quickest(job.network)

    def value_and_gradient(w: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = way(w)
        return float(value), np.asarray(slope)

    return lbfgsb(value_and_gradient, job).judged(job)


if __name__ == "__main__":
    serve({"gradient": gradient, "race": lambda **job: run(Job(**job)), "sine": lambda **job: run(Sine(**job))})
