"""Dense output: exact where the scheme has values, of the stated order between, for every scheme and control shape."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from families import name_of, order, rich, schemes, selection

import ocdl
from ocdl import Outcome, Status
from ocdl.depth.control_shapes import ControlShape
from ocdl.referee.judgement import judged

SHAPES = [cls() for cls in ControlShape.__subclasses__()]  # what is below them serves sweeps alone
DEPTHS = [
    replace(scheme, controls=shape)
    for scheme in schemes(layers=(0.3, 0.7, 0.2, 0.1), degrees=(1, 2, 3))
    for shape in SHAPES
    if shape.suits(scheme.tableau.c)
]


def judged_at(problem, depth, u):
    return judged(problem, depth, Outcome(u, np.zeros(problem.P), Status.CYCLE), method="Made", seconds=0.0)


@cache
def pendulum(horizon=2.0):
    return ocdl.ControlProblem(
        dynamics=lambda t, x, u: [x[1], u[0] - np.sin(x[0]) + 0.3 * np.cos(2 * t)],
        running=lambda x: x[0] ** 2 + x[0] * x[1] ** 2,
        terminal=lambda x: x[1] ** 3,
        initial=[1.0, 0.2],
        horizon=horizon,
        bounds=ocdl.Box(u=(-1, 1)),
    )


@cache
def several():
    return rich(2)


@cache
def swung(depth):
    """The pendulum under u = t/4: as well as it is known on every mesh, and the same function on all."""
    places = depth.controls.depths(depth.mesh(2.0), depth.tableau.c)
    return judged_at(pendulum(), depth, 0.25 * places[:, None])


@pytest.mark.parametrize("depth", DEPTHS, ids=lambda depth: f"{name_of(depth)}-{name_of(depth.controls)}")
def test_nodes_and_stages_are_met(depth):
    shape = depth.controls
    problem = several()
    u = np.random.default_rng(1).uniform(-1, 1, (depth.control_rows, problem.m))
    solution = judged_at(problem, depth, u)
    t = solution.state["t"].to_numpy()
    at = solution.sample(t)
    np.testing.assert_allclose(at["states"], solution.state, rtol=0, atol=1e-13)
    np.testing.assert_allclose(at["costate"], solution.costate, rtol=0, atol=1e-13)
    np.testing.assert_array_equal(at["u"].dims, ("t", "control"))
    stages = solution.group("stages")
    inside = stages["depth"].to_numpy()
    if depth.tableau.collocates:
        np.testing.assert_allclose(
            solution.sample(inside.ravel())["states"].values.reshape(stages["stage_state"].shape),
            stages["stage_state"],
            rtol=0,
            atol=1e-12,
        )
    places = shape.depths(t, depth.tableau.c)
    jumps = t[1:] if shape.group == "stages" else t[-1:]  # there the value is that of the layer behind
    kept = np.min(np.abs(places[:, None] - jumps), axis=1) > 1e-9
    if np.unique(places).size == places.size:
        own = solution.sample(places[kept])["u"]
        np.testing.assert_allclose(own, u[kept], rtol=0, atol=1e-12)


def expected(scheme, costate):
    """s + 1 for collocation, one less of costates where the last stage is the end of the layer; 4 for cubics."""
    tableau = scheme.tableau
    between = tableau.stages + 1 - (costate and tableau.stiffly_accurate) if tableau.collocates else 4
    return min(tableau.order, between)


@pytest.mark.parametrize("scheme", schemes(degrees=(1, 2, 3)), ids=name_of)
def test_the_order_between_the_nodes(scheme):
    exact = swung(ocdl.Gauss(40, degree=5, controls=ocdl.PiecewiseLinear()))
    t = np.linspace(0.0, 2.0, 101)
    wanted = exact.sample(t)
    errors = {"states": [], "costate": []}
    for layers in (16, 32):
        found = swung(replace(scheme, layers=layers, controls=ocdl.PiecewiseLinear())).sample(t)
        for name, own in errors.items():
            own.append(float(abs(found[name] - wanted[name]).max()))
    assert order(errors["states"]) >= expected(scheme, costate=False) - 0.1
    assert order(errors["costate"]) >= expected(scheme, costate=True) - 0.1


@cache
def held_down():
    """Bryson and Denham's problem, whose costate jumps at nodes."""
    problem = ocdl.ControlProblem(
        states=["x", "v"],
        dynamics=lambda x, u: [x[1], u],
        initial=[0, 1],
        final=[0, -1],
        horizon=1.0,
        running=lambda u: u**2 / 2,
        bounds=ocdl.Box(x=(-np.inf, [1 / 9, np.inf])),
    )
    return ocdl.solve(problem, ocdl.Radau(12, degree=2, controls=ocdl.PiecewiseLinear()), ocdl.Ipopt())


def test_a_costate_jumps_where_its_multiplier_presses():
    solution = held_down()
    t, pressed = solution.state["t"].to_numpy(), solution.multipliers["multiplier"].to_numpy()[:, 0, 0]
    inner = np.arange(1, t.size - 1)
    assert np.max(pressed[inner]) > 1.0
    before, at = (solution.sample(t[inner] + shift)["costate"].to_numpy()[:, 0, 0] for shift in (-1e-12, 0.0))
    assert before - at == pytest.approx(pressed[inner], abs=1e-8)


def test_a_free_horizon_is_sampled_at_true_depths():
    problem = ocdl.ControlProblem(
        dynamics=lambda x, u: [x[1], u],
        initial=[0, 0],
        final=[1, 0],
        horizon=ocdl.Free(0.1, 10.0, guess=3.0),
        running=lambda: 1.0,
        bounds=ocdl.Box(u=(-1, 1)),
    )
    for scheme in (ocdl.Radau(8, degree=2), ocdl.Kutta4(8), ocdl.MultipleShooting(8)):
        solution = ocdl.solve(problem, scheme, ocdl.Ipopt())
        assert solution.horizon == pytest.approx(2.0, abs=1e-6)
        t = np.array([0.0, 0.37, 0.91, 1.0, 1.6])
        x = solution.sample(t)["states"][:, 0].to_numpy()
        position = np.where(t < 1, t**2 / 2, 1 - (2 - t) ** 2 / 2)
        assert x == pytest.approx(np.stack([position, np.minimum(t, 2 - t)], axis=1), abs=1e-6)
        assert solution.sample(0.4)["u"].item() == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize(
    "scheme",
    [ocdl.Radau(3, degree=2, controls=ocdl.PerStage()), ocdl.Kutta4(3, controls=ocdl.PiecewiseLinear())],
    ids=name_of,
)
def test_what_is_loaded_samples_the_same(scheme, tmp_path):
    problem = selection().discretise(ocdl.Midpoint(3))
    u = np.random.default_rng(2).uniform(-1, 1, (scheme.control_rows, problem.m))
    solution = judged_at(problem, scheme, u)
    solution.save(tmp_path / "run.nc")
    t = [0.0, 0.1, 1 / 3, 0.8, 1.0]
    assert ocdl.load(tmp_path / "run.nc").sample(t).identical(solution.sample(t))
    assert solution.sample(t)["b"].dims == ("t", "y", "z")


@pytest.mark.parametrize(
    ("t", "said"),
    [
        ([0.5, 1.5], r"lives on \[0, 1\]; got 1.5"),
        (-0.1, r"lives on \[0, 1\]; got -0.1"),
        ([np.nan], "finite"),
        ("now", "sample"),
        ([[0.5]], r"shape \(K,\)"),
    ],
)
def test_depths_that_are_none_are_named(t, said):
    with pytest.raises(ocdl.InvalidInput, match=said):
        held_down().sample(t)


def test_a_file_of_before_is_refused_in_words():
    solution = held_down()
    tree = solution.tree.copy()
    del tree.attrs["collocates"]
    with pytest.raises(ocdl.NotSupported, match="solve again"):
        ocdl.Solution(tree).sample([0.5])
    tree = solution.tree.copy()
    tree.attrs["scheme"] = "Radau(layers=12, controls=Wavelets(), degree=2)"
    with pytest.raises(ocdl.NotSupported, match="no Wavelets is defined here"):
        ocdl.Solution(tree).sample([0.5])


def test_a_table_has_a_column_an_entry():
    table = held_down().to_pandas([0.0, 0.25, 1.0])
    assert list(table.columns) == ["x", "v", "u0", "costate of x", "costate of v"]
    assert table.index.name == "t" and list(table.index) == [0.0, 0.25, 1.0]
    assert list(table["v"].iloc[[0, -1]]) == [1.0, -1.0]
    problem = several()
    solution = judged_at(problem, ocdl.Radau(3, degree=2), np.arange(6.0).reshape(3, 2) / 6)
    table = solution.to_pandas()
    assert table.index.names == ["t", "sample"] and len(table) == 4 * 2
    at = float(solution.state["t"][1])
    assert table.loc[(at, 1), "x1"] == float(solution.state[1, 1, 1])
    assert list(table.loc[at, "u1"]) == [0.5, 0.5]


def test_a_table_of_a_network_names_the_places():
    problem = selection().discretise(ocdl.Midpoint(2))
    table = judged_at(problem, ocdl.Radau(2, degree=2), np.zeros((2, problem.m))).to_pandas()
    assert "f(y = 0.25)" in table and "b(y = 0.25, z = 0.75)" in table and len(table.columns) == 2 + 6 + 2


def test_a_table_is_written_whole_or_not_at_all(tmp_path):
    import pandas

    held_down().to_csv(tmp_path / "run.csv", [0.0, 1 / 3])
    again = pandas.read_csv(tmp_path / "run.csv", index_col="t")
    pandas.testing.assert_frame_equal(again, held_down().to_pandas([0.0, 1 / 3]), check_exact=True)
    assert [path.name for path in tmp_path.iterdir()] == ["run.csv"]
    with pytest.raises(ocdl.InvalidInput, match=r"to_csv\('.*nowhere"):
        held_down().to_csv(tmp_path / "nowhere" / "run.csv")
    with pytest.raises(ocdl.InvalidInput, match="lives on"):
        held_down().to_csv(tmp_path / "run.csv", [2.0])
    assert len(pandas.read_csv(tmp_path / "run.csv")) == 2
