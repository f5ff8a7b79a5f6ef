"""What does the reduced system (3.5) cost beside the full one, and how do both grow with the width M and the rank r?

∂t f = tanh(a − Bf), B = Σ_l μ_l (φ_l, ·) φ_l with μ_l = 2^{−l} and φ_l = √2 cos πly, one sample, T = 5, states at the
last depth to a tolerance of 1e-10. CPU seconds, the best of several; the set-up, M × M numbers for the full flow and
r × M for the reduced one, is not counted. Exponents are of straight lines through the larger half of each column.

``python benchmarks/analysis/finite_rank.py``. Run with OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

import ocdl
from ocdl.analysis import FiniteRankFlow, Flow, KernelOperator

WIDTHS, RANKS, RANK, WIDE = (64, 128, 256, 512, 1024, 2048, 4096), (1, 2, 4, 8, 16, 32, 64, 128, 256), 3, 4096
ALONE = (16384, 65536, 262144)  # of which the kernel fits no memory, or hardly
HORIZON, TOLERANCE, REPEATS = 5.0, 1e-10, 5


def waves(r: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda y: np.sqrt(2.0) * np.cos(np.pi * np.arange(r)[:, None] * y)


def bias(y: np.ndarray) -> np.ndarray:
    return 0.3 * np.sin(5.0 * y)


def begin(y: np.ndarray) -> np.ndarray:
    return np.exp(y) * np.cos(9.0 * y)


def reduced(M: int, r: int) -> FiniteRankFlow:
    mu = 0.5 ** np.arange(r)
    return FiniteRankFlow.selection(ocdl.Tanh(), bias, mu, waves(r), waves(r), ocdl.Midpoint(M), HORIZON)


def full(M: int, r: int) -> Flow:
    B = KernelOperator.finite_rank(0.5 ** np.arange(r), waves(r), waves(r), ocdl.Midpoint(M))
    return Flow.selection(ocdl.Tanh(), bias, B, HORIZON)


def seconds(flow: Any) -> tuple[float, np.ndarray]:
    """CPU seconds of an evolution, and where it ends."""
    taken = []
    for _ in range(REPEATS):
        clock = time.process_time()
        end = flow.evolve(begin, tolerance=TOLERANCE, times=[HORIZON]).x[-1, 0]
        taken.append(time.process_time() - clock)
        if sum(taken) > 10.0:
            break
    return min(taken), end


def exponent(sizes: tuple[int, ...], taken: list[float]) -> float:
    """Of the larger half."""
    half = len(sizes) // 2
    return float(np.polyfit(np.log(sizes[half:]), np.log(taken[half:]), 1)[0])


if __name__ == "__main__":
    seconds(reduced(64, RANK)), seconds(full(64, RANK))  # what is imported once
    print(f"rank {RANK}\n     M      full   reduced  reduced : full  apart")
    both: list[tuple[float, float]] = []
    for M in WIDTHS:
        (slow, x), (quick, z) = seconds(full(M, RANK)), seconds(reduced(M, RANK))
        both.append((slow, quick))
        print(f"{M:6d} {slow:9.4f} {quick:9.4f} {quick / slow:15.4f}  {np.abs(x - z).max():.1e}", flush=True)
    of_full, of_reduced = (list(column) for column in zip(*both, strict=True))
    for M in ALONE:
        of_reduced.append(seconds(reduced(M, RANK))[0])
        print(f"{M:6d}           {of_reduced[-1]:9.4f}", flush=True)
    growth = exponent(WIDTHS, of_full), exponent((*WIDTHS, *ALONE), of_reduced)
    print(f"seconds grow as M^{growth[0]:.2f} (full) and M^{growth[1]:.2f} (reduced)")
    print(f"\nM = {WIDE}\n     r   reduced")
    taken = []
    for r in RANKS:
        taken.append(seconds(reduced(WIDE, r))[0])
        print(f"{r:6d} {taken[-1]:9.4f}", flush=True)
    print(f"seconds grow as r^{exponent(RANKS, taken):.2f}")
