"""Measurements and conditions at given depths: what is stated, refused, weighed and differentiated."""

import numpy as np
import pytest

import ocdl
from ocdl.referee.labels import coefficients
from ocdl.sweeps.sweeper import Sweeper

TIMES = np.array([0.0, 0.3, 0.55, 1.0])


def two_experiments(**changed):
    """Two samples of a forced Lotka–Volterra system, one start free; a measurement is missing."""
    values = np.array([[1.0, 1.2, 0.9, 0.7], [0.8, 0.7, np.nan, 1.1]])[:, :, None]
    stated = {
        "dynamics": lambda x, u, p, d: [p[0] * x[0] - x[0] * x[1] + u[0] + d[0], x[0] * x[1] - p[1] * x[1]],
        "initial": [[1.0, ocdl.Free(0.1, 2.0, guess=0.7)], [0.5, 1.0]],
        "horizon": 1.0,
        "parameters": 2,
        "data": [[0.1], [-0.2]],
        "running": lambda u: u[0] ** 2,
        "bounds": ocdl.Box(u=(-1, 1), p=(0.1, 3)),
        "measurements": ocdl.Measurements(
            times=TIMES, values=values, output=lambda x, p: p[0] * x[1] + x[0], deviation=0.5
        ),
    }
    return ocdl.ControlProblem(**{**stated, **changed})


GRID = ocdl.Radau(layers=(0.3, 0.25, 0.2, 0.25), degree=2)


@pytest.mark.parametrize("grid", [GRID, ocdl.MultipleShooting(GRID.layers, steps=2)], ids=lambda g: type(g).__name__)
def test_the_sweep_back_is_the_gradient_of_the_misfit(grid):
    problem = two_experiments()
    sweeper, u, p = Sweeper(problem, grid), np.full((4, 1), 0.2), np.array([1.1, 0.9, 0.7])

    def cost(u, p):
        return sweeper.cost(sweeper.state(u, p), u, p)

    adjoint, step = sweeper.costate(sweeper.state(u, p), u, p), 1e-6
    along_p = [(cost(u, p + step * e) - cost(u, p - step * e)) / (2 * step) for e in np.eye(3)]
    along_u = [(cost(u + step * e[:, None], p) - cost(u - step * e[:, None], p)) / (2 * step) for e in np.eye(4)]
    assert adjoint.gradient_p == pytest.approx(along_p, rel=1e-7)
    assert adjoint.gradient_u.ravel() == pytest.approx(along_u, rel=1e-7)


def test_the_cost_is_the_sum_over_experiments_of_what_was_measured():
    problem = two_experiments(running=None)
    u, p = np.zeros((4, 1)), np.array([1.0, 1.0, 0.7])
    x = Sweeper(problem, GRID).state(u, p).x[[0, 1, 2, 4]]
    missed = (p[0] * x[..., 1] + x[..., 0] - problem.measurements.values[..., 0].T) / 0.5
    assert ocdl.certify(problem, GRID, u, p).cost == pytest.approx(np.nansum(missed**2), rel=1e-12)


def test_direct_and_indirect_find_the_same_estimate_and_costates():
    problem = two_experiments()
    direct = ocdl.solve(problem, GRID, ocdl.Ipopt())
    indirect = ocdl.solve(problem, GRID, ocdl.ProjectedGradient(tolerance=1e-7))
    assert direct.cost == pytest.approx(indirect.cost, abs=1e-9)
    assert abs(direct.costate_defect).max() < 1e-9
    assert direct.claim["costate"].values == pytest.approx(indirect.costate.values, abs=1e-5)
    assert np.abs(np.diff(direct.costate.sel(t=1.0).values)).max() > 0.1  # it ends in the gradient of the last data


def test_a_mesh_without_the_measured_depths_is_refused_and_mended():
    problem = two_experiments()
    with pytest.raises(ocdl.InvalidInput, match=r"no node at t = 0\.3, 0\.55.*ocdl\.through"):
        ocdl.solve(problem, ocdl.Radau(layers=4, degree=2), ocdl.Ipopt())
    mended = ocdl.through(ocdl.Radau(layers=8, degree=2), problem)
    mesh = mended.mesh(1.0)
    assert np.abs(mesh[:, None] - TIMES).min(axis=0).max() < 1e-14
    assert mended.count == 8 and np.diff(mesh).max() < 2 * np.diff(mesh).min()
    assert ocdl.through(GRID, two_experiments(measurements=None)) is GRID


def test_refinement_keeps_the_measured_depths():
    problem = two_experiments()
    found = ocdl.refine(problem, GRID, ocdl.Ipopt(), tolerance=1e-7).solution
    assert np.abs(found.state["t"].values[:, None] - TIMES).min(axis=0).max() < 1e-9


@pytest.mark.parametrize(
    "method", [ocdl.NeedleSteps(), ocdl.LBFGSB(), ocdl.InteriorPoint(), ocdl.Ipopt(space="reduced")]
)
def test_methods_that_do_not_see_measurements_refuse_them(method):
    with pytest.raises(ocdl.NotSupported, match="measurements"):
        ocdl.solve(two_experiments(initial=[[1.0, 0.7], [0.5, 1.0]]), GRID, method)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"times": [0.2, 0.1], "values": [1, 2]}, "ascending order"),
        ({"times": [0.1, 0.2], "values": [1, 2, 3]}, r"shape \(2, r\)"),
        ({"times": [0.1], "values": [1], "deviation": 0}, "positive standard deviations"),
        ({"times": [0.1], "values": [1], "deviation": [1, 2, 3]}, "positive standard deviations"),
        ({"times": [0.1], "values": [np.inf]}, "finite numbers, or NaN"),
    ],
)
def test_measurements_that_are_none_are_refused(given, said):
    with pytest.raises(ocdl.InvalidInput, match=said):
        ocdl.Measurements(**given)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"measurements": ocdl.Measurements(times=[0.5], values=[[1.0, 2.0]])}, "2 sample"),
        ({"measurements": ocdl.Measurements(times=[2.0], values=np.ones((2, 1, 2)))}, "behind the horizon"),
        ({"measurements": [1.0]}, "ocdl.Measurements"),
        ({"horizon": ocdl.Free(0.5, 2.0)}, "horizon"),
    ],
)
def test_measurements_that_do_not_fit_the_problem_are_refused(changed, said):
    with pytest.raises((ocdl.InvalidInput, ocdl.NotSupported), match=said):
        two_experiments(**changed)


# -- conditions --------------------------------------------------------------------------------------------


def through_a_gate(**changed):
    """x'' = u from rest to rest through x(½) = 1 (and x' there in an interval), ∫ u² least."""
    stated = {
        "states": ["x", "v"],
        "controls": ["u"],
        "dynamics": lambda x, u: [x[1], u],
        "initial": [0, 0],
        "final": [0, 0],
        "horizon": 1.0,
        "running": lambda u: u**2,
        "conditions": {0.5: [1, None]},
    }
    return ocdl.ControlProblem(**{**stated, **changed})


def test_a_state_passes_where_it_is_asked_to():
    """A cubic from rest to rest over ½ costs 12/(½)³: 192 in all, by symmetry with v(½) = 0."""
    grid = ocdl.Radau(layers=8, degree=3, controls=ocdl.PerStage())
    found = ocdl.solve(through_a_gate(), grid, ocdl.Ipopt())
    assert found.cost == pytest.approx(192.0, abs=1e-6)
    assert found.state.sel(t=0.5).values.ravel() == pytest.approx([1.0, 0.0], abs=1e-8)
    assert found.gap < 1e-5 and found.feasibility < 1e-8
    inside = ocdl.solve(through_a_gate(conditions={0.5: [1, ocdl.Free(1.0, 2.0)]}), grid, ocdl.Ipopt())
    assert inside.cost == pytest.approx(192.0 + 2 * 4 / 0.5, abs=1e-5)  # and v = ±1 on both sides: 4 v²/h each
    assert inside.state.sel(t=0.5).values.ravel() == pytest.approx([1.0, 1.0], abs=1e-8)


def test_the_referee_judges_conditions_from_the_formulas():
    grid = ocdl.Radau(layers=8, degree=3)
    verdict = ocdl.certify(through_a_gate(), grid, np.zeros((8, 1)), np.zeros(0))
    assert verdict.violations["state"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("conditions", "said"),
    [
        ({1.0: [0, 0]}, "inside the horizon"),
        ({0.5: [0]}, "2 value"),
        ({0.5: ["a", 0]}, "finite number"),
        ([0.5], "mapping"),
        ({0.5: [3, 0]}, "contradict"),
    ],
)
def test_conditions_that_cannot_be_are_refused(conditions, said):
    with pytest.raises(ocdl.InvalidInput, match=said):
        through_a_gate(conditions=conditions, bounds=ocdl.Box(x=(-2, 2)))


def test_methods_without_constraints_refuse_conditions_and_missing_nodes():
    with pytest.raises(ocdl.NotSupported, match="conditions"):
        ocdl.solve(through_a_gate(final=None), ocdl.Radau(layers=8), ocdl.ProjectedGradient())
    with pytest.raises(ocdl.InvalidInput, match=r"no node at t = 0\.5"):
        ocdl.solve(through_a_gate(), ocdl.Radau(layers=7), ocdl.Ipopt())


def test_measurements_survive_a_file(tmp_path):
    problem = two_experiments()
    found = ocdl.solve(problem, GRID, ocdl.Ipopt())
    found.save(tmp_path / "run.nc")
    u, p = coefficients(problem, GRID, ocdl.load(tmp_path / "run.nc"))
    assert ocdl.certify(problem, GRID, u, p).cost == pytest.approx(found.cost, rel=1e-9)
