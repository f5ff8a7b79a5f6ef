"""Needles: per layer and neuron, the control that minimises the Hamiltonian and what it would gain.

On layer k one control serves all s stages, so the layer's Hamiltonian is

    H_k(u) = Σ_i b_i [ Σ_s ⟨Λ_kis, φ(t_i, X_kis, u)⟩ + ω_s L(...) + E(t_i, u) ],

and the needle at k changes the cost by h_k (H_k(u*) − H_k(u_k)) to first order in its width h_k.
For one sample of a selection problem H_k is a sum over neurons, and each has its own needle: the best of the
stagewise bang-bang controls (Liu and Markowich, section 4.2), exact for schemes of one stage.
Otherwise a needle is a group of controls that do not meet (a neuron, or a whole layer), found by local minimisation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ocdl.errors import NotSupported
from ocdl.pmp.iterate import Iterate, Trial

Array = NDArray[np.float64]

FRACTIONS = 4.0 ** -np.arange(8)


@dataclass(frozen=True, eq=False)
class Needles:
    """Needles of G groups of controls a layer at one iterate.

    best (N, m): the minimising controls; decrease (N, G): ΔH ≥ 0; measure (N, G): h_k times the group's width;
    group (m,): which group a control belongs to.
    """

    iterate: Iterate
    best: Array
    decrease: Array
    measure: Array
    group: NDArray[np.intp]
    largest: float = 1.0
    suggested: float | None = None

    @cached_property
    def gains(self) -> Array:
        """h_k ΔH, the predicted decrease of the cost of each needle (N, G)."""
        return self.decrease * self.iterate.ground.sweeper.h[:, None]

    @cached_property
    def gap(self) -> float:
        """Σ_k h_k ΔH_k, plus what a unit projected gradient step in the trained parameters would gain."""
        return float(self.gains.sum()) + self.iterate.parameter_gain

    @cached_property
    def _order(self) -> NDArray[np.intp]:
        """The needles that gain, largest ΔH per unit of width and depth first."""
        order = np.argsort(-(self.gains / self.measure).ravel(), kind="stable")
        return order[: np.count_nonzero(self.gains > 0.0)]

    def trial(self, size: float) -> Trial | None:
        """Flip the foremost needles that fill the share ``size`` of the measure of all that gain."""
        filled = np.cumsum(self.measure.ravel()[self._order])
        if not filled.size:
            return None
        count = int(np.searchsorted(filled, size * filled[-1] * (1.0 + 1e-12), side="right"))
        if count == 0:
            return None
        flipped = np.zeros(self.gains.shape, dtype=bool)
        flipped.ravel()[self._order[:count]] = True
        u = np.where(flipped[:, self.group], self.best, self.iterate.u)
        return Trial(u, self.iterate.p, float(self.gains[flipped].sum()))


def needles(iterate: Iterate, *, starts: int = 0) -> Needles:
    """The needles at ``iterate``: in closed form where the problem has one, else by local minimisation, also from
    ``starts`` random points of the box.

    For several stages points from the controls in force towards the vertex along −∇H are candidates too: where f
    or r change sign within a layer, its best control is no vertex.
    """
    if not iterate.ground.law.closed_form:
        return _searched(iterate, starts)
    several = iterate.ground.sweeper.tableau.stages > 1
    return best_of(iterate, [*_syntheses(iterate), *(_towards_vertex(iterate) if several else [])])


def first_order_gap(iterate: Iterate) -> float:
    """The maximum-principle gap in closed form, else what a unit projected gradient step would gain."""
    if iterate.ground.law.closed_form:
        return needles(iterate).gap
    return iterate.control_gain + iterate.parameter_gain


def syntheses(iterate: Iterate) -> Needles:
    """The bang-bang synthesis as printed, layer by layer and neuron by neuron."""
    return best_of(iterate, _syntheses(iterate)) if iterate.ground.law.closed_form else _searched(iterate, 0)


def best_of(iterate: Iterate, candidates: Iterable[Array]) -> Needles:
    """Per neuron the best of the controls in force and of ``candidates``; where r = 0 the controls in force stay."""
    ground = iterate.ground
    M = ground.problem.n
    group = np.concatenate([np.arange(M), np.repeat(np.arange(M), M)])
    best = iterate.u
    in_force = least = _neuron_hamiltonian(iterate, best)
    for candidate in candidates:
        value = _neuron_hamiltonian(iterate, candidate)
        best = np.where((value < least)[:, group], candidate, best)
        least = np.minimum(value, least)
    measure = ground.sweeper.h[:, None] * np.asarray(ground.problem.state_metric)
    return Needles(iterate, best, in_force - least, measure, group)


def _syntheses(iterate: Iterate) -> Iterator[Array]:
    """The bang-bang controls at each stage in turn."""
    problem, b = iterate.ground.problem, iterate.ground.sweeper.tableau.b
    assert problem.velocity_box is not None
    for stage in np.flatnonzero(b):
        f, costate = iterate.trajectory.stages[:, stage, 0], iterate.stage_costates[:, stage, 0]
        a, kernel = problem.velocity_box.synthesis(f, costate)
        yield np.clip(problem.pack(a=a, b=kernel), *problem.control_box)


def _towards_vertex(iterate: Iterate) -> Iterator[Array]:
    vertex = np.where(iterate.adjoint.gradient_u > 0.0, *iterate.ground.problem.control_box)
    for fraction in FRACTIONS:
        yield iterate.u + fraction * (vertex - iterate.u)


def _neuron_hamiltonian(iterate: Iterate, u: Array) -> Array:
    """Σ_i b_i Λ_i σ(...)_i of controls u along the iterate's state and costate, (N, M)."""
    rates = iterate.ground.sweeper.rates(iterate.trajectory, u, iterate.p)
    return np.einsum("kism,kism->km", iterate.stage_costates, rates)


def layer_columns(iterate: Iterate) -> tuple[Array, Array, Array, Array, Array, Array]:
    """t, x, Λ, ω, u, p of every layer with all its stages and samples as columns."""
    ground = iterate.ground
    sweeper, problem = ground.sweeper, ground.problem
    N, s, S, n = iterate.trajectory.stages.shape
    shape = (N, s * S, n)
    return (
        np.repeat(sweeper.stage_t, S, axis=1),
        iterate.trajectory.stages.reshape(shape),
        iterate.stage_costates.reshape(shape),
        np.outer(sweeper.tableau.b, problem.weights).ravel(),
        iterate.u,
        iterate.p,
    )


def _searched(iterate: Iterate, starts: int) -> Needles:
    """H_k minimised by search: one needle a group of controls that do not meet (a neuron), or one a layer."""
    ground, layers = iterate.ground, layer_columns(iterate)
    law, h, problem = ground.law, ground.sweeper.h, ground.problem
    if ground.separated.small:
        groups = ground.separated.groups
        decrease, best = ground.separated.minimum(*layers, starts=starts)
        of = np.empty(problem.m, dtype=np.intp)
        of[groups] = np.arange(len(groups))[:, None]
        width = np.asarray(problem.state_metric) if len(groups) == problem.n else np.ones(len(groups))
        return Needles(iterate, best, decrease, h[:, None] * width, of)
    in_force, _ = law.values(*layers)
    least, found = law.minimum(*layers, starts=starts)
    assert found is not None
    if not np.all(np.isfinite(least)):
        k = int(np.argmin(np.isfinite(least)))
        raise NotSupported(
            f"the Hamiltonian of layer {k} has no finite minimum: bound the controls or add a running cost in them."
        )
    decrease = np.maximum(in_force - least, 0.0)[:, None]
    return Needles(iterate, found, decrease, h[:, None].copy(), np.zeros(problem.m, dtype=np.intp))
