"""The four sets of paper 001 in the plane: labels 0 and 1, drawn as the authors' deposit draws them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Array = np.ndarray
Draw = Callable[[np.random.Generator], tuple[Array, Array]]


def _near(radius: float, grid: Array, count: int, generator: np.random.Generator) -> Array:
    """Points of the grid with probability ∝ exp(−(|x| − radius)² / 0.02)."""
    likely = np.exp(-((np.linalg.norm(grid, axis=1) - radius) ** 2) / 0.02)
    return grid[generator.choice(len(grid), count, p=likely / likely.sum())]


def _donut(grid: Array, inside: int, outside: int, generator: np.random.Generator) -> tuple[Array, Array]:
    points = np.vstack([_near(0.0, grid, inside, generator), _near(0.5, grid, outside, generator)])
    return points + 0.1 * generator.standard_normal(points.shape), np.repeat([1.0, 0.0], [inside, outside])


def donut1d(generator: np.random.Generator) -> tuple[Array, Array]:
    axis = np.linspace(-1, 1, 100)
    return _donut(np.column_stack([axis, 0 * axis]), 167, 333, generator)


def donut2d(generator: np.random.Generator) -> tuple[Array, Array]:
    axis = np.linspace(-1, 1, 100)
    return _donut(np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2), 500, 500, generator)


def squares(generator: np.random.Generator) -> tuple[Array, Array]:
    points = generator.uniform(-0.7, 0.7, (1000, 2))
    labels = (points[:, 0] * points[:, 1] > 0).astype(float)
    return points + 0.1 * generator.standard_normal(points.shape), labels


def spiral(generator: np.random.Generator) -> tuple[Array, Array]:
    labels = np.repeat([0.0, 1.0], 500)
    radius, angle = np.tile(np.linspace(0.1, 1, 500), 2), np.tile(np.linspace(0.1, 2 * np.pi, 500), 2) + np.pi * labels
    points = radius[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    return points + 0.05 * generator.standard_normal(points.shape), labels


SETS: dict[str, Draw] = {draw.__name__: draw for draw in (donut1d, donut2d, squares, spiral)}
