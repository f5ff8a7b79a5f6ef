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
from ocdl.sweeps.sweeper import Forces, Sweeper

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
    vars(sweeper)["_dense"] = None  # which is what is tested here
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
@pytest.mark.parametrize("case", SECOND, ids=case_id)
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


@both_kernels
def test_blocks_add_up_and_repeat_to_the_bit(compiled):
    """In blocks of any size, in memory used before, and by the other kernel, up to the order of sums."""
    case = Case(ocdl.Tanh(), ocdl.Kutta3(WIDTHS), RICH)
    x_0 = case.numbers[1]
    whole = passes.backward(passes.forward(case.layers, x_0, compiled=compiled), x_0, compiled=compiled)
    for size in (1, 50, 128, SAMPLES):
        total, tape = np.zeros((case.scheme.count, case.m)), None
        for begin in range(0, SAMPLES, size):
            block = x_0[begin : begin + size]
            tape = passes.forward(case.layers, block, reuse=tape, compiled=compiled)
            pulled = passes.backward(tape, block, compiled=compiled)
            agree(pulled.p_0, whole.p_0[begin : begin + size])
            total += packed(pulled.arrays)
        agree(total, packed(whole.arrays))
    assert np.array_equal(total, packed(whole.arrays))


def test_a_tape_written_over_is_that_of_its_layers():
    case = Case(ocdl.Tanh(), ocdl.Kutta3(WIDTHS), RICH)
    u, x_0 = case.numbers
    first = passes.forward(case.layers, x_0)
    assert first.curvature.any()
    again = passes.forward(case.layers_of(2.0 * u), x_0, reuse=first)
    fresh = passes.forward(case.layers_of(2.0 * u), x_0)
    assert np.shares_memory(again.sigma, first.sigma)
    assert np.array_equal(again.curvature, fresh.curvature) and np.array_equal(again.x_N, fresh.x_N)


@both_kernels
@pytest.mark.parametrize("sigma", [s for s in activations() if not s.smooth], ids=repr)
def test_at_a_kink_the_slope_is_casadis(sigma, compiled):
    """Zero weights, where training begins: every z is the kink."""
    case = Case(sigma, ocdl.ImprovedEuler(WIDTHS), RICH)
    _, x_0 = case.numbers
    u = np.tile(np.arange(case.m) >= 9, (3, 1)).astype(float)
    assert not case.arrays(u).W.any() and not case.arrays(u).v.any()
    sweeper = Sweeper(case.problem, case.scheme)
    adjoint = sweeper.costate(sweeper.state(u, np.empty(0)), u, np.empty(0))
    tape = passes.forward(case.layers_of(u), x_0, compiled=compiled)
    agree(packed(passes.backward(tape, np.cos(tape.x_N) / SAMPLES, compiled=compiled).arrays), adjoint.gradient_u)


@both_kernels
def test_forces_at_nodes_and_stages_are_those_of_the_sweeper(compiled):
    case = Case(ocdl.Tanh(), ocdl.Kutta3(WIDTHS), RICH)
    u, x_0 = case.numbers
    generator, sweeper = np.random.default_rng(3), Sweeper(case.problem, case.scheme)
    kicks, sources = generator.normal(size=(4, SAMPLES, 2)), generator.normal(size=(3, 3, SAMPLES, 2))
    forces = Forces(kicks, sources, np.zeros((9, case.m)), np.empty(0))
    adjoint = sweeper.costate(swept(case)[0], u, np.empty(0), forces)
    tape = passes.forward(case.layers, x_0, compiled=compiled)
    p_N = np.cos(tape.x_N) / SAMPLES + kicks[3]
    pulled = passes.backward(tape, p_N, kicks=kicks, sources=sources, keep=True, compiled=compiled)
    agree(pulled.costate, adjoint.costate)
    agree(pulled.K, adjoint.weighted)
    agree(packed(pulled.arrays), adjoint.gradient_u)


@dataclass(frozen=True)
class Softplus(ocdl.Tanh):
    """A user's own, below an activation that is compiled."""

    def formula(self, s):
        return np.log(1.0 + np.exp(s))

    derivative, curvature = ocdl.Activation.derivative, ocdl.Activation.curvature


@both_kernels
def test_a_subclass_is_swept_by_its_own_formula(compiled):
    case = Case(Softplus(), ocdl.ImprovedEuler(WIDTHS), RICH)
    trajectory, adjoint = swept(case)
    tape = passes.forward(case.layers, case.numbers[1], compiled=compiled)
    agree(tape.stages, trajectory.stages)
    agree(packed(passes.backward(tape, np.cos(tape.x_N) / SAMPLES, compiled=compiled).arrays), adjoint.gradient_u)


@both_kernels
def test_a_state_that_is_lost_is_not_found_again(compiled):
    case = Case(ocdl.Tanh(), ocdl.Kutta3(WIDTHS), RICH)
    x_0 = case.numbers[1].copy()
    x_0[7, 0] = np.nan
    end = passes.forward(case.layers, x_0, compiled=compiled).x_N
    assert np.isnan(end[7]).all() and np.isfinite(np.delete(end, 7, axis=0)).all()


@both_kernels
def test_coefficients_may_be_views_and_read_only(compiled):
    """Tied layers are broadcast, CasADi's columns are transposed."""
    case = Case(ocdl.Tanh(), ocdl.ImprovedEuler(WIDTHS), (None, "factor", None))
    u, x_0 = case.numbers
    tied = case.layers_of(np.broadcast_to(u[0], u.shape))
    plain = case.layers_of(np.tile(u[0], (3, 1)))
    turned = DenseLayers(
        LayerArrays(*(e if e is None else np.asfortranarray(e) for e in plain.arrays)), *scheme_of(plain)
    )
    reference = passes.backward(passes.forward(plain, x_0, compiled=compiled), x_0, compiled=compiled)
    for layers in (tied, turned):
        pulled = passes.backward(passes.forward(layers, x_0, compiled=compiled), x_0, compiled=compiled)
        agree(packed(pulled.arrays), packed(reference.arrays))


@numba
def test_the_loops_are_compiled_once_whatever_the_layers():
    from ocdl.sweeps.fused import loops

    for V, S, r in (*FORMS[:3], RICH):
        case = Case(ocdl.Sigmoid(), ocdl.ImprovedEuler(WIDTHS), (V, S, r))
        u, x_0 = case.numbers
        u.flags.writeable = False
        tape = passes.forward(case.layers_of(u), x_0, compiled=True)
        passes.backward(tape, x_0, keep=r is None, compiled=True)
        passes.second_backward(tape, passes.tangent(tape, case.arrays(u), x_0), x_0, x_0, compiled=True)
    assert all(
        len(loop.signatures) == 1 for loop in (loops.forward, loops.backward, loops.tangent, loops.second_backward)
    )


def test_narrow_layers_are_swept_by_the_loops_where_numba_is_and_by_numpy_elsewhere(monkeypatch):
    case = Case(ocdl.Tanh(), ocdl.ImprovedEuler(WIDTHS), RICH)
    _, x_0 = case.numbers
    swept_by = []
    for kernel in (passes.narrow, passes.wide):
        monkeypatch.setattr(kernel, "forward", lambda tape, name=kernel.__name__: swept_by.append(name))
    for installed, most in ((True, passes.NARROW), (False, passes.NARROW), (True, 2)):
        monkeypatch.setattr(passes, "compiles", lambda installed=installed: installed)
        monkeypatch.setattr(passes, "NARROW", most)  # these layers have 2 states and 3 neurons
        passes.forward(case.layers, x_0)
    assert swept_by == [passes.narrow.__name__, passes.wide.__name__, passes.wide.__name__]


def scheme_of(layers):
    return layers.tableau, layers.h, layers.activation


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"v": np.zeros((3, 3))}, r"LayerArrays\(v=...\).*\(3, 2\).*\(3, 3\)"),
        ({"V": np.zeros((3, 2))}, r"LayerArrays\(V=...\).*\(3,\) or \(3, 2, 2\).*\(3, 2\)"),
        ({"W": np.zeros((3, 4, 2)), "v": np.zeros((3, 4))}, r"4 neurons on 2 states need matrices V \(Q, 2, 4\)"),
        ({"W": np.zeros((2, 2, 2)), "v": np.zeros((2, 2))}, "3 layers of 2 stages need 3 rows, or one a stage; got 2"),
    ],
)
def test_coefficients_that_do_not_fit_are_refused(changed, said):
    arrays = LayerArrays(np.zeros((3, 2, 2)), np.zeros((3, 2)))._replace(**changed)
    with pytest.raises(ocdl.InvalidInput, match=said):
        DenseLayers(arrays, ocdl.ImprovedEuler.tableau, np.array(WIDTHS), ocdl.Tanh())


def test_what_moves_otherwise_than_the_layers_and_implicit_schemes_are_refused():
    case = Case(ocdl.Tanh(), ocdl.Kutta3(WIDTHS), (None,) * 3)
    tape = passes.forward(case.layers, case.numbers[1])
    with pytest.raises(ocdl.InvalidInput, match=r"LayerArrays\(r=...\)"):
        passes.tangent(tape, case.layers.arrays._replace(r=np.zeros((3, 2))))
    with pytest.raises(ocdl.InvalidInput, match="explicit tableaux only"):
        DenseLayers(case.layers.arrays, ocdl.Radau(WIDTHS, 2).tableau, np.array(WIDTHS), ocdl.Tanh())


def test_a_block_is_smaller_the_wider_the_layers():
    sizes = [passes.block_size(20, n, n) for n in (2, 8, 64, 512)]
    assert sizes == sorted(sizes, reverse=True) and sizes[0] == passes.SAMPLES[1] and sizes[-1] == passes.SAMPLES[0]


@numba
def test_the_compiled_tanh_and_expm1_are_right_to_four_units_in_the_last_place():
    from numba import njit

    from ocdl.sweeps.fused.tanh import expm1, tanh

    @njit(error_model="numpy")
    def over(s, of_tanh, of_expm1):
        for i in range(s.size):
            of_tanh[i], of_expm1[i] = tanh(s[i]), expm1(s[i])

    generator = np.random.default_rng(0)
    special = np.array([0.0, -0.0, 5e-324, -1e-310, 1e-20, 44.9, -1e300, np.inf, -np.inf, np.nan])
    s = np.concatenate([special, generator.normal(size=20_000) * 10.0 ** generator.uniform(-12, 1.6, 20_000)])
    ours, exponential = np.empty_like(s), np.empty_like(s)
    over(s, ours, exponential)
    exact = np.tanh(s)
    assert np.isnan(ours[9]) and np.array_equal(np.signbit(ours[:9]), np.signbit(exact[:9]))
    np.testing.assert_array_max_ulp(np.delete(ours, 9), np.delete(exact, 9), 4)
    inside = np.abs(s) < 45.0
    np.testing.assert_array_max_ulp(exponential[inside], np.expm1(s[inside]), 4)
