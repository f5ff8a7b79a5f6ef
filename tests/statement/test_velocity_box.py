"""The velocity box: closed form against brute force, for every increasing activation found."""

from itertools import product

import numpy as np
import pytest
from families import activations, selection
from hypothesis import given
from hypothesis import strategies as st

import ocdl
from ocdl.statement.velocity_box import VelocityBox

increasing = pytest.mark.parametrize("sigma", [s for s in activations() if s.increasing], ids=repr)
seeds = st.integers(0, 10_000)


def drawn(sigma, seed, largest=3):
    """A box with bounds of its own at every node, off centre, with a state and costates."""
    g = np.random.default_rng(seed)
    M = int(g.integers(1, largest + 1))
    a, b = np.sort(g.normal(size=(2, M)), axis=0), np.sort(g.normal(size=(2, M, M)), axis=0)
    box = VelocityBox(sigma, g.uniform(0.1, 2, M), a[0], a[1], b[0], b[1])
    return box, g.normal(size=M), g.normal(size=M), g


def velocity(box, f, a, b):
    """The layer equation, written again."""
    return np.array([box.activation(a[i] - sum(box.weights * b[i] * f)) for i in range(box.width)])


@increasing
@given(seed=seeds)
def test_no_control_leaves_the_box(sigma, seed):
    box, f, _, g = drawn(sigma, seed, largest=6)
    slow, fast = box.velocities(f)
    for _ in range(50):
        a, b = g.uniform(box.a_lower, box.a_upper), g.uniform(box.b_lower, box.b_upper)
        v = velocity(box, f, a, b)
        slack = 1e-14 * (1 + np.abs(v))
        assert np.all((v >= slow - slack) & (v <= fast + slack))


@increasing
@given(seed=seeds)
def test_the_minimum_is_the_best_vertex(sigma, seed):
    box, f, p, _ = drawn(sigma, seed)
    best = 0.0
    for i in range(box.width):
        ends = [(box.a_lower[i], box.a_upper[i]), *zip(box.b_lower[i], box.b_upper[i], strict=True)]
        values = [p[i] * float(sigma(v[0] - sum(box.weights * v[1:] * f))) for v in product(*ends)]
        best += min(values)
    assert box.minimum(f, p) == pytest.approx(best, rel=1e-14, abs=1e-14)


@increasing
@given(seed=seeds)
def test_the_synthesis_attains_the_minimum(sigma, seed):
    box, f, p, _ = drawn(sigma, seed, largest=6)
    a, b = box.synthesis(f, p)
    v, (slow, fast) = velocity(box, f, a, b), box.velocities(f)
    np.testing.assert_allclose(v, np.where(p > 0, slow, fast), rtol=1e-13, atol=1e-14)
    assert p @ v == pytest.approx(float(box.minimum(f, p)), rel=1e-13, abs=1e-13)
    for values, low, high in ((a, box.a_lower, box.a_upper), (b, box.b_lower, box.b_upper)):
        at_an_end = np.isclose(values, low, rtol=0, atol=1e-14) | np.isclose(values, high, rtol=0, atol=1e-14)
        assert np.all(at_an_end)  # bang-bang


@increasing
@given(seed=seeds, share=st.floats(0, 1))
def test_rank_one_controls_attain_every_velocity(sigma, seed, share):
    box, f, _, _ = drawn(sigma, seed, largest=6)
    slow, fast = box.velocities(f)
    wanted = slow + share * (fast - slow)
    low, high = -np.ones(box.width), np.ones(box.width)
    for _ in range(60):  # velocity i increases with θ_i alone
        theta = 0.5 * (low + high)
        below = velocity(box, f, *box.controls(f, theta)) < wanted
        low, high = np.where(below, theta, low), np.where(below, high, theta)
    a, b = box.controls(f, high)
    np.testing.assert_allclose(velocity(box, f, a, b), wanted, rtol=1e-11, atol=1e-12)
    slack = 1e-14
    assert np.all((a >= box.a_lower - slack) & (a <= box.a_upper + slack))
    assert np.all((b >= box.b_lower - slack) & (b <= box.b_upper + slack))


@given(seed=seeds)
def test_leading_axes_are_carried(seed):
    box, _, _, g = drawn(ocdl.Tanh(), seed)
    f, p = g.normal(size=(2, 5, box.width)), g.normal(size=(2, 5, box.width))
    least, (a, b) = box.minimum(f, p), box.synthesis(f, p)
    assert least.shape == (2, 5) and a.shape == (2, 5, box.width) and b.shape == (2, 5, box.width, box.width)
    for at in np.ndindex(2, 5):
        assert least[at] == pytest.approx(float(box.minimum(f[at], p[at])), rel=1e-13, abs=1e-14)
        np.testing.assert_allclose(b[at], box.synthesis(f[at], p[at])[1], rtol=1e-14)


def test_silence_where_the_costate_or_the_state_vanishes():
    box = VelocityBox(
        ocdl.Tanh(), np.ones(2), np.full(2, -1.0), np.full(2, 3.0), np.full((2, 2), -2.0), np.full((2, 2), 4.0)
    )
    a, b = box.synthesis(np.array([1.0, 0.0]), np.array([0.0, -1.0]))
    np.testing.assert_array_equal(a, [1.0, 3.0])
    np.testing.assert_array_equal(b, [[1.0, 1.0], [-2.0, 1.0]])


def test_paper_formula_in_a_symmetric_box():
    """s± = ±(a + b ∫|f|), Liu and Markowich, section 4.2."""
    problem = selection(bounds=ocdl.Box(a=(-1, 1), b=(-2, 2))).discretise(ocdl.Midpoint(5))
    f = problem.x0[0]
    slow, fast = problem.velocity_box.preactivations(f)
    reach = 1 + 2 * np.sum(problem.state_metric * np.abs(f))
    np.testing.assert_allclose(slow, np.full(5, -reach), rtol=1e-14)
    np.testing.assert_allclose(fast, np.full(5, reach), rtol=1e-14)


@pytest.mark.parametrize(
    "changes",
    [
        {"bounds": ocdl.Box(a=(-1, 1))},
        {"bounds": ocdl.Box(a=(-1, None), b=(-1, 1))},
        {"activation": ocdl.CustomActivation(np.sin)},
        {"initial": np.zeros((2, 3))},
    ],
    ids=["b unbounded", "a unbounded above", "not increasing", "two samples"],
)
def test_no_box_without_its_conditions(changes):
    assert selection(**changes).discretise(ocdl.Midpoint(3)).velocity_box is None
    assert selection().discretise(ocdl.Midpoint(3)).velocity_box is not None
