"""Figures of every kind of solution: what is on them, and that nothing global is touched."""

import pickle
import subprocess
import sys
from dataclasses import dataclass, replace

import numpy as np
import pytest
import xarray as xr

import ocdl
from ocdl.comparison.compare import compare
from ocdl.doors.plot import plot_comparison, plot_solution
from ocdl.referee.outcome import Outcome, Status
from ocdl.solving.method import Method


@dataclass(frozen=True)
class Drawn(Method):
    """Random controls; with ``value``, a table of V on as many axes as there are states."""

    label: str = "Drawn"
    value: bool = False
    seed: int = 0

    @property
    def name(self):
        return self.label

    def solve(self, problem, depth, start, *, progress=None):
        u = np.random.default_rng(self.seed).uniform(-1, 1, (depth.count, problem.m))
        extras = {"value": self.table(problem)} if self.value else {}
        history = {"cost": [3.0, 2.0, 0.01], "gap": [1.0, 0.1, 0.0]}
        return Outcome(u, start.p, Status.CONVERGED, claim={"cost": 0.1}, history=history, extras=extras)

    def table(self, problem):
        axis = np.linspace(-2, 2, 9)
        squares = sum(np.meshgrid(*[axis**2] * problem.n, indexing="ij"))
        names = [f"f{i}" for i in range(problem.n)]
        coords = {"t": [0.0, 0.5, 1.0], **dict.fromkeys(names, axis)}
        return xr.DataArray(np.stack([squares] * 3), dims=("t", *names), coords=coords)


def network(width, *, samples=1, domain=(0.0, 1.0)):
    M = width.on(domain).weights.size
    initial = np.linspace(-1, 1, samples * M).reshape(samples, M)
    return ocdl.SelectionProblem(
        activation=ocdl.Tanh(), horizon=1.0, initial=initial, target=0.5 * initial, domain=domain,
        bounds=ocdl.Box(a=(-1, 1), b=(-1, 1)),
    ), ocdl.Grid(width=width, depth=ocdl.ExplicitEuler(layers=5))  # fmt: skip


def pendulum():
    return ocdl.ControlProblem(
        dynamics=lambda x, u: [x[1], u[0] - x[0]], initial=[1.0, 0.0], horizon=2.0, terminal=lambda x: x[0] ** 2,
        states=["angle", "speed"], controls=["torque"], bounds=ocdl.Box(u=(-1, 1)),
    ), ocdl.ExplicitEuler(layers=5)  # fmt: skip


SQUARE = ((0.0, 1.0), (0.0, 1.0))
CASES = {
    "one neuron": network(ocdl.Midpoint(1)),
    "two neurons": network(ocdl.Midpoint(2)),
    "eight neurons": network(ocdl.Midpoint(8)),
    "64 neurons": network(ocdl.Midpoint(64)),
    "samples of one neuron": network(ocdl.Midpoint(1), samples=7),
    "samples of twelve neurons": network(ocdl.Midpoint(12), samples=2),
    "a width of two dimensions": network(ocdl.TensorProduct(ocdl.Midpoint(3), ocdl.Midpoint(3)), domain=SQUARE),
    "a problem that is no network": pendulum(),
}


def titles(figure):
    return [axes.get_title(loc="left").strip() for axes in figure.axes if axes.get_title(loc="left")]


def drawn(figure, tmp_path, dpi=30):
    """The figure rendered, as pixels in [0, 1]."""
    from matplotlib.image import imread

    figure.savefig(tmp_path / "figure.png", dpi=dpi)
    return imread(tmp_path / "figure.png")


@pytest.mark.parametrize("case", CASES)
def test_a_solution_of_every_kind_is_drawn(case, tmp_path):
    figure = plot_solution(ocdl.solve(*CASES[case], Drawn()))
    found = " | ".join(titles(figure))
    wanted = (
        ("x(t)", "r = −p", "H(t)", "u(t)") if case.endswith("network") else ("f(y, t)", "r = −p", "H(t)", "a(y, t)")
    )
    assert all(title in found for title in (*wanted, "learning curve")), found
    if case in ("64 neurons", "samples of one neuron", "a width of two dimensions"):  # rendering takes a second each
        assert drawn(figure, tmp_path).std() > 0.05


@pytest.mark.parametrize("case", ["samples of twelve neurons", "a problem that is no network"])
def test_a_comparison_is_drawn(case, tmp_path):
    comparison = compare(*CASES[case], [Drawn(), Drawn("Other", seed=1)])
    figure = plot_comparison(comparison)
    labels = {text.get_text() for axes in figure.axes for text in axes.get_yticklabels()}
    assert {"Drawn", "Other"} <= labels
    assert drawn(figure, tmp_path).std() > 0.05


@pytest.mark.parametrize(("case", "panels"), [("one neuron", 1), ("two neurons", 2)])
def test_the_value_function_is_drawn_with_its_level_sets(case, panels):
    figure = plot_solution(ocdl.solve(*CASES[case], Drawn(value=True)))
    values = [axes for axes in figure.axes if axes.get_title(loc="left").startswith("value")]
    assert len(values) == panels and all(len(axes.collections) >= 2 and axes.lines for axes in values)


def test_the_trajectories_of_all_routes_run_over_one_value_function():
    comparison = compare(*CASES["two neurons"], [Drawn(), Drawn("HJB", value=True)])
    (axes,) = [axes for axes in plot_comparison(comparison).axes if axes.get_title(loc="left").startswith("value")]
    ends = comparison.solutions["Drawn"].state.values[:, 0]
    assert any(np.array_equal(line.get_xydata(), ends) for line in axes.lines)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["Drawn", "HJB"]


def test_controls_are_steps_over_their_layers_and_the_state_passes_through_its_nodes():
    problem, grid = CASES["one neuron"]
    solution = ocdl.solve(problem, grid, Drawn())
    axes = {axes.get_title(loc="left"): axes for axes in plot_solution(solution).axes}
    (steps,) = axes["control  a(y, t)"].patches
    assert np.array_equal(steps.get_data().edges, solution.state["t"].values)
    assert np.array_equal(steps.get_data().values, solution.a.values[:, 0])
    assert np.array_equal(axes["state  f(y, t)"].lines[0].get_ydata(), solution.state.values[:, 0, 0])
    assert np.array_equal(axes["switching function  r = −p"].lines[0].get_ydata(), -solution.costate.values[:, 0, 0])


def test_a_loaded_solution_draws_as_the_one_saved(tmp_path):
    solution = ocdl.solve(*CASES["one neuron"], Drawn(value=True))
    solution.save(tmp_path / "run.nc")
    first = drawn(plot_solution(solution), tmp_path)
    assert np.array_equal(first, drawn(plot_solution(ocdl.load(tmp_path / "run.nc")), tmp_path))


def test_a_solution_without_a_history_has_no_learning_curve():
    solution = ocdl.solve(*CASES["one neuron"], Drawn())
    del solution.tree["history"]
    assert "learning curve" not in titles(plot_solution(solution))


def test_nothing_global_is_touched():
    import matplotlib
    from matplotlib import _pylab_helpers

    before = dict(matplotlib.rcParams)
    plot_solution(ocdl.solve(*CASES["one neuron"], Drawn()))
    assert dict(matplotlib.rcParams) == before and not _pylab_helpers.Gcf.figs


def test_a_comparison_without_solutions_cannot_be_drawn():
    @dataclass(frozen=True)
    class Refusing(Method):
        def solve(self, problem, depth, start, *, progress=None):
            raise ocdl.NotSupported("no")

    with pytest.raises(ocdl.InvalidInput, match="none of the methods"):
        plot_comparison(compare(*CASES["one neuron"], [Refusing()]))


@pytest.mark.parametrize("shape", [ocdl.PiecewiseLinear(), ocdl.PerStage()], ids=lambda shape: type(shape).__name__)
def test_controls_that_vary_in_a_layer_are_drawn_where_they_live(shape):
    problem = ocdl.ControlProblem(
        dynamics=lambda u: u, initial=[0.0], horizon=2.0, running=lambda t, u: (u - t) ** 2, states=["x"]
    )
    depth = ocdl.Gauss(3, 2, controls=shape)
    figure = plot_solution(ocdl.solve(problem, depth, ocdl.Ipopt()))
    axes = next(ax for ax in figure.axes if "control" in ax.get_title(loc="left") + ax.get_title())
    drawn = axes.get_lines()[0].get_xydata()
    np.testing.assert_allclose(drawn[:, 0], shape.depths(depth.mesh(2.0), depth.tableau.c))
    np.testing.assert_allclose(drawn[:, 1], drawn[:, 0], atol=1e-7)
    plot_comparison(compare(problem, depth, [ocdl.Ipopt(), ocdl.Ipopt(tolerance=1e-6)]))


def test_units_are_at_the_lines_and_at_the_axis_of_a_single_one():
    problem, depth = pendulum()
    united = replace(problem, units={"angle": "rad", "torque": "N m"})
    figure = plot_solution(ocdl.solve(united, depth, ocdl.Ipopt()))
    legends = [text.get_text() for axes in figure.axes if axes.get_legend() for text in axes.get_legend().get_texts()]
    assert {"angle [rad]", "speed"} <= {*legends}
    assert "torque [N m]" in [axes.get_ylabel() for axes in figure.axes]


def test_a_solution_draws_itself_without_knowing_how():
    code = """
import pickle, sys
solution = pickle.loads(sys.stdin.buffer.read())
assert not any(name.startswith(("ocdl.doors", "matplotlib")) for name in sys.modules)
print(len(solution.plot().axes))
"""
    solution = ocdl.solve(*pendulum(), Drawn())
    shown = subprocess.run([sys.executable, "-c", code], input=pickle.dumps(solution), capture_output=True, check=True)
    assert int(shown.stdout) == len(ocdl.plot_solution(solution).axes) > 3


def test_what_has_no_controls_is_drawn_without_them():
    problem = ocdl.ControlProblem(
        controls=0, dynamics=lambda x: -x, initial=[1.0], horizon=1.0, terminal=lambda x: x[0]
    )
    comparison = compare(problem, ocdl.Radau(layers=3), [ocdl.Ipopt()])
    for figure in (plot_solution(comparison.best), plot_comparison(comparison)):
        titles = [axes.get_title("left") for axes in figure.axes]
        assert any("state" in title for title in titles) and not any("control" in title for title in titles)
