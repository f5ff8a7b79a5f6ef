"""The general semi-Lagrangian scheme against Riccati, the split scheme and IPOPT; and its contract."""

import numpy as np
import pytest
from families import scalar
from hjb_exact import errors, one_neuron_value, selection
from scipy.integrate import solve_ivp

import ocdl
from ocdl.hjb import ValueIteration
from ocdl.hjb.grids.grid import StateGrid
from ocdl.hjb.schemes.general import Between

DEPTH = ocdl.Radau(layers=20, degree=3)


def regulator(**changes):
    """ẋ = u − x/2, ½ x(T)² + ½ ∫ x² + u²: V = ½ P(t) x² with P' = P + P² − 1, P(1) = 1."""
    given = {
        "dynamics": lambda x, u: u - 0.5 * x,
        "running": lambda x, u: 0.5 * (x**2 + u**2),
        "terminal": lambda x: 0.5 * x**2,
        "initial": [1.0],
        "horizon": 1.0,
    }
    return ocdl.ControlProblem(**(given | changes))


def riccati(t=0.0):
    return solve_ivp(lambda s, P: 1.0 - P - P**2, (0.0, 1.0 - t), [1.0], rtol=1e-11, atol=1e-12).y[0, -1]


def two_samples(neurons):
    initial = np.array([[0.5, 0.1], [-0.3, 0.2]])[:, :neurons]
    target = np.array([[1.5, 0.8], [0.4, -0.6]])[:, :neurons]
    return ocdl.SelectionProblem(
        activation=ocdl.Tanh(), horizon=1.0, initial=initial, target=target, bounds=ocdl.Box(a=(-1, 1), b=(-1, 1))
    )


# -- exact answers ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [{}, {"minimiser": lambda t, x, p: -p[:, 0]}, {"controls": np.linspace(-2, 2, 81)}],
    ids=["search", "closed form", "finite set"],
)
def test_a_linear_regulator_is_riccati(options):
    value = ValueIteration(domain=(-2, 2), nodes=101, steps=16, **options).value_function(regulator())
    f = np.linspace(-1.0, 1.0, 21)
    assert errors(value(f[:, None]), 0.5 * riccati() * f**2)[0] < 2e-4
    assert value.gradient([0.7], 0.5) == pytest.approx(riccati(0.5) * 0.7, abs=2e-3)
    assert value.controls([0.7], 0.5)[0] == pytest.approx(-riccati(0.5) * 0.7, abs=4e-2)


def test_refinement_is_second_order():
    """Controls held over a step of T/N; the interpolation error is kept below by the nodes."""
    f = np.linspace(-1.0, 1.0, 21)
    sup = []
    for steps in (4, 8, 16):
        value = ValueIteration(domain=(-2, 2), nodes=81, steps=steps).value_function(regulator())
        sup.append(errors(value(f[:, None]), 0.5 * riccati() * f**2)[0])
    assert np.log2(sup[0] / sup[-1]) / 2 > 1.7


def test_the_rollout_of_a_regulator_costs_what_riccati_says():
    solution = ocdl.solve(regulator(), DEPTH, ValueIteration(domain=(-2, 2), nodes=101))
    assert solution.cost == pytest.approx(0.5 * riccati(), abs=1e-4)
    assert solution.claim["cost"] == pytest.approx(0.5 * riccati(), abs=1e-4)
    assert float(solution.claim["costate"][0, 0, 0]) == pytest.approx(riccati(), abs=2e-4)
    assert np.abs(solution.claim["costate"].values - solution.costate.values).max() < 1e-2  # of controls held a layer


def test_time_dependence_and_effort():
    """ẋ = t u with E = ½ u²: u = −t p, p = x(T), so x(T) = x0 / (1 + ∫t²) and V = ½ x0² / (1 + 1/3)."""
    problem = regulator(
        dynamics=lambda t, u: t * u, running=None, effort=lambda u: 0.5 * u**2, bounds=ocdl.Box(u=(-4, 4))
    )
    solution = ocdl.solve(problem, DEPTH, ValueIteration(domain=(-2, 2), nodes=61))
    assert solution.claim["cost"] == pytest.approx(0.375, abs=5e-4)
    assert solution.cost == pytest.approx(0.375, abs=5e-4)


def test_it_agrees_with_the_split_scheme_where_both_apply():
    problem = selection(0.5, 2.0)
    value = ValueIteration(scheme="general", nodes=161).value_function(problem)
    f = np.linspace(0.0, 0.5, 11)
    assert errors(value(f[:, None]), one_neuron_value(f, 2.0, np.tanh, (-1, 1), (-1, 1)))[0] < 1e-4
    linear = ValueIteration(scheme="general-linear", nodes=161).value_function(problem)
    assert 0.0 < linear([0.5]) - value([0.5]) < 5e-2


# -- against the direct route ------------------------------------------------------------------------


@pytest.mark.parametrize(("start", "target", "weight"), [(0.5, 3.0, 0.1), (-0.5, 3.0, 0.5)])
def test_tikhonov_agrees_with_ipopt(start, target, weight):
    problem = selection(start, target, regulariser=ocdl.Tikhonov(weight))
    feedback = ocdl.solve(problem, DEPTH, ValueIteration(nodes=81))
    direct = ocdl.solve(problem, DEPTH, ocdl.Ipopt(), start=feedback)
    assert abs(feedback.claim["cost"] - direct.cost) < 1e-4
    assert -1e-7 < feedback.cost - direct.cost < 1e-6


@pytest.mark.parametrize(("neurons", "nodes", "value", "rollout"), [(1, 41, 1e-3, 1e-4), (2, 7, 2e-2, 5e-3)])
def test_two_samples_agree_with_ipopt(neurons, nodes, value, rollout):
    problem, depth = two_samples(neurons).discretise(ocdl.Midpoint(neurons)), ocdl.Radau(layers=10, degree=3)
    feedback = ocdl.solve(problem, depth, ValueIteration(nodes=nodes))
    direct = ocdl.solve(problem, depth, ocdl.Ipopt(), start=feedback)
    assert feedback.claim["costate"].shape == feedback.costate.shape == (11, 2, neurons)
    assert abs(feedback.claim["cost"] - direct.cost) < value
    assert -1e-7 < feedback.cost - direct.cost < rollout
    assert abs(feedback.claim["cost"] - direct.cost) < 3.0 * feedback.claim["value_error"]


# -- its parts -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_interpolation_is_exact_for_quadratics_and_third_order(dimension):
    def sup(n, function):
        grid = StateGrid((np.linspace(-1.0, 1.0, n),) * dimension)
        x = np.random.default_rng(0).uniform(-0.8, 0.8, (300, dimension))
        table = Between(function(grid.states()), grid, 1)
        return np.abs(table(x) - function(x)).max()

    assert sup(9, lambda x: (x.sum(axis=-1) - 0.3) ** 2) < 1e-12
    wave = [sup(n, lambda x: np.sin(x.sum(axis=-1) + 0.5)) for n in (21, 41)]
    assert np.log2(wave[0] / wave[1]) > 2.5


def test_bad_choices_are_named():
    for options, word in [
        ({"controls": np.zeros((3, 2))}, "rows of 1"),
        ({"controls": [5.0]}, "bounds"),
        ({"controls": [0.0], "minimiser": lambda t, x, p: -p[:, 0]}, "one of the two"),
    ]:
        with pytest.raises(ocdl.InvalidInput, match=word):
            ValueIteration(domain=(-2, 2), **options).plan(regulator(bounds=ocdl.Box(u=(-1, 1))))
    with pytest.raises(ocdl.InvalidInput, match="controls of shape"):
        ValueIteration(domain=(-2, 2), minimiser=lambda t, x, p: p).value_function(regulator())


def test_the_plan_states_memory_and_scheme():
    plan = ValueIteration(nodes=11, steps=16, domain=(-2, 2)).plan(two_samples(2).discretise(ocdl.Midpoint(2)))
    assert plan.scheme == "general" and plan.grid.dimension == 4
    assert plan.memory == 8 * 11**4 * (2 + 6 + len(plan.stored))
    with pytest.raises(ocdl.NotSupported, match=r"6 axes needs at least .*memory_limit"):
        ValueIteration(nodes=41).plan(selection(np.zeros(6), 1.0, regulariser=ocdl.Tikhonov(0.1)))


@pytest.mark.parametrize(("scheme", "taken"), [("general", "General"), ("weno", "Upwind")])
def test_an_interrupted_run_resumes_bit_identically(tmp_path, monkeypatch, scheme, taken):
    import ocdl.hjb.value_iteration as module

    problem, path = regulator(bounds=ocdl.Box(u=(-2, 2))), tmp_path / "run.npz"
    method = ValueIteration(domain=(-2, 2), nodes=41, steps=8, scheme=scheme)
    whole = method.value_function(problem)
    marching = getattr(module, taken)
    advance, calls = marching.advance, []

    def stopping(self, value, done):
        calls.append(done)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return advance(self, value, done)

    resumable = ValueIteration(domain=(-2, 2), nodes=41, steps=8, scheme=scheme, checkpoint=path)
    with monkeypatch.context() as patch:
        patch.setattr(marching, "advance", stopping)
        with pytest.raises(KeyboardInterrupt):
            resumable.value_function(problem)
    assert np.array_equal(resumable.value_function(problem).values, whole.values)


@pytest.mark.parametrize("options", [{"nodes": 10**400}, {"steps": 10**18}, {"courant": 1e-300}], ids=repr)
def test_counts_beyond_all_patience_are_refused_before_anything_is_computed(options):
    with pytest.raises(ocdl.InvalidInput, match=next(iter(options)) + "="):
        ocdl.ValueIteration(domain=[(-2, 2)], **options).plan(scalar())
