"""What is summed over the samples: a work makes the part of one block, and parts are added up in one fixed order.

Parts are summed within groups of ``GROUP`` blocks, and groups in their order: whoever works on a block, and on whatever
machine a group is summed, the result is the same to the bit.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import reduce
from itertools import islice
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ocdl.once import Recent
from ocdl.sweeps.fused import passes
from ocdl.sweeps.fused.mesh import DenseMesh
from ocdl.sweeps.fused.samples import Samples
from ocdl.sweeps.fused.tape import DenseLayers, Tape, blank

Array = NDArray[np.float64]
Part = tuple[Any, ...]  # numbers, arrays, and None where an entry is nothing

GROUP = 8  # blocks
TAPES = 2  # sizes of blocks: whole ones, and the last of the samples


class Work(Protocol):
    """Something summed over samples. It can be sent to another process."""

    def on(self, mesh: DenseMesh, samples: Samples) -> Callable[[slice], Part]:
        """The part of a block; several threads may ask for one each."""
        ...


def total(parts: Iterable[Part]) -> Part:
    """The sum of the parts of all blocks, in their order."""
    left = iter(parts)
    groups = iter(lambda: list(islice(left, GROUP)), [])
    return added(reduce(_plus, group) for group in groups)


def added(groups: Iterable[Part]) -> Part:
    """The sum of the sums of groups, in their order."""
    return reduce(_plus, groups)


def _plus(one: Part, other: Part) -> Part:
    return tuple(None if a is None else a + b for a, b in zip(one, other, strict=True))


class _Memory(threading.local):
    """Each thread's own tapes of the latest sizes, written over by one block after the other: the pages of new ones
    cost more than filling them.
    """

    def __init__(self) -> None:
        self.tapes = Recent(TAPES)

    def forward(self, layers: DenseLayers, x_0: Array) -> Tape:
        """A tape that is good until the next pass of this thread."""
        blank_one = self.tapes.of((*layers.row.shape, layers.k, x_0.shape), lambda: blank(layers, len(x_0)))
        return passes.forward(layers, x_0, reuse=blank_one)


_memory = _Memory()


@dataclass(frozen=True, eq=False)
class Value:
    """Σ ω ℓ."""

    u: Array
    p: Array

    def on(self, mesh: DenseMesh, samples: Samples) -> Callable[[slice], Part]:
        layers, terminal, p = mesh.layers(self.u, self.p), samples.terminal, self.p

        def part(block: slice) -> Part:
            tape = _memory.forward(layers, samples.initial(p, block))
            return (terminal.value(tape.x_N, p, samples.d[block], samples.omega[block]),)

        return part


@dataclass(frozen=True, eq=False)
class Gradient:
    """Σ ω ℓ, its gradient in p without the layers, and in the arrays of the layers."""

    u: Array
    p: Array

    def on(self, mesh: DenseMesh, samples: Samples) -> Callable[[slice], Part]:
        layers, terminal, p = mesh.layers(self.u, self.p), samples.terminal, self.p

        def part(block: slice) -> Part:
            tape = _memory.forward(layers, samples.initial(p, block))
            cost, p_N, in_p = terminal.slopes(tape.x_N, p, samples.d[block], samples.omega[block])
            back = passes.backward(tape, p_N)
            samples.add_free(in_p, back.p_0, block)
            return (cost, in_p, *back.arrays)

        return part


@dataclass(frozen=True, eq=False)
class Product:
    """The Hessian's product with (du, dp), or its Gauss–Newton part: in p, in the arrays of the layers, and where these
    are curved in (u, p) the gradient in them.

    ``tapes``: by the first sample of a block, kept for further products; None: made anew. Another process has its own.
    """

    u: Array
    p: Array
    du: Array
    dp: Array
    gauss_newton: bool
    tapes: dict[int, Tape] | None = field(default=None, repr=False)

    def __reduce__(self) -> tuple[Any, ...]:
        return Product, (self.u, self.p, self.du, self.dp, self.gauss_newton)

    def on(self, mesh: DenseMesh, samples: Samples) -> Callable[[slice], Part]:
        layers, terminal, p = mesh.layers(self.u, self.p), samples.terminal, self.p
        coefficients = mesh.form.coefficients
        moved = coefficients.tangent(mesh.rows(self.u), p, mesh.rows(self.du), self.dp)
        bends = not (coefficients.linear or self.gauss_newton)

        def part(block: slice) -> Part:
            d, omega = samples.d[block], samples.omega[block]
            tape = self._taped(layers, samples.initial(p, block), block)
            along = passes.tangent(tape, moved, samples.moved_initial(self.dp, block))
            kind = {"gauss_newton": self.gauss_newton}
            dp_N, in_p = terminal.products(tape.x_N, p, d, omega, along.dx_N, self.dp, **kind)
            p_N = terminal.slopes(tape.x_N, p, d, omega)[1]
            back = passes.second_backward(tape, along, p_N, dp_N, **kind)
            samples.add_free(in_p, back.p_0, block)
            return (in_p, *back.arrays, *(passes.backward(tape, p_N).arrays if bends else ()))

        return part

    def _taped(self, layers: DenseLayers, x_0: Array, block: slice) -> Tape:
        if self.tapes is None:
            return _memory.forward(layers, x_0)
        if block.start not in self.tapes:
            self.tapes[block.start] = passes.forward(layers, x_0)
        return self.tapes[block.start]
