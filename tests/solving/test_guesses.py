"""Guesses by name: entries, functions, times and values, labelled arrays, on meshes that differ."""

import numpy as np
import pytest
import xarray as xr
from families import selection

import ocdl
from ocdl.solving.start import make_start

DEPTH = ocdl.Radau(4, degree=2, controls=ocdl.PiecewiseLinear())


def cart(**changes):
    given = {
        "states": ["place", "speed"],
        "controls": ["push", "brake"],
        "parameters": ["drag"],
        "dynamics": lambda speed, push, brake, drag: [speed, push - brake - drag * speed],
        "initial": [0, 0],
        "final": {"place": 1},
        "horizon": 2.0,
        "running": lambda push: push**2,
        "bounds": ocdl.Box(push=(-5, 5), brake=(0, 1), drag=(0, 1)),
    } | changes
    return ocdl.ControlProblem(**given)


T = DEPTH.mesh(2.0)
FINE = np.linspace(0.0, 2.0, 41)
SINES = {
    "a function of t": np.sin,
    "its values at the nodes": np.sin(T),
    "a list": np.sin(T).tolist(),
    "labelled": xr.DataArray(np.sin(FINE), dims="t", coords={"t": FINE}),
}


@pytest.mark.parametrize("kind", SINES)
@pytest.mark.parametrize("name", ["push", "place"])
def test_what_is_given_of_one_name_is_there_and_the_rest_as_ever(name, kind):
    start = make_start(cart(), DEPTH, {name: SINES[kind], "drag": 0.25}, None)
    values = start.u[:, 0] if name == "push" else start.x[:, 0, 0]
    np.testing.assert_allclose(values, np.sin(T), atol=1e-12)
    np.testing.assert_array_equal(start.p, [0.25])
    np.testing.assert_array_equal(start.u[:, 1], 0.5)  # the centre of its box
    if name == "place":
        np.testing.assert_array_equal(start.x[:, 0, 1], 0.0)
    else:
        assert start.x is None


def test_states_not_given_go_straight_to_their_end():
    start = make_start(cart(), DEPTH, {"speed": 0.5}, None)
    np.testing.assert_allclose(start.x[:, 0], np.stack([T / 2, np.full(5, 0.5)], axis=1))


def test_times_and_values_are_resampled():
    """Linear between as many values as times, constant between one more time than values, constant beyond."""
    start = make_start(cart(), DEPTH, {"push": ([0.2, 1.2], [1, 2]), "brake": ([0, 0.9, 2], [0.1, 0.9])}, None)
    np.testing.assert_allclose(start.u, np.stack([[1, 1.3, 1.8, 2, 2], [0.1, 0.1, 0.9, 0.9, 0.9]], axis=1))
    start = make_start(cart(), DEPTH, {"x": (FINE, np.stack([FINE, FINE**2], axis=1))}, None)
    np.testing.assert_allclose(start.x[:, 0], np.stack([T, T**2], axis=1), atol=1e-12)


def test_a_state_of_every_sample():
    problem = cart(initial=[[0, 0], [0, 1]])
    values = np.stack([T, 2 * T], axis=1)
    start = make_start(problem, DEPTH, {"place": values}, None)
    np.testing.assert_array_equal(start.x[..., 0], values)


def test_the_last_time_is_the_guess_of_a_free_horizon():
    problem = cart(horizon=ocdl.Free(0.1, 10))
    given = {"push": ([0, 3], [0, 3])}
    start = make_start(problem, DEPTH, given, None)
    assert start.p[-1] == 3.0
    np.testing.assert_allclose(start.u[:, 0], np.linspace(0, 3, 5))
    assert make_start(problem, DEPTH, {**given, "horizon": 6.0}, None).p[-1] == 6.0


def test_a_solution_gives_single_names_on_another_mesh():
    solution = ocdl.solve(cart(), DEPTH, ocdl.Ipopt())
    other = ocdl.Radau(7, degree=2)
    start = make_start(cart(), other, {name: solution[name] for name in ("place", "push", "drag")}, None)
    t = other.mesh(2.0)
    np.testing.assert_allclose(start.x[:, 0, 0], np.interp(t, T, solution["place"]), atol=1e-12)
    np.testing.assert_allclose(start.u[:, 0], np.interp(t[:-1], T, solution["push"]), atol=1e-12)


def test_functions_of_width_and_depth():
    problem = selection().discretise(ocdl.Midpoint(3))
    y = problem.layout.coords["y"][1]
    given = {"a": lambda y, t: y * t, "b": lambda z, y, t: y - t * z}
    named = problem.unpack(make_start(problem, ocdl.ExplicitEuler(2), given, None).u)
    np.testing.assert_allclose(named["a"], [0 * y, y / 2])
    np.testing.assert_allclose(named["b"][1], y[:, None] - y[None, :] / 2)


def test_functions_on_a_plane_of_width():
    plane = ocdl.TensorProduct(ocdl.Midpoint(2), ocdl.Midpoint(2))
    problem = selection(domain=((0, 1), (0, 1)), initial=0.1, target=0.2).discretise(plane)
    given = {"a": lambda y: y[:, 1], "b": lambda y, z: y[..., 0] - z[..., 1]}
    named = problem.unpack(make_start(problem, ocdl.ExplicitEuler(1), given, None).u)
    np.testing.assert_allclose(named["a"][0], [0.25, 0.75, 0.25, 0.75])
    np.testing.assert_allclose(named["b"][0, 0], [0, -0.5, 0, -0.5])


def test_a_start_outside_its_box_says_which_name():
    solution = ocdl.solve(cart(), DEPTH, ocdl.Ipopt(), start={"push": ([0, 2], [9, 0])})
    assert "push at t = 0 = 9 lies above its upper bound 5" in solution.notes[0]


@pytest.mark.parametrize(
    ("start", "said"),
    [
        ({"shove": 1}, "unknown ['shove']; this problem has ['p', 'u', 'x', 'place', 'speed', 'push', "),
        ({"push": np.zeros(7)}, "start['push']: one number at each of 5 depths of this mesh is needed, a function"),
        ({"place": np.zeros(7)}, "start['place']: a number at each of 5 nodes"),
        ({"x": np.zeros((7, 2))}, "states have the shape (5, 2)"),
        ({"push": ([0, 1, 1], [1, 2, 3])}, "start['push']: times are at least two numbers that increase"),
        ({"push": ([0, 1, 2], [1])}, "start['push']: 3 times need as many values, or one fewer"),
        ({"push": ([0, np.nan], [1, 2])}, "start['push']: times: all values must be finite"),
        ({"push": lambda t: [t] * (1 + (t > 1))}, "start['push']: a function of t has one shape at every depth"),
        ({"push": "fast"}, "start['push']: real numbers in a regular array are needed; got text"),
        ({"push": lambda t: t / 0}, "start['push']: called with t = 0 it raised ZeroDivisionError"),
        ({"drag": lambda t: t}, "drag does not depend on depth; give numbers"),
        ({"drag": [1, 2]}, "start['drag']: one number is needed, got the shape (2,)"),
        ({"drag": ([0, 1], [0, 1])}, "start['drag']"),
        ({3: 1}, "unknown [3]"),
    ],
)  # fmt: skip
def test_what_is_no_guess_is_refused_in_words(start, said):
    with pytest.raises(ocdl.InvalidInput) as caught:
        make_start(cart(), DEPTH, start, None)
    assert said in str(caught.value), str(caught.value)
