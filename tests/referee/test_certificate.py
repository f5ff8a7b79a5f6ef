"""The certificate: what controls cost in continuous depth, against closed forms; super-optimal answers are named."""

import sys
from dataclasses import replace

import netCDF4
import numpy as np
import pytest
from families import module, scalar, selection
from scipy.integrate import solve_ivp

import ocdl
from ocdl.doors.report import certificate_lines, solution_summary, solution_text
from ocdl.referee import certificate, reintegration
from ocdl.referee.judgement import judged

# f' = tanh(1 + |f|) is the fastest rise: sinh(1 + |f|) grows like e^t above f = 0 and falls like e^−t below
RISEN = np.arcsinh(np.e * np.sinh(1.5)) - 1.0
SWITCH = np.log(np.sinh(1.5) / np.sinh(1.0))
CROSSED = np.arcsinh(np.exp(1.0 - SWITCH) * np.sinh(1.0)) - 1.0
OPTIMUM = 0.5 * (3.0 - CROSSED) ** 2
PER_STAGE = ocdl.PerStage()


def one_neuron(initial):
    return module("one_neuron").problem(initial=initial)


def solved(initial, depth, **options):
    return ocdl.solve(one_neuron(initial), ocdl.Grid(ocdl.Midpoint(1), depth), ocdl.Ipopt(**options))


def fixed(problem, scheme, u, p=(), seconds=0.5):
    outcome = ocdl.Outcome(u=np.asarray(u), p=np.asarray(p, dtype=float), status=ocdl.Status.CONVERGED)
    return judged(problem, scheme, outcome, method="Fixed", seconds=seconds)


def test_the_references_are_the_published_figures():
    assert pytest.approx(1.1914876058, abs=5e-11) == 0.5 * (3.0 - RISEN) ** 2
    assert pytest.approx(3.5580513517, abs=5e-11) == OPTIMUM and pytest.approx(0.594344277, abs=1e-9) == SWITCH


def test_without_a_switch_cost_and_costates_are_exact():
    solution = solved(0.5, ocdl.Radau(50, 3))
    found = solution.certificate
    for cost in (solution.cost, found.cost):
        assert cost == pytest.approx(0.5 * (3.0 - RISEN) ** 2, abs=1e-9)
    risen = np.arcsinh(np.exp(solution.state["t"].values) * np.sinh(1.5))  # 1 + f
    costate = (RISEN - 3.0) * np.tanh(risen[-1]) / np.tanh(risen)  # ∂f(T)/∂f(t) is the ratio of the speeds
    np.testing.assert_allclose(solution.costate.values[:, 0, 0], costate, atol=1e-8)
    assert not found.super_optimal and found.error < 1e-12 and abs(found.excess) < 1e-11 and found.end_error < 1e-11
    assert found.agreement == 1.0 and found.hamiltonian_spread < 1e-8 and found.control_violation == 0.0
    assert found.relative_gap == solution.gap / solution.cost


@pytest.mark.parametrize("scheme", [ocdl.Radau(20, 3, controls=PER_STAGE), ocdl.Gauss(50, 3, controls=PER_STAGE)])
def test_a_switch_inside_a_layer_is_exploited_by_per_stage_controls_and_named(scheme):
    solution = solved(-0.5, scheme)
    found = solution.certificate
    assert solution.cost < OPTIMUM - 1e-6  # below what any controls can do
    assert found.super_optimal and found.excess < -1e-5 < -found.error
    assert found.cost > OPTIMUM + found.error
    assert found.control_violation > 0.1 and abs(found.control_depth - SWITCH) < 0.05
    for said in ("Super-optimal", "exploits its quadrature", "PiecewiseConstant", "polish"):
        assert said in solution_text(solution)
    assert "super-optimal by" in repr(solution)


@pytest.mark.parametrize("shape", [ocdl.PiecewiseConstant(), ocdl.PiecewiseLinear()])
def test_feasible_controls_lie_above_the_optimum_and_the_gap_says_by_how_much(shape):
    solution = solved(-0.5, ocdl.Radau(50, 3, controls=shape))
    above = solution.cost - OPTIMUM
    assert 0.0 < above < 2.0 * solution.gap < 2e-4  # the gap is of first order: twice it bounds the excess
    assert not solution.certificate.super_optimal and not solution.certificate.warning
    assert abs(solution.certificate.excess) < 1e-9


def test_a_node_at_the_switch_gives_the_optimum():
    widths = [SWITCH / 6] * 6 + [(1 - SWITCH) / 4] * 4
    solution = solved(-0.5, ocdl.Radau(widths, 5))
    assert solution.cost == pytest.approx(OPTIMUM, abs=1e-9)
    b = solution.b.values[:, 0, 0]
    assert np.all(b[:6] > 0.999) and np.all(b[6:] < -0.999)


def references(controls, scheme, u):
    """ẋ = x sin(3t) + u, J = x(T)² + ∫ u² + x, layer by layer by scipy; u clipped to [−1, 1]."""
    mesh, c = scheme.mesh(1.0), scheme.tableau.c
    state = np.array([0.5, 0.0])
    for k in range(scheme.count):
        h = mesh[k + 1] - mesh[k]

        def at(t, k=k, h=h):
            weights = controls.weights(np.array([(t - mesh[k]) / h]), c)[0]
            return np.clip(weights @ u[controls.columns(scheme.count, c.size)[k], 0], -1, 1)

        def rate(t, y, at=at):
            return [y[0] * np.sin(3 * t) + at(t), at(t) ** 2 + y[0]]

        options = {"rtol": 1e-9, "atol": 1e-10, "max_step": h / 60}
        state = solve_ivp(rate, (mesh[k], mesh[k + 1]), state, **options).y[:, -1]
    return state[0] ** 2 + state[1]


@pytest.mark.parametrize("shape", [ocdl.PiecewiseConstant(), ocdl.PiecewiseLinear(), ocdl.PerStage()])
@pytest.mark.parametrize("scheme", [ocdl.Kutta3(2), ocdl.Radau((0.3, 0.7), degree=3)])
def test_every_shape_is_integrated_as_the_function_of_depth_it_is(scheme, shape):
    problem = scalar(
        dynamics=lambda t, x, u: x[0] * np.sin(3 * t) + u, running=lambda x: x[0], effort=lambda u: u[0] ** 2
    )
    scheme = replace(scheme, controls=shape)
    u = np.random.default_rng(5).uniform(-1, 1, (scheme.control_rows, 1))
    found = (solution := fixed(problem, scheme, u)).certificate
    assert found.cost == pytest.approx(references(shape, scheme, u), abs=1e-6)
    assert found.error < 1e-6 and found.excess == pytest.approx(solution.cost - found.cost)
    assert found.hamiltonian_note == "not constant: the problem depends on depth"
    assert np.isnan(found.hamiltonian_spread)


def test_a_stiff_problem_falls_back_to_collocation():
    """ẋ = −4000 (x − u): explicit steps of h/4 = 1/16 explode; x follows u."""
    problem = scalar(dynamics=lambda x, u: -4000.0 * (x[0] - u), initial=[0.3])
    found = fixed(problem, ocdl.Radau(4, 3), np.full((4, 1), 0.3)).certificate
    assert found.cost == pytest.approx(0.09, rel=1e-10) and found.error < 1e-10 and not found.skipped


def test_the_hamiltonian_of_a_free_horizon_is_what_the_terminal_cost_prescribes():
    least_time = ocdl.ControlProblem(
        dynamics=lambda x, u: [x[1], u],
        initial=[0, 0],
        final=[1, 0],
        terminal=lambda t: 3 * t,
        horizon=ocdl.Free(0.5, 5.0),
        bounds=ocdl.Box(u=(-1, 1)),
    )
    solution = ocdl.solve(least_time, ocdl.Radau(10, 3), ocdl.Ipopt())
    found = solution.certificate
    assert float(solution.hamiltonian.mean()) == pytest.approx(-3.0, abs=1e-7)
    assert abs(found.hamiltonian_offset) < 1e-7 and found.hamiltonian_spread < 1e-6 and found.hamiltonian_note == ""
    bounded = ocdl.solve(replace(least_time, horizon=ocdl.Free(2.5, 5.0)), ocdl.Radau(10, 3), ocdl.Ipopt()).certificate
    assert "bound" in bounded.hamiltonian_note and np.isnan(bounded.hamiltonian_offset)


def test_only_a_formula_that_uses_t_depends_on_depth():
    assert not certificate.depends_on_depth(scalar(dynamics=lambda t, x, u: u - x + 0 * t))
    assert certificate.depends_on_depth(scalar(effort=lambda t, u: t * u[0] ** 2))
    assert certificate.depends_on_depth(scalar(bounds=ocdl.Box(u=(lambda t: -1 - t, 1))))


def test_agreement_is_the_share_of_depth_and_controls_at_the_right_bound():
    """The costates are negative and f > 0: a = 1, b = −1 is right; each weighs half the measure of the controls."""
    problem = selection(initial=0.5, target=4.0).discretise(ocdl.Midpoint(2))
    scheme = ocdl.Kutta4([0.25, 0.75])

    def share(first, second):
        rows = [[a, a, b, b, b, b] for a, b in (first, second)]
        return fixed(problem, scheme, rows).certificate.agreement

    assert share((1.0, -1.0), (1.0, -1.0)) == 1.0
    assert share((-1.0, -1.0), (1.0, -1.0)) == pytest.approx(1 - 0.25 / 2)
    assert share((1.0, -1.0), (0.0, 0.0)) == pytest.approx(0.25)


def test_an_interior_point_answer_agrees_however_far_it_stops_from_the_bounds():
    loose = solved(-0.5, ocdl.Radau(20, 3), tolerance=1e-5)
    distance = np.max(1.0 - np.abs(loose.b.values[np.abs(loose.costate.values[:-1, 0, 0]) > 1.0]))
    assert distance > 1e-5  # it would not count as being at its bound
    assert loose.certificate.agreement > 0.94


def test_state_bounds_are_checked_between_the_nodes():
    problem = ocdl.ControlProblem(
        dynamics=lambda x, u: [x[1], u],
        initial=[0, 1],
        final=[0, -1],
        horizon=1.0,
        running=lambda u: u**2 / 2,
        bounds=ocdl.Box(x=([-np.inf, -np.inf], [0.1, np.inf])),
    )
    solution = ocdl.solve(problem, ocdl.MultipleShooting(3), ocdl.Ipopt())
    found = solution.certificate
    assert solution.feasibility < 1e-8 and found.constraint.startswith("state")
    assert found.constraint_violation > 1e-3 and 0.0 < found.constraint_depth < 1.0
    # between two nodes the state is a parabola of its controls
    k = int(found.constraint_depth * 3)
    x, v = solution.state.values[k, 0]
    s = np.linspace(0, 1 / 3, 2001)
    peak = np.max(x + v * s + 0.5 * float(solution.u[k, 0]) * s**2)
    assert found.constraint_violation == pytest.approx(peak - 0.1, rel=0.1)
    assert any("between nodes state" in line for line in certificate_lines(found))


def test_it_is_saved_and_loaded_and_old_files_have_none(tmp_path):
    solution = fixed(scalar(), ocdl.Kutta4(2), np.zeros((2, 1)))
    solution.save(tmp_path / "run.nc")
    again = ocdl.load(tmp_path / "run.nc")
    assert again.certificate.attributes().keys() == solution.certificate.attributes().keys()
    np.testing.assert_equal(vars(again.certificate), vars(solution.certificate))
    assert type(again.certificate.super_optimal) is bool and type(again.certificate.cost) is float
    assert solution_text(again) == solution_text(solution)
    assert solution_summary(solution)["certificate"]["cost"] == solution.certificate.cost
    with netCDF4.Dataset(tmp_path / "run.nc", "a") as file:
        for name in file.ncattrs():
            if name.startswith(certificate.PREFIX):
                file.delncattr(name)
    old = ocdl.load(tmp_path / "run.nc")
    assert old.certificate is None and "re-integrated" not in solution_text(old) + repr(old)


def test_what_would_outlast_the_solve_is_skipped_and_says_so(monkeypatch):
    monkeypatch.setattr(certificate, "PATIENCE", 0.0)
    skipped = fixed(scalar(), ocdl.Kutta4(2), np.zeros((2, 1)), seconds=0.0)
    assert "longer than the solve took" in skipped.certificate.skipped and np.isnan(skipped.certificate.cost)
    assert np.isfinite(skipped.certificate.relative_gap) and "longer than the solve" in solution_text(skipped)
    assert not fixed(scalar(), ocdl.Kutta4(2), np.zeros((2, 1)), seconds=1.0).certificate.skipped


def test_wide_problems_are_re_integrated_without_jacobians():
    problem = selection().discretise(ocdl.Midpoint(12))
    u = np.random.default_rng(1).uniform(-1, 1, (5, problem.m))
    wide, fine = (
        fixed(problem, ocdl.Kutta4(5), u).certificate,
        fixed(problem, ocdl.Kutta4(80), np.repeat(u, 16, axis=0)),
    )
    assert matrix_free_is_used(problem) and wide.cost == pytest.approx(fine.cost, rel=1e-7) and wide.error < 1e-8


def matrix_free_is_used(problem):
    return sys.modules["ocdl.sweeps.matrix_free"].suits(problem, reintegration.dormand_prince())


@pytest.mark.parametrize("shape", [ocdl.PiecewiseConstant(), ocdl.PiecewiseLinear(), ocdl.PerStage()])
def test_halved_layers_have_the_same_controls(shape):
    """Gauss of three stages integrates the square of a polynomial of degree 2 without error, halved or not."""
    scheme = ocdl.Gauss((0.2, 0.5), degree=3, controls=shape)
    problem = scalar(dynamics=lambda x, u: u, running=lambda t, u: u**2 * (1 + t), horizon=0.7)
    u = np.random.default_rng(2).uniform(-0.3, 0.3, (scheme.control_rows, 1))
    whole = ocdl.certify(problem, scheme, u, np.zeros(0)).cost
    assert reintegration.halved_cost(problem, scheme, u, np.zeros(0)) == pytest.approx(whole, abs=1e-13)
    steeper = replace(problem, running=lambda t, u: u**2 * t**6)  # of degree 6 and more, which the halves see better
    coarse, fine = (
        ocdl.certify(steeper, scheme, u, np.zeros(0)).cost,
        reintegration.halved_cost(steeper, scheme, u, np.zeros(0)),
    )
    assert 1e-12 < abs(coarse - fine) < 1e-3


def test_halved_layers_of_a_scheme_with_two_stages_at_one_depth():
    """∫ u² of a linear u, which Simpson's rule, the quadrature of Kutta4, has without error."""
    problem = scalar(dynamics=lambda x, u: u, running=lambda u: u**2)
    scheme = ocdl.Kutta4((0.3, 0.7), controls=ocdl.PiecewiseLinear())
    ramp = np.array([[0.0], [0.3], [1.0]])
    assert reintegration.halved_cost(problem, scheme, ramp, np.zeros(0)) == pytest.approx(
        ocdl.certify(problem, scheme, ramp, np.zeros(0)).cost, abs=1e-14
    )


def test_a_comparison_of_per_stage_controls_warns_of_its_best():
    grid = ocdl.Grid(ocdl.Midpoint(1), ocdl.Radau(10, 3, controls=ocdl.PerStage()))
    comparison = ocdl.compare(one_neuron(-0.5), grid, [ocdl.Ipopt()])
    assert any("Super-optimal" in sentence for sentence in comparison.findings())
    assert comparison.depth_error > 0.0
