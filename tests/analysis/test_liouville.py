"""Carried functions and their costates against trajectories of samples, and gradients against those of the sweeps."""

import casadi as ca
import numpy as np
import pytest

import ocdl
from ocdl.analysis import Cells, Liouville
from ocdl.sweeps.reduced import ReducedCost

DEPTH = ocdl.Gauss(layers=2, degree=5)
LINE = np.array([[0.8, 0.3], [-0.6, 0.2]])
PLANE = np.array([[0.6, -0.4, 0.2], [-0.3, 0.7, -0.1]])


def target(x):
    return np.sin(2 * x[:, 0])


def gauss(x):
    return np.exp(-2 * np.sum(x**2, axis=1)) * (2 / np.pi) ** (x.shape[1] / 2)


def line(x0=((0.0,),), weights=None):
    return ocdl.ControlProblem(
        dynamics=lambda x, u: ca.tanh(u[0] * x + u[1]),
        initial=np.asarray(x0),
        data=target(np.asarray(x0))[:, None],
        weights=weights,
        controls=2,
        horizon=1.0,
        terminal=lambda x, d: 0.5 * (x - d[0]) ** 2,
    )


def plane(x0=((0.0, 0.0),), weights=None):
    return ocdl.ControlProblem(
        dynamics=lambda x, u, p: [ca.tanh(u[0] * x[1] + u[1]), ca.tanh(u[2] * x[0] - p * x[1])],
        initial=np.asarray(x0),
        data=target(np.asarray(x0))[:, None],
        weights=weights,
        states=["a", "b"],
        controls=3,
        parameters=1,
        horizon=1.0,
        terminal=lambda x, d: 0.5 * (x[0] - d[0]) ** 2,
    )


def carried(problem, u, p, count):
    d = problem.n
    cells = Cells([-4.0] * d, [4.0] * d, [count] * d)
    return Liouville(problem, DEPTH, cells, lambda x: x[:, 0], target, gauss).evolve(u, p)


def of_samples(problem, u, p, count):
    """Cost and gradient of the sweeps, with the points of Gauss and Legendre for ∫ · ρ dx."""
    x, w = np.polynomial.legendre.leggauss(count)
    d = problem().n
    points, shares = (np.stack(np.meshgrid(*[3.2 * a] * d, indexing="ij"), -1).reshape(-1, d) for a in (x, w))
    weights = np.prod(shares, axis=1) * gauss(points)
    stated = problem(points, weights)
    cost = ReducedCost(stated, DEPTH)
    value, slope = cost.value_and_gradient(cost.join(u, np.asarray(p)))
    in_u, in_p = cost.split(slope)
    return weights.sum() * value, weights.sum() * in_u, weights.sum() * in_p


@pytest.mark.parametrize(
    ("problem", "u", "p", "points", "counts"), [(line, LINE, (), 80, (80, 160)), (plane, PLANE, (0.4,), 26, (40, 80))]
)
def test_gradients_are_those_of_many_samples_to_order_two(problem, u, p, points, counts):
    value, in_u, in_p = of_samples(problem, u, p, points)
    errors = []
    for count in counts:
        found = carried(problem(), u, p, count)
        du, dp = found.gradient
        errors.append([abs(found.cost - value), np.abs(du - in_u).max(), *np.abs(dp - in_p)])
    assert np.log2(np.divide(*errors)) == pytest.approx(2.0, abs=0.3)


def test_mass_and_pairing_are_constant_to_rounding():
    found = carried(line(), LINE, (), 60)
    assert np.ptp(found.mass) < 1e-13
    assert np.ptp(found.pairing) < 1e-13
    assert np.abs(found.v[-1] - found.v[0]).max() > 0.1


def test_what_is_trained_on_many_samples_is_stationary_for_their_density():
    x, share = np.polynomial.legendre.leggauss(160)  # 40 do not resolve what is trained
    points = 3.2 * x[:, None]
    trained = ocdl.solve(line(points, share * gauss(points)), DEPTH, ocdl.LBFGSB(), on_failure="return")
    slopes = []
    for count in (80, 160):
        cells = Cells(-4, 4, count)
        found = Liouville(line(), DEPTH, cells, lambda x: x[:, 0], target, gauss).evolve_solution(trained)
        slopes.append(np.abs(found.gradient[0]).max())
    untrained = np.abs(carried(line(), LINE, (), 160).gradient[0]).max()
    assert slopes[1] < 0.05 * untrained
    assert np.log2(slopes[0] / slopes[1]) == pytest.approx(2.0, abs=0.3)


def test_in_the_depth_of_u_the_costate_has_the_other_sign_than_printed():
    """u_t = f·∇u, u(0) = F_0, and v_t = ±∇·(f v): d⟨u, v⟩/dt = ⟨f·∇u, v⟩ + ⟨u, v_t⟩ is 0 for + and 2⟨f·∇u, v⟩ for −."""
    found = carried(line(), LINE, (), 400)
    w, v = found.w[::-1], found.v[::-1]
    du, dv = (np.gradient(a, np.concatenate([[0.0], np.cumsum(found.h[::-1])]), axis=0) for a in (w, v))
    inner = slice(2, len(found.h) // 2 - 2)
    volume = found.equation.cells.volume
    growth, fall = (np.sum(a, axis=1)[inner] * volume for a in (du * v, w * dv))
    H = [found.equation.hamiltonian(a, b, LINE[1]) for a, b in zip(w[inner], v[inner], strict=True)]
    assert growth + fall == pytest.approx(0.0, abs=1e-5)
    assert growth == pytest.approx(H, abs=1e-5)
    assert growth - fall == pytest.approx(2 * np.array(H), abs=2e-5)
    assert np.abs(H).min() > 1e-2


def test_functions_are_carried_through_the_layers_in_the_order_of_the_flow():
    found = carried(line(), LINE, (), 400)
    x = found.equation.cells.centres[150:250, 0]
    ends = {}
    for name, u in (("flow", LINE), ("reverse", LINE[::-1])):
        ends[name] = ReducedCost(line(x[:, None]), DEPTH).sweeper.integral(u, np.empty(0))[0].x[-1, :, 0]
    assert np.abs(found.w[0][150:250] - ends["flow"]).max() < 1e-3
    assert np.abs(found.w[0][150:250] - ends["reverse"]).max() > 0.05


def test_the_hamiltonians_gradient_is_that_of_differences():
    found = carried(plane(), PLANE, (0.4,), 20)
    H, w, v, p = found.equation.hamiltonian, found.w[1], found.v[1], np.array([0.4])
    du, dp = found.equation.hamiltonian_gradient(w, v, PLANE[0], p)
    differences = [(H(w, v, PLANE[0] + e, p) - H(w, v, PLANE[0] - e, p)) / 2e-6 for e in 1e-6 * np.eye(3)]
    assert du == pytest.approx(differences, abs=1e-8)
    assert dp == pytest.approx((H(w, v, PLANE[0], p + 1e-6) - H(w, v, PLANE[0], p - 1e-6)) / 2e-6, abs=1e-8)


def test_what_is_not_carried_is_told_off():
    timed = ocdl.ControlProblem(dynamics=lambda t, u: u * t, initial=[0.0], horizon=1.0, terminal=lambda x: x)
    with pytest.raises(ocdl.NotSupported, match="depend on t or d"):
        carried(timed, np.zeros((2, 1)), (), 20)
    with pytest.raises(ocdl.InvalidInput, match="are needed; got"):
        carried(line(), np.zeros((3, 2)), (), 20)
    with pytest.raises(ocdl.InvalidInput, match="2 axes of cells for 1"):
        Liouville(line(), DEPTH, Cells([0, 0], [1, 1], [5, 5]), target, target, gauss)
