"""Reachability by value iteration against closed forms: tubes, minimum time, games, discount, circles, uneven nodes."""

import casadi as ca
import numpy as np
import pytest
import xarray as xr

import ocdl
from ocdl.hjb import ValueFunction, ValueIteration
from ocdl.hjb.grids.sweeps import numba_available
from ocdl.hjb.grids.weno import weno3, weno5
from ocdl.hjb.schemes.hamiltonian import AffineHamiltonian
from ocdl.hjb.schemes.lookahead import Lookahead
from ocdl.hjb.schemes.upwind import DERIVATIVES

UNIT = ocdl.Box(u=(-1, 1))
KERNELS = ("numpy", "numba") if numba_available() else ("numpy",)
LINE = np.linspace(-1.5, 1.5, 61)[:, None]


def moving(**changes):
    """ẋ = u, |u| ≤ 1, no cost."""
    given = {"dynamics": lambda u: u, "initial": [0.0], "horizon": 1.0, "bounds": UNIT}
    return ocdl.ControlProblem(**(given | changes))


def double_integrator(**changes):
    return moving(**({"dynamics": lambda x, u: [x[1], u], "initial": [0.0, 0.0]} | changes))


def least_time(x):
    """From x (..., 2) to rest at 0: one switch on the curve x = −v|v|/2."""
    position, speed = x[..., 0], x[..., 1]
    side = np.where(position > -0.5 * speed * np.abs(speed), 1.0, -1.0)
    return side * speed + 2.0 * np.sqrt(np.maximum(0.5 * speed**2 + side * position, 0.0))


# -- tubes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["weno", "linear", "general"])
def test_a_reach_tube_is_the_distance_less_the_way(scheme):
    """l = |x| − 0.2: V(x, t) = max(|x| − (T − t), 0) − 0.2."""
    value = ValueIteration(
        nodes=101, domain=(-2, 2), scheme=scheme, target=lambda x: np.abs(x[..., 0]) - 0.2
    ).value_function(moving())
    for t in (0.0, 0.5):
        exact = np.maximum(np.abs(LINE[:, 0]) - (1.0 - t), 0.0) - 0.2
        assert np.abs(value(LINE, t) - exact).max() < {"weno": 0.03, "linear": 0.1, "general": 0.03}[scheme]


def test_an_avoid_tube_is_where_no_control_escapes():
    """ẋ = 1 + u/2 into the obstacle x > 1, g = x − 1: at best at speed 0.5, V = x + 0.5 (T − t) − 1."""
    value = ValueIteration(nodes=41, domain=(-2, 2), obstacle=lambda x: x[..., 0] - 1.0).value_function(
        moving(dynamics=lambda u: 1.0 + 0.5 * u, terminal=lambda x: x - 1.0)
    )
    assert np.abs(value(LINE, 0.3) - (LINE[:, 0] + 0.35 - 1.0)).max() < 1e-6


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("push", [0.0, 0.4])
def test_reach_and_avoid_against_a_disturbance(push, kernels):
    """ẋ = u + d: to |x| ≤ 0.2, not beyond 0.5, at the speed 1 − |d| that the disturbance leaves."""
    problem = moving(dynamics=lambda u: u[0] + u[1], controls=2, bounds=ocdl.Box(u=([-1, -push], [1, push])))
    value = ValueIteration(
        nodes=121,
        domain=(-2, 2),
        kernels=kernels,
        target=lambda x: np.abs(x[..., 0]) - 0.2,
        obstacle=lambda x: x[..., 0] - 0.5,
        disturbance=[1],
    ).value_function(problem)
    reached = np.maximum(np.abs(LINE[:, 0]) - (1.0 - push), 0.0) - 0.2
    exact = np.maximum(reached, LINE[:, 0] - 0.5)
    assert np.abs(value(LINE) - exact).max() < 0.025
    u, d = value.controls([[1.0], [-1.0]], 0.2)[0].T
    assert np.array_equal(u, [-1.0, 1.0]) and np.array_equal(d, [push, -push])


def test_a_game_survives_its_file(tmp_path):
    problem = moving(dynamics=lambda u: u[0] + u[1], controls=2, bounds=ocdl.Box(u=([-1, -0.4], [1, 0.4])))
    method = ValueIteration(nodes=21, domain=(-2, 2), target=lambda x: np.abs(x[..., 0]) - 0.2, disturbance=[1])
    value = method.value_function(problem)
    value.to_array().to_netcdf(tmp_path / "value.nc")
    again = ValueFunction.from_array(xr.load_dataarray(tmp_path / "value.nc"), problem)
    assert np.array_equal(again([[1.0], [-0.7]]), value([[1.0], [-0.7]])) and value([0.0]) < 0.0
    assert np.array_equal(again.controls([1.0])[0], value.controls([1.0])[0])


def test_the_game_is_the_control_with_less_authority():
    """ẍ = u + d with |u| ≤ 1, |d| ≤ ½ is ẍ = u with |u| ≤ ½: Isaacs' equation is that of the sum."""
    game = double_integrator(
        dynamics=lambda x, u: [x[1], u[0] + u[1]], controls=["u", "d"], bounds=ocdl.Box(u=([-1, -0.5], [1, 0.5])),
        terminal=lambda x: 0.5 * ca.sumsqr(x),
    )  # fmt: skip
    alone = double_integrator(bounds=ocdl.Box(u=(-0.5, 0.5)), terminal=lambda x: 0.5 * ca.sumsqr(x))
    options = {"nodes": 41, "domain": (-3, 3), "depths": [0.0]}
    against = ValueIteration(**options, disturbance=["d"]).value_function(game)
    free = ValueIteration(**options).value_function(alone)
    x = np.random.default_rng(0).uniform(-1.0, 1.0, (200, 2))
    assert np.abs(against(x) - free(x)).max() < 0.02
    assert np.all(ValueIteration(**options).value_function(game)(x) <= against(x) + 1e-3)


def test_the_least_time_of_the_double_integrator():
    """The target is what is reached in 1: from elsewhere the least time is less by that. It has a vertical tangent."""
    method = ValueIteration(nodes=(121, 81), domain=[(-3, 3), (-2.5, 2.5)], target=lambda x: least_time(x) - 1.0)
    value = method.value_function(double_integrator(horizon=2.0))
    x = np.random.default_rng(1).uniform(-1.0, 1.0, (200, 2))
    x = x[least_time(x) < 2.9]
    found, exact = value.time_to_reach(x), np.maximum(least_time(x) - 1.0, 0.0)
    assert np.abs(found - exact).max() < 0.1 and np.abs(found - exact).mean() < 0.03
    assert value.time_to_reach([2.5, 2.0]) == np.inf


# -- infinite horizon ------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["weno", "general"])
def test_a_discounted_regulator_settles_at_its_riccati_number(scheme):
    """ẋ = u, ½ ∫ e^{−λt} (x² + u²): V = ½ P x² with λ P = 1 − P²."""
    discount = 0.5
    P = 0.5 * (np.sqrt(discount**2 + 4.0) - discount)
    problem = moving(running=lambda x, u: 0.5 * (x**2 + u**2), horizon=40.0, bounds=ocdl.Box(u=(-3, 3)))
    method = ValueIteration(nodes=41, domain=(-2, 2), scheme=scheme, discount=discount, settled=1e-6, steps=400)
    value = method.value_function(problem)
    x = np.linspace(-1.0, 1.0, 11)
    assert np.abs(value(x[:, None]) - 0.5 * P * x**2).max() < 2e-3
    assert np.array_equal(value(x[:, None], 0.0), value(x[:, None], 5.0))
    assert value.controls([0.5], 1.0)[0] == pytest.approx(-P * 0.5, abs=0.02)


def test_v_that_does_not_settle_is_said():
    method = ValueIteration(nodes=41, domain=(-2, 2), settled=1e-6)
    with pytest.warns(RuntimeWarning, match=r"settled=1e-06.*horizon"):
        method.value_function(moving(running=1.0))


# -- circles and uneven nodes ------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["weno", "upwind", "general"])
@pytest.mark.parametrize("start", [0.0, -np.pi, 1.3])
def test_a_rotor_goes_the_shorter_way_wherever_the_circle_is_cut(scheme, start):
    """θ̇ = u, 1 − cos θ(T): the nearest angle by T, V = 1 − cos max(|θ| − T, 0)."""
    problem = moving(terminal=lambda x: 1.0 - ca.cos(x), initial=[3.0])
    method = ValueIteration(nodes=120, domain=(start, start + 2 * np.pi), periodic=[0], scheme=scheme)
    value = method.value_function(problem)
    angle = np.linspace(-7.0, 13.0, 201)
    away = np.abs((angle + np.pi) % (2 * np.pi) - np.pi)
    error = np.abs(value(angle[:, None]) - (1.0 - np.cos(np.maximum(away - 1.0, 0.0))))
    assert error.max() < 0.03 and np.median(error) < {"weno": 5e-5, "upwind": 0.02, "general": 1e-3}[scheme]
    assert value.rollout([3.0]).cost == pytest.approx(1.0 - np.cos(2.0), abs=1e-3)
    assert value(value.grid.lower) == pytest.approx(float(value(value.grid.upper)))
    solution = ocdl.solve(problem, ocdl.Kutta4(10), method)
    assert solution.status is ocdl.Status.ROLLED_OUT and solution.cost == pytest.approx(1.0 - np.cos(2.0), abs=1e-3)


def test_a_circle_survives_its_file(tmp_path):
    problem = moving(terminal=lambda x: 1.0 - ca.cos(x))
    value = ValueIteration(nodes=40, domain=(0, 2 * np.pi), periodic=[0], steps=4).value_function(problem)
    value.to_array().to_netcdf(tmp_path / "value.nc")
    again = ValueFunction.from_array(xr.load_dataarray(tmp_path / "value.nc"), problem)
    angle = np.linspace(-9.0, 9.0, 33)[:, None]
    assert np.array_equal(again(angle, 0.4), value(angle, 0.4))


def test_uneven_nodes_are_second_order():
    """Dense about 0, by a factor of four: the double integrator's cost of its end, where V is smooth."""
    problem = double_integrator(terminal=lambda x: x[0] + 0.5 * x[1] ** 2, bounds=ocdl.Box(u=(-1, 1)))

    def error(nodes):
        s = np.linspace(-1.0, 1.0, nodes)
        axis = 3.0 * (0.4 * s + 0.6 * s**3)
        value = ValueIteration(nodes=[axis, axis], depths=[0.0]).value_function(problem)
        x = np.stack([np.linspace(-0.5, 0.5, 9), np.linspace(-2.0, -1.7, 9)], axis=-1)
        left = x[:, 1] + 1.0 < -0.0  # u = −1 lowers x[0] and would raise the square: the switch is where they balance
        assert np.all(left)
        u = np.linspace(0.0, 1.0, 20001)  # switches from −1 to 1 at depth s
        exact = [np.min(p + v - (u - 0.5 * u**2) + 0.5 * (1.0 - u) ** 2 + 0.5 * (v - u + (1.0 - u)) ** 2) for p, v in x]
        return np.abs(value(x) - exact).max()

    found = error(41), error(81)
    assert found[1] < 2e-3 and found[0] / found[1] > 3.0


# -- parts ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("derivative", DERIVATIVES)
def test_both_kernels_are_the_same_to_rounding(derivative):
    """Alone and together, with weights and costs of controls, disturbances, circles and targets."""
    if not numba_available():
        pytest.skip("numba is not installed")
    problem = ocdl.ControlProblem(
        dynamics=lambda x, u: [ca.cos(x[2]) + u[1] * x[1], ca.sin(x[2]) - u[1] * x[0], u[1] + u[2]],
        running=lambda x, u: 0.1 * u[0] ** 2 + 0.2 * u[0] + x[0] ** 2 + u[1] ** 2,
        effort=lambda u: 0.3 * u[2], terminal=lambda x: x[0] ** 2 + ca.cos(x[2]), initial=[0.0, 0.0, 0.0],
        horizon=0.3, controls=3, bounds=ocdl.Box(u=([-1, -1, -0.5], [1, 2, 0.5])),
    )  # fmt: skip
    found = [
        ValueIteration(
            nodes=(9, 8, 10), domain=[(-1, 1), (-1, 1), (0, 2 * np.pi)], periodic=[2], disturbance=[2], discount=0.2,
            target=lambda x: 2.0 - x[..., 1], obstacle=lambda x: x[..., 0] - 0.3, scheme=derivative, kernels=kernels,
        ).value_function(problem).values
        for kernels in ("numpy", "numba")
    ]  # fmt: skip
    assert np.abs(found[0] - found[1]).max() < 1e-12 and np.ptp(found[0][0]) > 1.0


@pytest.mark.parametrize(("formula", "slopes"), [(weno3, 3), (weno5, 5)])
def test_one_sided_derivatives_are_exact_for_parabolas_and_of_high_order(formula, slopes):
    def left(function, h):
        nodes = h * np.arange(-(slopes // 2) - 1, slopes // 2 + 1)
        return formula(*np.diff(function(nodes)) / h)

    assert left(lambda x: x**2 + 3.0 * x, 0.1) == pytest.approx(3.0, abs=1e-2 if slopes == 3 else 1e-3)
    errors = [abs(left(lambda x: np.exp(x), h) - 1.0) for h in (0.1, 0.05)]
    assert np.log2(errors[0] / errors[1]) > {3: 1.8, 5: 4.5}[slopes]


@pytest.mark.parametrize(
    ("changes", "affine"),
    [
        ({}, True),
        ({"running": lambda x, u: x**2 * u + u**2}, True),
        ({"dynamics": lambda x, u: x * u}, True),
        ({"running": lambda x, u: x**2 * u**2}, False),
        ({"running": lambda u: ca.fabs(u)}, False),
        ({"running": lambda u: -(u**2)}, False),
        ({"dynamics": lambda u: ca.tanh(u)}, False),
        ({"bounds": ocdl.Box()}, False),
    ],
)
def test_closed_forms_are_recognised(changes, affine):
    assert (AffineHamiltonian.of(Lookahead(moving(**changes))) is not None) == affine


# -- contract ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "options", "error", "words"),
    [
        ({}, {"periodic": [0]}, ocdl.InvalidInput, "give domain"),
        ({}, {"periodic": [1], "domain": (-1, 1)}, ocdl.InvalidInput, "periodic=.*none of"),
        ({}, {"disturbance": ["d"], "domain": (-1, 1)}, ocdl.InvalidInput, "disturbance=.*'d' is none of"),
        ({"running": lambda u: ca.fabs(u)}, {"disturbance": [0], "domain": (-1, 1)}, ocdl.NotSupported, "affine"),
        ({}, {"target": np.zeros(3), "nodes": 7, "domain": (-1, 1)}, ocdl.InvalidInput, r"target=.*shape \(7,\)"),
        ({}, {"nodes": [[0.0, 2.0, 1.0, 3.0, 4.0]]}, ocdl.InvalidInput, "must rise"),
        ({}, {"discount": -1.0}, ocdl.InvalidInput, "discount"),
        ({"bounds": ocdl.Box(u=(-1, 1), x=(-1, 1))}, {"obstacle": lambda x: x[..., 0]}, ocdl.NotSupported, "obstacle"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(changes, options, error, words):
    with pytest.raises(error, match=words):
        ValueIteration(**options).value_function(moving(terminal=lambda x: x**2, **changes))


def test_an_answer_is_only_given_for_the_problem_itself():
    with pytest.raises(ocdl.NotSupported, match=r"ValueIteration\(target=..., discount=...\): .*value_function"):
        ocdl.solve(moving(), ocdl.Kutta4(4), ValueIteration(target=lambda x: x[..., 0], discount=1.0))


def test_v_needs_no_start_where_a_domain_is_given():
    value = ValueIteration(nodes=41, domain=(0.5, 4)).value_function(moving(terminal=lambda x: x**2))
    assert value([2.0]) == pytest.approx(1.0, abs=1e-2)
    with pytest.raises(ocdl.InvalidInput, match="initial state"):
        ValueIteration(nodes=21, domain=(1, 3)).plan(moving(terminal=lambda x: x**2))


def test_tables_serve_as_terminal_values(tmp_path):
    """In two halves of the horizon as in one, by the table of the first as terminal values of the second."""
    options = {"nodes": 81, "domain": (-2, 2), "depths": [0.0]}
    problem = moving(terminal=lambda x: (x - 0.3) ** 2)
    whole = ValueIteration(**options).value_function(problem)
    half = ValueIteration(**options).value_function(moving(terminal=lambda x: (x - 0.3) ** 2, horizon=0.5))
    again = ValueIteration(**options, terminal=half.values[0]).value_function(moving(horizon=0.5))
    assert np.abs(again(LINE) - whole(LINE)).max() < 1e-3
    assert np.all(np.abs(again(LINE) - whole(LINE)) <= again.error(LINE) + 1e-4)
    one = ValueIteration(**options, terminal=half.values[0], checkpoint=tmp_path / "run.npz")
    one.value_function(moving(horizon=0.5))
    other = ValueIteration(**options, terminal=whole.values[0], checkpoint=tmp_path / "run.npz")
    with pytest.raises(ocdl.InvalidInput, match="terminal differ"):
        other.value_function(moving(horizon=0.5))
