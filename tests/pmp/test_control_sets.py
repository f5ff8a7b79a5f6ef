"""Control sets beyond boxes: extreme points against search, exact neurons, and agreement with the box."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pmp_problems import eight_neurons, network, selection, start
from scipy.integrate import solve_ivp

import ocdl
from ocdl.errors import InvalidInput, NotSupported
from ocdl.pmp.methods.control_sets import ControlSetNeedleSteps
from ocdl.referee.outcome import Status
from ocdl.statement.control_set import Disc, Polygon, SetVelocities

TRIANGLE = Polygon(((-0.9, -0.2), (0.8, -0.7), (0.1, 0.9)))
SETS = [Disc(), Disc((0.2, -0.1), 0.6), Polygon(), TRIANGLE]


def inside(set_, a, b):
    low, high = set_.slice(a)
    return (b >= low[..., None] - 1e-12) & (b <= high[..., None] + 1e-12)


@pytest.mark.parametrize("set_", SETS, ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("sign", [1.0, -1.0])
@given(seed=st.integers(0, 99))
@settings(max_examples=10)
def test_no_controls_of_the_set_have_a_more_extreme_preactivation(set_, sign, seed):
    generator = np.random.default_rng(seed)
    f, weights = generator.normal(size=3), generator.uniform(0.1, 1.0, 3)
    a, b = set_.synthesis(f, weights, sign)
    assert np.all(inside(set_, a, b))
    best = sign * (a - b @ (weights * f))
    tried = generator.uniform(-1.2, 1.2, 4000)
    ends = [float(set_.synthesis(np.zeros(3), weights, s)[0]) for s in (-1.0, 1.0)]
    tried = tried[(tried >= ends[0]) & (tried <= ends[1])]
    low, high = set_.slice(tried)
    others = low[:, None] + generator.uniform(size=(tried.size, 3)) * (high - low)[:, None]
    assert tried.size > 100
    assert np.all(sign * (tried - others @ (weights * f)) <= best + 1e-12)


def test_one_neuron_in_a_disc():
    """Above its reach f' = tanh √(1 + f²): the disc's support function in the direction (1, −f)."""
    problem = selection(0.5, 3.0)
    end = solve_ivp(lambda t, f: np.tanh(np.sqrt(1 + f**2)), (0, 1), [0.5], rtol=1e-12, atol=1e-13).y[0, -1]
    errors = []
    for layers in (50, 100, 200):
        grid = ocdl.Grid(width=ocdl.Midpoint(1), depth=ocdl.ImplicitMidpoint(layers))
        solution = ocdl.solve(problem, grid, ControlSetNeedleSteps(controls=Disc()))
        assert solution.status is Status.CONVERGED
        errors.append(abs(solution.cost - 0.5 * (3.0 - end) ** 2))
        assert np.all(solution.a.values**2 + solution.b.values[:, :, 0] ** 2 <= 1.0 + 1e-12)
    assert np.all(np.log2(np.array(errors[:-1]) / errors[1:]) > 1.8)


def test_a_square_is_the_box():
    grid = ocdl.Grid(width=ocdl.Midpoint(3), depth=ocdl.ExplicitEuler(15))
    far = selection(lambda y: 0.2 + 0.1 * y, lambda y: 3.0 + y)
    square = ocdl.solve(far, grid, ControlSetNeedleSteps(controls=Polygon()))
    assert square.cost == pytest.approx(ocdl.solve(far, grid, ocdl.NeedleSteps()).cost, rel=1e-13)
    assert square.gap <= 1e-9


def test_polygons_around_a_disc_converge_to_it_at_second_order():
    far = selection(lambda y: 0.2 + 0.1 * y, lambda y: 3.0 + y)
    grid = ocdl.Grid(width=ocdl.Midpoint(2), depth=ocdl.ExplicitEuler(10))
    disc = ocdl.solve(far, grid, ControlSetNeedleSteps(controls=Disc())).cost
    errors = []
    for corners in (8, 16, 32):
        angle = 2 * np.pi * (np.arange(corners) + 0.3) / corners
        polygon = Polygon(np.stack([np.cos(angle), np.sin(angle)], axis=1))
        errors.append(ocdl.solve(far, grid, ControlSetNeedleSteps(controls=polygon)).cost - disc)
    assert np.all(np.array(errors) > 0.0)  # inscribed: less reach
    assert errors[2] < errors[0] / 8


@pytest.mark.parametrize("set_", [Disc((0.1, 0.0), 0.8), TRIANGLE], ids=["disc", "triangle"])
def test_every_step_descends_inside_the_set(set_):
    grid = ocdl.Grid(width=ocdl.Midpoint(4), depth=ocdl.ExplicitEuler(12))
    method = ControlSetNeedleSteps(controls=set_, tolerance=1e-5, max_iterations=200)
    solution = ocdl.solve(eight_neurons(), grid, method, on_failure="return")
    assert np.all(inside(set_, solution.a.values, solution.b.values))
    accepted = solution.history["accepted"].values == 1.0
    assert np.all(np.diff(solution.history["cost"].values[accepted]) < 0.0)
    assert float(solution.history["gap"][-1]) < 1e-3


def test_what_it_cannot_do_is_said():
    depth, one = ocdl.ExplicitEuler(3), selection(0.5, 3.0).discretise(ocdl.Midpoint(1))
    with pytest.raises(InvalidInput, match="leaves the problem's box"):
        ControlSetNeedleSteps(controls=Disc(radius=1.5)).solve(one, depth, start(one, depth))
    with pytest.raises(NotSupported, match="one stage"):
        ControlSetNeedleSteps().solve(one, ocdl.Kutta4(3), start(one, ocdl.Kutta4(3)))
    many = network().discretise(ocdl.Midpoint(4))
    with pytest.raises(NotSupported, match="trains 5 parameters"):
        ControlSetNeedleSteps().solve(many, depth, start(many, depth))
    for bad in (lambda: Disc(radius=0.0), lambda: Disc(middle=(1.0,)), lambda: Polygon(((0, 0), (1, 1), (2, 2)))):
        with pytest.raises(InvalidInput, match=r"Disc|Polygon"):
            bad()
    with pytest.raises(InvalidInput, match="controls=3"):
        ControlSetNeedleSteps(controls=3)


@pytest.mark.parametrize("set_", [Disc((0.1, 0.0), 0.8), TRIANGLE], ids=["disc", "triangle"])
def test_the_referee_judges_over_the_set(set_):
    """No control of the set beats the minimum that the referee compares with, and the extreme ones attain it."""
    grid = ocdl.Grid(width=ocdl.Midpoint(4), depth=ocdl.ExplicitEuler(12))
    method = ControlSetNeedleSteps(controls=set_, tolerance=1e-7)
    solution = ocdl.solve(eight_neurons(), grid, method, on_failure="return")
    problem = eight_neurons().discretise(grid.width)
    velocities = SetVelocities.within(problem.velocity_box, set_)
    f = solution.state.values[:-1, 0]
    slow, fast = velocities.preactivations(f)
    generator = np.random.default_rng(0)
    low, high = set_.slice(a := generator.uniform(-0.6, 0.6, (4000, 1, 1)))
    b = generator.uniform(low, high, (4000, 1, 4))
    reached = a[..., 0] - np.einsum("sij,kj,j->sk", b, f, velocities.weights)
    assert np.all(reached <= fast.max(axis=1) + 1e-12) and np.all(reached >= slow.min(axis=1) - 1e-12)
    over_the_box = ocdl.certify(
        problem, grid.depth, problem.pack(a=solution.a.values, b=solution.b.values), np.zeros(0)
    )
    assert -1e-12 < solution.gap < 0.1 * over_the_box.gap
    assert solution.gap == pytest.approx(float(solution.history["gap"][-1]), abs=1e-9)
    assert np.isnan(solution.certificate.agreement)  # the set's controls do not obey one switching function each
