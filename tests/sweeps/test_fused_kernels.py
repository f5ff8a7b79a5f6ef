"""The passes through dense layers equal CasADi's: states, costates, gradients, Hessian products and Jacobians, compiled
and by NumPy, for every activation, explicit scheme and form of a layer.
"""

import itertools
from dataclasses import dataclass
from functools import cache

import casadi as ca
import numpy as np
import pytest
from families import activations, name_of, schemes

import ocdl
from ocdl.depth.schemes import DepthScheme, explicit_tableau
from ocdl.sweeps.fused import passes
from ocdl.sweeps.fused.form import LayerArrays
from ocdl.sweeps.fused.tape import DenseLayers
from ocdl.sweeps.sweeper import Sweeper

WIDTHS = [0.5, 0.2, 0.6]
SAMPLES = 131  # a full part of the compiled loops, and a rest


class ExplicitMidpoint(DepthScheme):
    """A stage of weight 0."""

    tableau = explicit_tableau([[1 / 2]], [0.0, 1.0], 2)


EXPLICIT = [s for s in [*schemes(WIDTHS, (1,)), ExplicitMidpoint(WIDTHS)] if s.tableau.explicit]
PER_STAGE = [type(s)(WIDTHS, controls=ocdl.PerStage()) for s in EXPLICIT if np.unique(s.tableau.c).size > 1]
PER_STAGE = [s for s in PER_STAGE if s.controls.suits(s.tableau.c)]
KINDS = (None, "factor", "matrix")
FORMS = list(itertools.product(KINDS, KINDS, (None, "vector")))
RICH = ("matrix", "matrix", "vector")
numba = pytest.mark.skipif(not passes.compiles(), reason="the extra fast is not installed")
both_kernels = pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=numba)])


@dataclass(frozen=True)
class Case:
    """Layers of one form, their ControlProblem and numbers; the controls are Θ itself, row by row."""

    sigma: ocdl.Activation
    scheme: DepthScheme
    form: tuple

    @property
    def sizes(self):
        n, k = 2, 3 if self.form[0] == "matrix" else 2
        of = {None: None, "factor": (), "vector": (n,)}
        V, S, r = self.form
        return [(k, n), (k,), of.get(V, (n, k)), of.get(S, (n, n)), of[r]]

    @property
    def m(self):
        return sum(int(np.prod(size)) for size in self.sizes if size is not None)

    def arrays(self, u):
        """Θ from controls (Q, m)."""
        found, at = [], 0
        for size in self.sizes:
            width = 0 if size is None else int(np.prod(size))
            found.append(None if size is None else u[:, at : at + width].reshape(len(u), *size))
            at += width
        return LayerArrays(*found)

    def rate(self, x, u):
        """φ in CasADi."""
        entries, at = [], 0
        for size in self.sizes:
            width = 0 if size is None else int(np.prod(size))
            part, at = u[at : at + width], at + width
            matrix = size is not None and len(size) == 2
            entries.append(None if size is None else ca.reshape(part, size[1], size[0]).T if matrix else part)
        W, v, V, S, r = entries
        value = self.sigma(W @ x + v)
        value = value if V is None else V @ value if V.numel() > 1 else V * value
        value = value if S is None else value + (S @ x if S.numel() > 1 else S * x)
        return value if r is None else value + r

    @property
    def numbers(self):
        generator = np.random.default_rng(len(str(self.form)))
        u = generator.normal(size=(self.scheme.control_rows, self.m))
        return u, generator.normal(size=(SAMPLES, 2))

    @property
    def layers(self):
        return self.layers_of(self.numbers[0])

    def layers_of(self, u):
        return DenseLayers(self.arrays(u), self.scheme.tableau, np.array(WIDTHS), self.sigma)

    @property
    def problem(self):
        return ocdl.ControlProblem(
            dynamics=lambda x, u: self.rate(x, u),
            initial=self.numbers[1],
            horizon=sum(WIDTHS),
            terminal=lambda x: ca.sum1(ca.sin(x)),
            states=["first", "second"],
            controls=self.m,
        )


def packed(arrays):
    """The rows of controls, (Q, m)."""
    return np.concatenate([e.reshape(len(arrays.W), -1) for e in arrays if e is not None], axis=1)


@cache
def swept(case):
    """CasADi's trajectory and adjoint."""
    sweeper = Sweeper(case.problem, case.scheme)
    u, _ = case.numbers
    trajectory = sweeper.state(u, np.empty(0))
    return trajectory, sweeper.costate(trajectory, u, np.empty(0))


def agree(ours, theirs, rounding=1e-13):
    assert ours.shape == theirs.shape
    assert np.max(np.abs(ours - theirs)) <= rounding * max(1.0, np.max(np.abs(theirs)))


def case_id(case):
    return f"{case.sigma!r}-{name_of(case.scheme)}{len(case.form[0] or '')}-{'-'.join(str(f) for f in case.form)}"


CASES = [
    *(Case(ocdl.Tanh(), ocdl.Kutta3(WIDTHS), form) for form in FORMS),
    *(Case(sigma, ocdl.ImprovedEuler(WIDTHS), form) for sigma in activations() for form in ((None,) * 3, RICH)),
    *(Case(ocdl.Tanh(), scheme, RICH) for scheme in EXPLICIT + PER_STAGE),
]


@both_kernels
@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_the_sweeps_are_casadis(case, compiled):
    trajectory, adjoint = swept(case)
    tape = passes.forward(case.layers, case.numbers[1], compiled=compiled)
    agree(tape.nodes, trajectory.x)
    agree(tape.stages, trajectory.stages)
    pulled = passes.backward(tape, np.cos(tape.x_N) / SAMPLES, keep=True, compiled=compiled)
    agree(SAMPLES * pulled.costate, SAMPLES * adjoint.costate)
    agree(SAMPLES * pulled.K, SAMPLES * adjoint.weighted)
    agree(packed(pulled.arrays), adjoint.gradient_u)
    brief = passes.backward(tape, np.cos(tape.x_N) / SAMPLES, compiled=compiled)
    assert np.array_equal(packed(brief.arrays), packed(pulled.arrays)) and np.array_equal(brief.p_0, pulled.p_0)


@cache
def written_out(case):
    """∇J and ∇²J of the case's u and x^0 by CasADi, for one sample: its steps written here a second time."""
    u, x0 = ca.SX.sym("u", case.m, case.scheme.control_rows), ca.SX.sym("x", 2)
    x, A, b = x0, case.scheme.tableau.A, case.scheme.tableau.b
    for k, h in enumerate(WIDTHS):
        rates = []
        for i in range(b.size):
            stage = x + h * sum((A[i, j] * rate for j, rate in enumerate(rates)), ca.SX(2, 1))
            rates.append(case.rate(stage, u[:, case.layers.row[k, i]]))
        x = x + h * sum(weight * rate for weight, rate in zip(b, rates, strict=True))
    w = ca.vertcat(ca.vec(u), x0)
    end, loss = ca.Function("x_N", [w], [x, ca.jacobian(x, w)]), ca.sum1(ca.sin(x))
    hessian, gradient = ca.hessian(loss, w)
    return end, ca.Function("J", [w], [hessian, gradient])


SECOND = [
    *(Case(ocdl.Tanh(), ocdl.Kutta3(WIDTHS), form) for form in FORMS),
    *(Case(sigma, ocdl.ImprovedEuler(WIDTHS), RICH) for sigma in activations()),
    Case(ocdl.Sigmoid(), ocdl.ImprovedEuler(WIDTHS, controls=ocdl.PerStage()), RICH),
]


@both_kernels
@pytest.mark.parametrize("case", SECOND, ids=case_id)
def test_second_derivatives_are_casadis(case, compiled):
    """Of Σ sin x_N: dx_N, and ∇²J (du, dx_0) and its Gauss–Newton part, for a few samples."""
    u, x_0 = case.numbers[0], case.numbers[1][:3]
    end, hessian = written_out(case)
    generator = np.random.default_rng(1)
    du, dx_0 = generator.normal(size=u.shape), generator.normal(size=x_0.shape)
    tape = passes.forward(case.layers, x_0, compiled=compiled)
    along = passes.tangent(tape, case.arrays(du), dx_0, compiled=compiled)
    p, dp = np.cos(tape.x_N), -np.sin(tape.x_N) * along.dx_N
    exact = passes.second_backward(tape, along, p, dp, compiled=compiled)
    part = passes.second_backward(tape, along, p, dp, gauss_newton=True, compiled=compiled)
    product, newton = np.zeros(u.size), np.zeros(u.size)
    for s, (x, dx) in enumerate(zip(x_0, dx_0, strict=True)):
        w, dw = np.concatenate([u.ravel(), x]), np.concatenate([du.ravel(), dx])
        x_N, jacobian = (value.full() for value in end(w))
        agree(along.dx_N[s], jacobian @ dw)
        moved = hessian(w)[0].full() @ dw
        agree(exact.p_0[s], moved[u.size :])
        product += moved[: u.size]
        newton += (jacobian.T @ (-np.sin(x_N[:, 0]) * (jacobian @ dw)))[: u.size]
    agree(packed(exact.arrays).ravel(), product)
    agree(packed(part.arrays).ravel(), newton)


@both_kernels
@pytest.mark.parametrize("case", [case for case in SECOND if case.form in ((None,) * 3, RICH)], ids=case_id)
def test_rows_are_casadis_jacobian_and_sum_to_the_gradient(case, compiled):
    u, x_0 = case.numbers
    tape = passes.forward(case.layers, x_0, compiled=compiled)
    seeds = np.random.default_rng(2).normal(size=(SAMPLES, 3, 2))
    rows = passes.rows(tape, seeds, compiled=compiled)
    of_first = np.concatenate([e[..., 0].reshape(len(u), -1, 3) for e in rows if e is not None], axis=1)
    jacobian = written_out(case)[0](np.concatenate([u.ravel(), x_0[0]]))[1].full()[:, : u.size]
    agree(of_first.reshape(-1, 3).T, seeds[0] @ jacobian)
    total = passes.backward(tape, seeds.sum(axis=1), compiled=compiled)
    summed = [None if e is None else e.sum(axis=(-1, -2)) for e in rows]
    agree(packed(LayerArrays(*summed)), packed(total.arrays))
