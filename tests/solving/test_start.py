"""Starts: centre, random, given, and carried over from another grid."""

import numpy as np
import pytest
from families import rich, scalar, selection
from hypothesis import given
from hypothesis import strategies as st

import ocdl
from ocdl import Outcome, Status
from ocdl.referee.judgement import judged
from ocdl.solving.start import make_start, overlap_average

widths = st.lists(st.floats(0.05, 2.0), min_size=1, max_size=6)


def solved(problem, scheme, u, p=None):
    p = np.zeros(problem.P) if p is None else p
    return judged(problem, scheme, Outcome(u=u, p=p, status=Status.CONVERGED), method="Made", seconds=0.0)


@given(old=widths, new=widths, seed=st.integers(0, 99))
def test_transfer_between_depth_meshes_keeps_the_integral(old, new, seed):
    old_t, new_t = (np.concatenate([[0.0], np.cumsum(w) / np.sum(w)]) for w in (old, new))
    average = overlap_average(old_t, new_t)
    np.testing.assert_allclose(average.sum(axis=1), 1.0, rtol=1e-13)
    u = np.random.default_rng(seed).normal(size=(len(old), 2))
    np.testing.assert_allclose(np.diff(new_t) @ (average @ u), np.diff(old_t) @ u, rtol=1e-12, atol=1e-13)


def test_a_refined_mesh_repeats_the_controls():
    problem = scalar()
    u = np.array([[0.3], [-0.7]])
    start = make_start(problem, ocdl.Kutta4(6), solved(problem, ocdl.ExplicitEuler(2), u), None)
    np.testing.assert_allclose(start.u, np.repeat(u, 3, axis=0), rtol=1e-15)


def test_the_same_grid_hands_the_controls_over_unchanged():
    problem = rich(2)
    scheme = ocdl.Radau([0.3, 1.0], degree=2)
    g = np.random.default_rng(1)
    u, p = g.uniform(-1, 1, (2, 2)), g.uniform(-1, 1, 2)
    start = make_start(problem, scheme, solved(problem, scheme, u, p), None)
    np.testing.assert_allclose(start.u, u, rtol=1e-15)
    np.testing.assert_allclose(start.p, p, rtol=1e-15)


@pytest.mark.parametrize("fine", [ocdl.Midpoint(9), ocdl.GaussLegendre(4), ocdl.ClenshawCurtis(5)])
def test_linear_controls_survive_a_change_of_width(fine):
    """From the trapezoid nodes, which reach both ends, affine a and bilinear b carry over exactly."""
    statement = selection(readout=ocdl.Readout(), target=0.5)
    coarse = statement.discretise(ocdl.Trapezoid(3))
    y = coarse.layout.coords["y"][1]
    u = np.concatenate([0.5 - y, (0.2 + 0.5 * np.outer(y, 1 - y)).ravel()])[None]
    solution = solved(coarse, ocdl.ExplicitEuler(1), u, np.concatenate([3 * y, [0.7]]))
    problem = statement.discretise(fine)
    start = make_start(problem, ocdl.Kutta4(2), solution, None)
    named, at = problem.unpack(start.u), problem.layout.coords["y"][1]
    np.testing.assert_allclose(named["a"], np.tile(0.5 - at, (2, 1)), atol=1e-14)
    np.testing.assert_allclose(named["b"][1], 0.2 + 0.5 * np.outer(at, 1 - at), atol=1e-14)
    np.testing.assert_allclose(start.p, np.concatenate([3 * at, [0.7]]), atol=1e-14)


def test_beyond_the_outermost_node_controls_are_constant_and_clipped():
    statement = selection(bounds=ocdl.Box(a=(-1, 1), b=(-1, 1)))
    coarse = statement.replace(bounds=ocdl.Box(a=(-9, 9), b=(-9, 9))).discretise(ocdl.Midpoint(2))
    u = np.concatenate([[0.5, 4.0], [0.1, 0.2, 0.3, -7.0]])[None]
    fine = statement.discretise(ocdl.Trapezoid(2))
    named = fine.unpack(make_start(fine, ocdl.ExplicitEuler(1), solved(coarse, ocdl.ExplicitEuler(1), u), None).u)
    np.testing.assert_allclose(named["a"], [[0.5, 1.0]])
    np.testing.assert_allclose(named["b"], [[[0.1, 0.2], [0.3, -1.0]]])


def test_from_one_neuron_to_many():
    one, many = (selection().discretise(ocdl.Midpoint(M)) for M in (1, 4))
    solution = solved(one, ocdl.ExplicitEuler(1), np.array([[0.25, -0.5]]))
    named = many.unpack(make_start(many, ocdl.ExplicitEuler(2), solution, None).u)
    np.testing.assert_array_equal(named["a"], np.full((2, 4), 0.25))
    np.testing.assert_array_equal(named["b"], np.full((2, 4, 4), -0.5))


def test_the_centre_of_the_box_is_the_default():
    box = ocdl.Box(u=([-1, 0, -np.inf, 2, -np.inf], [3, np.inf, -4, 2, np.inf]))
    problem = scalar(dynamics=lambda u: u[0], controls=5, bounds=box)
    start = make_start(problem, ocdl.ExplicitEuler(2), None, None)
    np.testing.assert_array_equal(start.u, np.tile([1, 0, -4, 2, 0], (2, 1)))


@given(seed=st.integers(0, 2**40))
def test_random_starts_are_reproducible_and_inside(seed):
    problem = selection(bounds=ocdl.Box(a=(-0.5, 0.2), b=(0, None))).discretise(ocdl.Midpoint(2))
    first, again = (make_start(problem, ocdl.ExplicitEuler(3), None, seed) for _ in range(2))
    np.testing.assert_array_equal(first.u, again.u)
    other = make_start(problem, ocdl.ExplicitEuler(3), None, seed + 1)
    assert np.any(first.u != other.u)
    low, high = problem.control_box
    assert np.all((first.u >= low) & (first.u <= high))


def test_given_arrays_fill_what_they_name_and_are_clipped():
    problem = selection().discretise(ocdl.Midpoint(2))
    start = make_start(problem, ocdl.ExplicitEuler(2), {"a": [[0.5, -3], [0, 7]]}, None)
    named = problem.unpack(start.u)
    np.testing.assert_array_equal(named["a"], [[0.5, -1], [0, 1]])
    np.testing.assert_array_equal(named["b"], np.zeros((2, 2, 2)))


def test_given_numbers_and_profiles_hold_in_every_layer():
    problem = selection(readout=ocdl.Readout(), target=0.5).discretise(ocdl.Midpoint(2))
    start = make_start(problem, ocdl.ExplicitEuler(3), {"a": [0.1, 0.2], "b": 0.3, "mu": 2}, None)
    named = problem.unpack(start.u)
    np.testing.assert_array_equal(named["a"], np.tile([0.1, 0.2], (3, 1)))
    np.testing.assert_array_equal(named["b"], np.full((3, 2, 2), 0.3))
    np.testing.assert_array_equal(start.p, [0, 0, 2])


@pytest.mark.parametrize(
    ("start", "seed", "said"),
    [
        ({"c": 1}, None, ["unknown ['c']", "['a', 'b', 'f']"]),
        ({"a": np.zeros((2, 3))}, None, ["a: shape (2, 2)", "got (2, 3)"]),
        ({"a": [0.1, 0.2, 0.3]}, None, ["a: shape (2, 2)", "dimensions t, y", "got (3,)"]),
        ({"a": [[0, np.nan], [0, 0]]}, None, ["start['a']", "nan", "(0, 1)"]),
        ({"a": "x"}, None, ["start['a']", "text"]),
        ({"a": None}, None, ["start['a']", "NoneType"]),
        ([1, 2], None, ["solve(start=list)", "mapping"]),
        ({"a": np.zeros((2, 2))}, 3, ["not both"]),
        (None, -1, ["seed=-1", "at least 0"]),
        (None, "a", ["seed='a'", "whole number"]),
        (None, 1.5, ["seed=1.5"]),
        (None, True, ["seed=True"]),
    ],
)
def test_wrong_starts_are_named(start, seed, said):
    problem = selection().discretise(ocdl.Midpoint(2))
    with pytest.raises(ocdl.InvalidInput) as caught:
        make_start(problem, ocdl.ExplicitEuler(2), start, seed)
    assert all(part in str(caught.value) for part in said), str(caught.value)


def test_a_solution_of_another_kind_of_problem_is_refused():
    network, problem = selection().discretise(ocdl.Midpoint(2)), scalar()
    solution = solved(problem, ocdl.ExplicitEuler(1), np.zeros((1, 1)))
    with pytest.raises(ocdl.InvalidInput, match=r"solution by Made.*\['u'\].*\['a', 'b'\]"):
        make_start(network, ocdl.ExplicitEuler(1), solution, None)
    wide = scalar(dynamics=lambda u: u[0], controls=3, bounds=ocdl.Box())
    with pytest.raises(ocdl.InvalidInput, match=r"u has shape \(1,\); this problem needs \(3,\)"):
        make_start(wide, ocdl.ExplicitEuler(1), solution, None)


def test_between_grids_of_the_plane_a_start_is_refused():
    statement = selection(domain=((0, 1), (0, 1)), initial=0.1, target=0.2)
    grids = [ocdl.TensorProduct(ocdl.Midpoint(k), ocdl.Midpoint(2)) for k in (1, 2)]
    coarse, fine = (statement.discretise(grid) for grid in grids)
    solution = solved(coarse, ocdl.ExplicitEuler(1), np.zeros((1, coarse.m)))
    with pytest.raises(ocdl.InvalidInput, match="only on an interval"):
        make_start(fine, ocdl.ExplicitEuler(1), solution, None)
    assert make_start(coarse, ocdl.ExplicitEuler(2), solution, None).u.shape == (2, coarse.m)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (lambda t: 1 / 0, "called with t = 0 it raised ZeroDivisionError"),
        (lambda: 1, "called with t = 0 it raised TypeError"),
        (lambda t: None, "at t = 0: real numbers in a regular array are needed; got NoneType"),
        (lambda t: 1j, "at t = 0: real numbers in a regular array are needed; got complex"),
        (lambda t: np.nan, "all values must be finite"),
        (10**400, "beyond 1.8e+308"),
    ],
)
def test_functions_of_depth_that_fail_are_named(value, said):
    with pytest.raises(ocdl.InvalidInput) as caught:
        make_start(scalar(), ocdl.ExplicitEuler(2), {"u": value}, None)
    assert "start['u']" in str(caught.value) and said in str(caught.value), str(caught.value)
