"""Data sets of the papers on learning as optimal control: points of the plane with labels 0 and 1, and a sine to fit.

Each returns training and test samples, the test an independent draw of the same size; ``seed`` draws both.
Sources: Benning, Celledoni, Ehrhardt, Owren and Schönlieb, "Deep learning as optimal control problems" (2019),
section 6, with the figures of the authors' code; Li, Chen, Tai and E, "Maximum principle based algorithms for deep
learning" (2018), section 5.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocdl.arrays import is_whole
from ocdl.errors import InvalidInput
from ocdl.statement.data import Samples

Array = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], tuple[Array, Array]]

RING, SPREAD = 0.5, 0.1  # the radius of a ring, and the standard deviation around it
NODES = 100  # of the grid of [−1, 1] from which the points of a donut are drawn


def donut1d(*, count: int = 500, seed: int = 0) -> tuple[Samples, Samples]:
    """Label 1 between two clusters of label 0 on a line of the plane; a third of the points have label 1.

    x₁ is drawn from 100 nodes of [−1, 1] with probability ∝ exp(−(|x₁| − m)²/(2 · 0.1²)), m = 0 for label 1 and 0.5
    for label 0, x₂ = 0; then N(0, 0.1²) is added to both.
    """
    line = np.stack([np.linspace(-1.0, 1.0, NODES), np.zeros(NODES)], axis=1)
    return _twice("donut1d", lambda draw, size: _donut(draw, line, size // 3, size), count, seed)


def donut2d(*, count: int = 1000, seed: int = 0) -> tuple[Samples, Samples]:
    """Label 1 within a ring of label 0, half and half: as ``donut1d`` with |x| on a 100 × 100 grid of [−1, 1]²."""
    nodes = np.linspace(-1.0, 1.0, NODES)
    plane = np.stack(np.meshgrid(nodes, nodes, indexing="ij"), axis=-1).reshape(-1, 2)
    return _twice("donut2d", lambda draw, size: _donut(draw, plane, size // 2, size), count, seed)


def squares(*, count: int = 1000, seed: int = 0) -> tuple[Samples, Samples]:
    """Uniform points of [−0.7, 0.7]² with label x₁x₂ > 0; N(0, 0.1²) is added after that."""

    def drawn(draw: np.random.Generator, size: int) -> tuple[Array, Array]:
        points = draw.uniform(-0.7, 0.7, (size, 2))
        return points + SPREAD * draw.standard_normal(points.shape), np.where(
            points[:, 0] * points[:, 1] > 0.0, 1.0, 0.0
        )

    return _twice("squares", drawn, count, seed)


def spiral(*, count: int = 1000, seed: int = 0) -> tuple[Samples, Samples]:
    """Two arms, radius from 0.1 to 1 and angle from 0.1 to 2π, turned by π for label 1; N(0, 0.05²) is added."""

    def drawn(draw: np.random.Generator, size: int) -> tuple[Array, Array]:
        labels = np.repeat([0.0, 1.0], [size - size // 2, size // 2])
        along = np.concatenate([np.linspace(0.0, 1.0, k) for k in (size - size // 2, size // 2)])
        radius, angle = 0.1 + 0.9 * along, 0.1 + (2.0 * np.pi - 0.1) * along + np.pi * labels
        points = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
        return points + 0.05 * draw.standard_normal(points.shape), labels

    return _twice("spiral", drawn, count, seed)


def sine(*, count: int = 1000, seed: int = 0, copies: int = 5) -> tuple[Samples, Samples]:
    """sin x for x uniform in [−π, π]: inputs are ``copies`` equal components x, labels sin x.

    Li et al. fit it by the sum of the states at T = 5, ``Readout(IdentityLink(), weight=(1, 1), bias=(0, 0))``.
    """
    if not (is_whole(copies) and copies >= 1):
        raise InvalidInput(f"sine(copies={copies!r}): a whole number of components is needed, at least 1.")

    def drawn(draw: np.random.Generator, size: int) -> tuple[Array, Array]:
        x = draw.uniform(-np.pi, np.pi, size)
        return np.repeat(x[:, None], copies, axis=1), np.sin(x)

    return _twice("sine", drawn, count, seed)


def _donut(draw: np.random.Generator, nodes: Array, ones: int, size: int) -> tuple[Array, Array]:
    """``ones`` points of label 1 around radius 0, the others around ``RING``."""

    def around(radius: float, k: int) -> Array:
        density = np.exp(-((np.linalg.norm(nodes, axis=1) - radius) ** 2) / (2.0 * SPREAD**2))
        return nodes[draw.choice(len(nodes), size=k, p=density / density.sum())]

    points = np.concatenate([around(RING, size - ones), around(0.0, ones)])
    return points + SPREAD * draw.standard_normal(points.shape), np.repeat([0.0, 1.0], [size - ones, ones])


def _twice(name: str, drawn: Draw, count: Any, seed: Any) -> tuple[Samples, Samples]:
    """Training and test samples from one stream of random numbers."""
    if not (is_whole(count) and count >= 3):
        raise InvalidInput(f"{name}(count={count!r}): a whole number of samples is needed, at least 3.")
    if not (is_whole(seed) and seed >= 0):
        raise InvalidInput(f"{name}(seed={seed!r}): a seed is a whole number, at least 0.")
    draw = np.random.default_rng(seed)
    return Samples(*drawn(draw, int(count))), Samples(*drawn(draw, int(count)))
