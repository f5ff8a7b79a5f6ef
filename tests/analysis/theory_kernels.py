"""Kernels that several tests of the theory ask about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import ocdl
from ocdl.analysis import Flow, KernelOperator


def waves(y: Any) -> Any:
    """1, √2 cos πy, √2 cos 2πy, orthonormal on (0, 1)."""
    return np.stack([np.ones_like(y), np.sqrt(2) * np.cos(np.pi * y), np.sqrt(2) * np.cos(2 * np.pi * y)])


def turned(angle: float) -> Callable[[Any], Any]:
    """The waves, the first two of them turned in their plane."""
    c, s = np.cos(angle), np.sin(angle)
    return lambda y: np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]]) @ waves(y)


def plain(matrix: Any) -> KernelOperator:
    """The operator of a matrix, of weights 1."""
    b = np.array(matrix, dtype=float)
    return KernelOperator(b, ocdl.Nodes(np.arange(len(b), dtype=float), np.ones(len(b))))


def orthonormal(operator: KernelOperator, random: Any, count: int) -> Any:
    """So many random functions at the nodes, orthonormal in L², (count, M)."""
    columns, _ = np.linalg.qr(random.standard_normal((operator.nodes.size, count)))
    return columns.T / np.sqrt(operator.weights)


def flow(operator: KernelOperator, bias: Any = 0.0, horizon: float = 1.0, activation: Any = None) -> Flow:
    return Flow.selection(activation or ocdl.Tanh(), bias, operator, horizon)


def growing(angle: float = 0.0, scale: float = 1.0, activation: Any = None) -> tuple[Flow, Any, Any]:
    """Section 3.3's example: B = (ψ, ·)φ with ψ ⊥ σ(φ), a = 0.7φ; its flow up to T = 40, φ and ψ."""
    nodes = ocdl.GaussLegendre(24).on((0, 1))
    y, w = nodes.points, nodes.weights
    phi = np.cos(angle * y) + y
    phi /= np.sqrt(w @ phi**2)
    sigma = (activation or ocdl.Tanh())(phi)
    raw = np.cos(2 * y) - y
    psi = scale * (raw - (w @ (raw * sigma)) / (w @ sigma**2) * sigma)
    return flow(KernelOperator(np.outer(phi, psi), nodes), 0.7 * phi, 40.0, activation), phi, psi
