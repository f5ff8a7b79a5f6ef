"""Every problem file states a problem that its methods solve; the numbers in its docstring are asserted."""

from pathlib import Path

import numpy as np
import pytest
from families import module
from scipy.optimize import minimize_scalar

import ocdl
from ocdl.solving.compile import discretised
from ocdl.solving.phases import grids, make_starts
from ocdl.solving.start import make_start

FILES = sorted((Path(__file__).parent.parent.parent / "problems").glob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_file_states_a_problem_in_its_docstring_and_can_be_judged(file):
    stated = module(file.stem)
    assert "=" in (stated.__doc__ or ""), "the docstring holds the formula"
    problem = stated.problem()
    assert isinstance(problem, (ocdl.SelectionProblem, ocdl.ControlProblem, ocdl.Phases))
    start = stated.start() if hasattr(stated, "start") else None
    verdicts = [guess_judged(*part, begin) for part, begin in begins(problem, stated.grid(), start)]
    assert all(np.isfinite(verdict.cost) for verdict in verdicts)
    slopes = [
        np.abs(verdict.adjoint.gradient_p).max(initial=0.0) for verdict in verdicts
    ]  # where these are all that is free
    assert any(
        v.gap > 0.0 or v.feasibility > 0.0 or p > 0.0 for v, p in zip(verdicts, slopes, strict=True)
    )  # no optimum


def begins(problem, grid, start):
    if not isinstance(problem, ocdl.Phases):
        part = discretised(problem, grid)
        return [(part, make_start(*part, start, None))]
    depths = grids(problem, grid)
    return zip(zip(problem.cores, depths, strict=True), make_starts(problem, depths, start, None), strict=True)


def guess_judged(discrete, depth, begin):
    u = np.clip(begin.u + 0.05, *discrete.control_box)  # a guess may be stationary, as u = 0 is for the beam
    return ocdl.certify(discrete, depth, u, begin.p)


def test_one_neuron_is_exact_for_every_route():
    stated = module("one_neuron")
    exact = 0.5 * (3.0 - 1.4563111674757971) ** 2
    assert exact == pytest.approx(1.1914876058, abs=5e-11)
    comparison = ocdl.compare(stated.problem(), stated.grid(), stated.methods())
    assert set(comparison.solutions) == {"Ipopt", "NeedleSteps", "SuccessiveApproximations", "ValueIteration"}
    for solution in comparison.solutions.values():
        assert abs(solution.cost - exact) < 1e-8
    assert abs(comparison.solutions["ValueIteration"].claim["cost"] - exact) < 1e-6


def test_the_learning_rate_is_full_until_noise_dominates():
    """By every route on its grid; and the moments of θ are those of the problem in m."""
    stated = module("learning_rate")
    costs = [ocdl.solve(stated.problem(), stated.grid(), method).cost for method in stated.methods()]
    assert np.ptp(costs) < 1e-8 and 0.0 < costs[0] - stated.REFERENCE < 1e-5
    u = np.clip(np.linspace(1.5, 0.3, 40), *stated.RATES)[:, None]
    one, other = (ocdl.simulate(problem, u).cost for problem in (stated.problem(), ocdl.moments(stated.stochastic())))
    assert one == pytest.approx(other, abs=1e-9)


def test_two_neurons_local_methods_stop_in_a_worse_extremal_and_are_told_so():
    stated = module("two_neurons")
    comparison = ocdl.compare(stated.problem(), stated.grid(), stated.methods(), start=stated.start())
    worse, better = 0.18561025, 0.18427610
    assert comparison.solutions["Ipopt"].cost == pytest.approx(worse, abs=1e-6)
    assert comparison.solutions["NeedleSteps"].cost == pytest.approx(worse, abs=1e-6)
    assert comparison.solutions["ValueIteration"].cost == pytest.approx(better, abs=2e-5)
    assert comparison.best_name == "ValueIteration"
    told = " ".join(comparison.findings())
    assert "NeedleSteps and Ipopt stop in a worse extremal" in told or "Ipopt and NeedleSteps stop" in told
    warm = ocdl.solve(stated.problem(), stated.grid(), ocdl.Ipopt(), start=comparison.best)
    assert warm.cost == pytest.approx(better, abs=1e-7)


def test_a_reachable_target_is_regularised_to_the_controls_of_least_norm():
    stated = module("reachable_target")
    direct, indirect = (ocdl.solve(stated.problem(), stated.grid(), m) for m in stated.methods()[:2])
    assert direct.cost == pytest.approx(indirect.cost, abs=1e-11)
    assert float(abs(direct.a - indirect.a).max()) < 1e-4
    bare = ocdl.solve(stated.problem(weight=0), stated.grid(), ocdl.Ipopt())
    assert bare.status is ocdl.Status.REACHABLE


def test_van_der_pol_direct_and_indirect_agree():
    stated = module("van_der_pol")
    direct = ocdl.solve(stated.problem(), stated.grid(), ocdl.Ipopt())
    indirect = ocdl.solve(stated.problem(), stated.grid(), ocdl.NeedleSteps())
    assert direct.cost == pytest.approx(indirect.cost, abs=1e-9)
    assert float(abs(direct.costate - indirect.costate).max()) < 1e-3
    assert direct.u.dims == ("t", "control")
    assert list(direct.state["state"].values) == ["x", "y"]


def test_gas_oil_the_published_estimates_and_their_intervals():
    stated = module("gas_oil")
    problem, grid = stated.problem(), stated.grid()
    solution = ocdl.solve(problem, grid, *stated.methods())
    assert solution.cost == pytest.approx(stated.REFERENCE, abs=stated.DIGITS * 2)
    found = ocdl.confidence(problem, grid, solution)
    assert found.estimates == pytest.approx(stated.ESTIMATES, abs=1e-3)
    assert found.freedom == 37 and np.all(found.intervals[:, 0] > 0.0)


def test_the_pendulum_with_its_tension_is_the_pendulum_in_its_angle():
    stated = module("pendulum_dae")
    hanging = ocdl.solve(stated.problem(), stated.grid(), *stated.methods())
    assert hanging.cost == pytest.approx(stated.PUBLISHED, abs=stated.PUBLISHED_DIGITS)
    upright = ocdl.solve(stated.problem(), stated.grid(), *stated.methods(), seed=0)
    assert hanging.cost == pytest.approx(stated.REFERENCE, abs=stated.DIGITS)
    assert upright.cost == pytest.approx(stated.UPRIGHT, abs=stated.UPRIGHT_DIGITS)
    for found, end in ((hanging, -np.pi / 2), (upright, np.pi / 2)):
        angle = ocdl.ControlProblem(
            states=["θ", "ω"],
            dynamics=lambda x, u: [x[1], -u - stated.GRAVITY * np.cos(x[0])],
            initial=[0, 0],
            final=[end, 0],
            horizon=3.0,
            running=lambda u: u**2,
        )
        y1, y2, y3, y4 = found.state.values[:, 0].T
        x = np.stack([np.unwrap(np.arctan2(y2, y1)), y1 * y4 - y2 * y3], axis=1)
        start = {"x": x[:, None], "u": np.concatenate(found.u.values)}
        in_angle = ocdl.solve(angle, stated.grid(), ocdl.Ipopt(), start=start)
        assert in_angle.cost == pytest.approx(found.cost, abs=stated.UPRIGHT_DIGITS)


def test_delays_the_published_cost_is_two_plus_tanh_one():
    stated = module("delays")
    found = ocdl.solve(stated.problem(), stated.grid(), *stated.methods())
    assert found.cost == pytest.approx(stated.REFERENCE, abs=stated.DIGITS)
    assert pytest.approx(2.76159416, abs=5e-9) == stated.REFERENCE


def test_misra_the_certified_estimates_and_standard_errors():
    stated = module("misra")
    problem, grid = stated.problem(), stated.grid()
    solution = ocdl.solve(problem, grid, *stated.methods(), start=stated.start())
    assert solution.cost == pytest.approx(stated.REFERENCE, abs=stated.DIGITS)
    found = ocdl.confidence(problem, grid, solution)
    assert found.estimates == pytest.approx(stated.ESTIMATES, rel=1e-9)
    assert found.standard_errors == pytest.approx(stated.STANDARD_ERRORS, rel=1e-9)


@pytest.mark.parametrize(("name", "held"), [("methanol", [4]), ("pinene", [])])
def test_published_rate_constants_and_which_are_held_at_zero(name, held):
    stated = module(name)
    problem, grid, published = stated.problem(), stated.grid(), np.array(stated.ESTIMATES)
    start = stated.start() if hasattr(stated, "start") else None
    solution = ocdl.solve(problem, grid, *stated.methods(), start=start)
    assert solution.cost == pytest.approx(stated.REFERENCE, abs=stated.DIGITS)
    assert pytest.approx(stated.PUBLISHED, abs=stated.PUBLISHED_DIGITS) == stated.REFERENCE
    found = ocdl.confidence(problem, grid, solution)
    assert found.estimates == pytest.approx(published, rel=2e-4, abs=1e-8)
    assert np.flatnonzero(np.isnan(found.standard_errors)).tolist() == held
    assert found.freedom == problem.measurements.made - 5 + len(held)
    assert np.all(np.delete(found.intervals[:, 0], held) > 0.0)


def test_tasks_share_the_start_and_the_rate_of_linear_algebra():
    stated = module("meta_learning")
    U = minimize_scalar(stated.cost, bounds=(0, 10), method="bounded", options={"xatol": 1e-10}).x
    assert 0.0 < U < 10.0
    for method in stated.methods():
        solution = ocdl.solve(stated.problem(), stated.grid(), method)
        assert solution.cost == pytest.approx(stated.cost(U), abs=1e-7)
        assert float(solution["start"]) == pytest.approx(stated.shared_start(U), abs=1e-3)
        assert np.abs(solution["u"].values - U).max() < 1e-3


def test_batches_grow_as_the_closed_form_says():
    stated = module("batch_size")
    assert stated.closed_form() == pytest.approx(0.2811953916, abs=5e-11)
    for method in stated.methods():
        solution = ocdl.solve(stated.problem(), stated.grid(), method)
        assert solution.cost == pytest.approx(stated.closed_form(), abs=1e-6)
        u = solution["b"]
        assert u.values == pytest.approx(np.vectorize(stated.best_batch)(u["t"].values), rel=0.02)


def test_friction_is_found_by_two_routes_and_a_constant_one_comes_to_its_rest():
    stated = module("momentum")
    direct, indirect = (ocdl.solve(stated.problem(), stated.grid(), m, start=stated.start()) for m in stated.methods())
    assert direct.cost == pytest.approx(indirect.cost, abs=1e-8)
    assert np.abs(direct["g"].values - indirect["g"].values).max() < 1e-3
    kept = [ocdl.simulate(stated.problem(), {"g": friction}).cost for friction in (0.5, 1.0, 2.0, 4.0)]
    assert direct.cost < min(kept) - 1e-3
    for friction in (0.3, 1.0, 4.0):
        assert np.abs(stated.rates(*stated.at_rest(friction), friction)).max() < 1e-15
