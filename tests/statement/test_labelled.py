"""Labelled arrays are read by their labels, in every order of their dimensions."""

from itertools import permutations

import numpy as np
import pytest
import xarray as xr
from families import scalar, selection
from hypothesis import given
from hypothesis import strategies as st

import ocdl
from ocdl.solving.start import make_start
from ocdl.statement.labelled import by_labels

M, N = 3, 4
STATEMENT = selection(initial=lambda y: y, target=lambda y: 1.0 + y)
PROBLEM = STATEMENT.discretise(ocdl.Midpoint(M))
Y = PROBLEM.layout.coords["y"][1]
DEPTH = ocdl.ExplicitEuler(N)
B = xr.DataArray(
    np.random.default_rng(0).uniform(-1, 1, (N, M, M)),
    dims=("t", "y", "z"),
    coords={"t": DEPTH.mesh(1.0)[:-1], "y": Y, "z": Y},
)


def started(**start):
    return PROBLEM.unpack(make_start(PROBLEM, DEPTH, start, None).u)


@pytest.mark.parametrize("order", list(permutations(B.dims)), ids=" ".join)
def test_a_transposed_kernel_is_transposed_back(order):
    np.testing.assert_array_equal(started(b=B.transpose(*order))["b"], B.values)


@given(order=st.permutations(range(M)))
def test_nodes_in_another_order_are_put_in_theirs(order):
    np.testing.assert_allclose(started(b=B.isel(z=order))["b"], B.values, atol=1e-14)


def test_a_profile_without_depth_holds_in_every_layer_and_labels_may_be_missing():
    once = B.isel(t=0, drop=True)
    np.testing.assert_array_equal(started(b=once.transpose("z", "y"))["b"], np.tile(once.values, (N, 1, 1)))
    np.testing.assert_array_equal(started(b=B.drop_vars(["t", "y", "z"]))["b"], B.values)


def test_other_nodes_are_interpolated_as_in_a_transfer():
    fine = STATEMENT.discretise(ocdl.Midpoint(2 * M))
    a = xr.DataArray(2.0 * Y - 1.0, dims="y", coords={"y": Y})
    start = make_start(fine, DEPTH, {"a": a}, None)
    nodes = np.clip(fine.layout.coords["y"][1], Y[0], Y[-1])
    np.testing.assert_allclose(fine.unpack(start.u)["a"], np.tile(2.0 * nodes - 1.0, (N, 1)), atol=1e-14)


def test_controls_of_every_stage_and_states_go_back_in():
    depth = ocdl.Radau(2, degree=2, controls=ocdl.PerStage())
    problem = scalar()
    solution = ocdl.solve(problem, depth, ocdl.Ipopt(), seed=1)
    given = {"u": solution.u.transpose("control", "stage", "t"), "x": solution.state.transpose("state", "t", "sample")}
    start = make_start(problem, depth, given, None)
    np.testing.assert_array_equal(start.u, solution.u.values.reshape(4, 1))
    np.testing.assert_array_equal(start.x, solution.state.values)


def test_data_of_a_selection_problem():
    rows = xr.DataArray(np.arange(6.0).reshape(M, 2), dims=("y", "sample"))
    problem = selection(initial=rows, target=rows + 1.0).discretise(ocdl.Midpoint(M))
    np.testing.assert_array_equal(problem.x0, rows.values.T)
    np.testing.assert_array_equal(problem.data, rows.values.T + 1.0)
    line = xr.DataArray([0.0, 1.0], dims="y", coords={"y": [0.0, 1.0]})
    np.testing.assert_allclose(selection(initial=line, target=0.0).discretise(ocdl.Midpoint(M)).x0[0], Y)


def test_states_of_a_control_problem_by_their_names():
    ends = xr.DataArray([[2.0, 1.0]], dims=("sample", "state"), coords={"state": ["speed", "place"]})
    named = {"states": ["place", "speed"], "dynamics": lambda x, u: [x[1], u[0]]}
    problem = scalar(initial=ends, final=ends.T, **named)
    np.testing.assert_array_equal(problem.x0, [[1.0, 2.0]])
    np.testing.assert_array_equal(problem.final, [[1.0, 2.0]])
    table = xr.DataArray([[1.0, 2.0], [3.0, 4.0]], dims=("feature", "sample"))
    np.testing.assert_array_equal(scalar(initial=[[0.0], [1.0]], data=table).data, table.values.T)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (B.rename(z="q"), ["dimensions t, stage, y, z", "got q", ".values"]),
        (xr.DataArray(B.values), ["got dim_0, dim_1, dim_2"]),
        (B.assign_coords(t=-B["t"]), ["times", "that increase"]),
        (B.assign_coords(y=["a", "b", "c"]), ["along y", "'a'"]),
        (B.where(B["y"] > Y[0]), ["finite", "nan"]),
    ],
)
def test_labels_that_do_not_fit_are_named(values, said):
    with pytest.raises(ocdl.InvalidInput, match=r"start\['b'\]") as caught:
        started(b=values)
    assert all(part in str(caught.value) for part in said), str(caught.value)


def test_labels_that_do_not_fit_elsewhere():
    names = xr.DataArray([1.0, 2.0], dims="state", coords={"state": ["place", "sped"]})
    with pytest.raises(ocdl.InvalidInput, match=r"initial: along state its labels are .*sped.*; this problem's are"):
        scalar(initial=names, states=["place", "speed"], dynamics=lambda x, u: [x[1], u[0]])
    with pytest.raises(ocdl.InvalidInput, match=r"weights: .* dimensions sample; got run"):
        scalar(initial=[[0.0], [1.0]], weights=xr.DataArray([1.0, 2.0], dims="run"))
    with pytest.raises(ocdl.InvalidInput, match="by position"):
        ocdl.Box(b=(xr.DataArray(np.zeros((2, 2))), 1))
    with pytest.raises(ocdl.InvalidInput, match="along y0"):
        coords = {"y0": (("y",), np.array([0.0, 1.0]))}
        by_labels(
            "x", xr.DataArray([1.0, 2.0], dims="y", coords=coords), ("y",), {"y0": (("y",), np.array([0.0, 0.5]))}
        )
