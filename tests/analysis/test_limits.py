"""Networks converge where Theorems 2.1 and 2.2 say so, at the orders of their grids; where a hypothesis is planted not
to hold, the limit is another one, or none, or weak only.
"""

import numpy as np
import pytest

import ocdl
from ocdl.analysis import thermodynamic_limit
from ocdl.analysis.forward.orders import falling, growth, linear_growth, richardson


def selection(activation=ocdl.Tanh(), horizon=1.0, initial=lambda y: np.sin(3 * y)):  # noqa: B008
    return ocdl.SelectionProblem(activation=activation, horizon=horizon, initial=initial, target=0.0)


def deep(layers, M=4):
    return [ocdl.Grid(ocdl.Midpoint(M), ocdl.ExplicitEuler(N)) for N in layers]


def wide(counts, rule=ocdl.Midpoint, N=3):
    return [ocdl.Grid(rule(M), ocdl.ExplicitEuler(N)) for M in counts]


def failing(limit):
    return [one.statement.split()[0] for finding in limit.findings for one in finding.failing]


def random_controls(seed):
    c = np.random.default_rng(seed).uniform(-2, 2, 6)
    return {
        "a": lambda t, y: c[0] * np.sin(c[1] * y + c[2] * t),
        "b": lambda t, y, z: c[3] * np.cos(c[4] * y - z + c[5] * t),
    }


@pytest.mark.parametrize("seed", range(3))
def test_large_depth(seed):
    activation, controls = (ocdl.Tanh(), ocdl.LeakyReLU(), ocdl.Sigmoid())[seed], random_controls(seed)
    limit = thermodynamic_limit(selection(activation), deep((16, 32, 64, 128)), controls=controls)
    (finding,) = limit.findings
    assert finding.theorem.startswith("Theorem 2.1") and finding.applies and limit.converges
    assert limit.expected == 1.0 and np.all(np.abs(limit.orders - 1.0) < 0.3)
    assert abs(limit.orders[-1] - 1.0) < 0.15
    solved = ocdl.simulate(selection(activation), controls, grid=ocdl.Midpoint(4), tolerance=1e-9)
    moments = np.cos(np.pi * np.arange(4)[:, None] * (np.arange(4) + 0.5) / 4) @ solved.state.values[-1, 0] / 4
    found = limit.extrapolated
    error = np.abs(found["moments"].values[0] - moments)
    assert np.all(error < 0.1 * found["moments_change"].values.max())


@pytest.mark.parametrize(
    ("rule", "strong", "weak"), [(ocdl.Midpoint, 1, 2), (ocdl.Trapezoid, 2, 2), (ocdl.GaussLegendre, 8, 8)]
)
def test_large_width(rule, strong, weak):
    counts = (4, 8, 16) if strong > 2 else (8, 16, 32)
    limit = thermodynamic_limit(selection(), wide(counts, rule), controls=random_controls(1))
    (finding,) = limit.findings
    assert finding.theorem.startswith("Theorem 2.2") and finding.applies and limit.converges
    assert limit.expected >= strong and limit.weak_expected >= weak
    if strong > 2:
        assert min(limit.orders[-1], limit.weak_orders[-1]) > 8.0
    else:
        assert limit.orders[-1] == pytest.approx(strong, abs=0.3)
        assert limit.weak_orders[-1] == pytest.approx(weak, abs=0.3)


def test_both_at_once_at_the_lower_order():
    grids = [ocdl.Grid(ocdl.Trapezoid(N + 1), ocdl.ExplicitEuler(N)) for N in (8, 16, 32, 64)]
    limit = thermodynamic_limit(selection(), grids, controls=random_controls(0))
    assert [finding.applies for finding in limit.findings] == [True, True]
    assert limit.expected == limit.weak_expected == 1.0 and abs(limit.orders[-1] - 1.0) < 0.2


def test_widths_of_more_dimensions():
    problem = ocdl.SelectionProblem(
        activation=ocdl.Tanh(), horizon=1.0, initial=lambda y: y[:, 0] * y[:, 1], target=0.0, domain=((0, 1), (0, 2))
    )
    grids = [ocdl.Grid(ocdl.TensorProduct(*[ocdl.Midpoint(n)] * 2), ocdl.ExplicitEuler(2)) for n in (3, 6, 12)]
    controls = {"a": lambda t, y: np.sin(y[:, 0] - y[:, 1]), "b": lambda t, y, z: y[..., 0] - z[..., 1]}
    limit = thermodynamic_limit(problem, grids, controls=controls)
    assert limit.findings[0].applies and (limit.expected, limit.weak_expected) == (1.0, 2.0)
    assert limit.orders[-1] == pytest.approx(1.0, abs=0.1) and limit.weak_orders[-1] == pytest.approx(2.0, abs=0.3)


def test_jumps_are_allowed():
    """A jump of a, b and f_I at ⅓, never on a grid: order ½ in L² of y, and 1 weakly."""
    controls = {"a": lambda t, y: np.sign(y - 1 / 3), "b": lambda t, y, z: np.where(y > z, 1.0, -1.0)}
    problem = selection(initial=lambda y: np.where(y < 1 / 3, 1.0, 0.0))
    limit = thermodynamic_limit(problem, wide((4, 8, 16, 32, 64)), controls=controls)
    (finding,) = limit.findings
    assert finding.applies and limit.converges and limit.converges_weakly
    assert falling(limit.distance, np.full(4, 2.0)) == pytest.approx(0.5, abs=0.2)
    assert falling(limit.weak_distance, np.full(4, 2.0)) > 0.75


def test_coefficients_that_alternate_from_layer_to_layer_lead_to_another_equation():
    """a_l = 1 ± 1, whose mean is 1: the limit moves at (σ(0) + σ(2))/2, and not at σ(1)."""
    problem = selection(ocdl.Tanh(), 1.0, 0.0)

    def controls(grid):
        return {"a": np.tile(1.0 + (-1.0) ** np.arange(grid.depth.count)[:, None], 4), "b": 0.0}

    limit = thermodynamic_limit(problem, deep((8, 16, 32)), controls=controls)
    assert failing(limit) == ["a_τ"] and limit.converges
    assert limit.extrapolated["moments"][0, 0] == pytest.approx(0.5 * np.tanh(2.0), abs=1e-12)
    assert abs(0.5 * np.tanh(2.0) - np.tanh(1.0)) > 0.2
    constant = thermodynamic_limit(problem, deep((8, 16, 32)), controls={"a": 1.0, "b": 0.0})
    assert constant.findings[0].applies
    assert constant.extrapolated["moments"][0, 0] == pytest.approx(np.tanh(1.0), abs=1e-12)


def test_coefficients_that_alternate_from_grid_to_grid_have_no_limit():
    def controls(grid):
        return {"a": (-1.0) ** np.log2(grid.depth.count), "b": 0.5}

    limit = thermodynamic_limit(selection(), deep((8, 16, 32, 64)), controls=controls)
    assert failing(limit) == ["a_τ"] and not limit.converges and not limit.converges_weakly
    assert limit.distance[-1] > 0.5 and np.isnan(limit.extrapolated["moments"][0, 0])


def test_unbounded_coefficients_keep_what_they_lose_almost_everywhere():
    """a = N in the first layer and 0 elsewhere → 0 almost everywhere, yet z(T) = 1: (A2) does not hold."""

    def controls(grid):
        return {"a": np.repeat(np.eye(grid.depth.count)[:, :1], 4, axis=1) * grid.depth.count, "b": 0.0}

    limit = thermodynamic_limit(selection(ocdl.Identity(), 1.0, 0.0), deep((8, 16, 32)), controls=controls)
    assert {"(A2)", "a_τ"} <= set(failing(limit))
    assert limit.extrapolated["moments"][0, 0] == pytest.approx(1.0, abs=1e-12)


def test_activations_that_grow_faster_have_no_limit():
    """ż = z² from 1 escapes at t = 1."""
    square = ocdl.CustomActivation(lambda s: s * s, increasing=False, bounds=(0.0, np.inf))
    limit = thermodynamic_limit(selection(square, 1.25, 1.0), deep((4, 8, 16, 32), 1), controls={"a": 0.0, "b": -1.0})
    assert failing(limit) == ["(A1)"] and not limit.converges
    assert np.all(np.diff(limit.distance) > 0.0)


def test_coefficients_that_oscillate_in_y_converge_weakly_at_most():
    """a_h = ±2 from cell to cell has the weak limit 0: f_h converges in D' and not in L², and not to the solution for
    a = 0. Convergence almost everywhere excludes that."""
    problem = selection(ocdl.Sigmoid(), 1.0, 0.0)

    def controls(grid):
        return {"a": np.tile(2.0 * (-1.0) ** np.arange(grid.width.size), (3, 1)) + 1.0, "b": 1.0}

    limit = thermodynamic_limit(problem, wide((8, 16, 32, 64)), controls=controls)
    assert failing(limit) == ["a_h"] and limit.converges_weakly and not limit.converges
    assert limit.distance[-1] > max(0.1, 10 * limit.weak_distance[-1])
    mean = thermodynamic_limit(problem, wide((8, 16, 32, 64)), controls={"a": 1.0, "b": 1.0})
    assert mean.converges and mean.findings[0].applies
    assert abs(mean.extrapolated["moments"][0, 0] - limit.extrapolated["moments"][0, 0]) > 0.01


def test_trained_networks_double_their_neurons():
    problem = ocdl.SelectionProblem(
        activation=ocdl.Tanh(),
        horizon=1.0,
        initial=lambda y: np.stack([np.sin(np.pi * y), y**2]),
        target=lambda y: np.stack([np.cos(np.pi * y), 1 - y]),
        regulariser=ocdl.Tikhonov(0.3),
    )
    limit = thermodynamic_limit(problem, wide((6, 12, 24), N=2), ocdl.NewtonCG(), first=ocdl.Train(tolerance=1e-10))
    assert limit.findings[0].applies and limit.converges
    assert limit.orders[-1] == pytest.approx(1.0, abs=0.2) and limit.weak_orders[-1] == pytest.approx(2.0, abs=0.3)
    costs = [solution.cost for solution in limit.solutions]
    assert np.log2((costs[0] - costs[1]) / (costs[1] - costs[2])) == pytest.approx(2.0, abs=0.3)
    assert float(limit.extrapolated["cost_change"]) == pytest.approx(abs(costs[1] - costs[2]) / 3, rel=0.3)


def test_trained_networks_double_their_layers():
    xi = np.linspace(-1, 1, 5)
    readout, penalty = ocdl.Readout(link=ocdl.IdentityLink()), ocdl.Tikhonov(1e-2)
    problem = ocdl.network(
        ocdl.Residual(), xi[:, None], np.sin(2 * xi), channels=2, readout=readout, regulariser=penalty
    )
    grids, start = [ocdl.ExplicitEuler(N) for N in (4, 8, 16, 32)], {"W": [[0.5, 0.5]], "K": 0.5}
    limit = thermodynamic_limit(problem, grids, ocdl.NewtonCG(), first=ocdl.Train(tolerance=1e-10), start=start)
    assert limit.findings[0].applies and limit.expected == 1.0
    assert np.all(np.abs(limit.orders - 1.0) < 0.05)
    assert set(limit.controls_distance) == {"K", "beta"} and limit.extrapolated["moments"].shape == (5, 2)


def test_the_record_is_labelled_and_a_table():
    limit = thermodynamic_limit(selection(), deep((4, 8, 16)), controls={"a": 0.1, "b": lambda t, y, z: t + y - z})
    data = limit.to_dataset()
    assert list(data["layers"].values) == [8, 16] and list(data["neurons"].values) == [4, 4]
    assert np.array_equal(data["distance"], limit.distance) and data["order"][1] == limit.orders[0]
    text = str(limit)
    for said in ("layers", "Theorem 2.1", "(A2)", "says: z^τ converges", f"{limit.orders[0]:.4g}"):
        assert said in text, said


def test_autonomous_coefficients_reach_the_order_of_the_scheme():
    grids = [ocdl.Grid(ocdl.Midpoint(3), ocdl.Kutta4(N)) for N in (2, 4, 8)]
    limit = thermodynamic_limit(selection(), grids, controls={"a": 0.5, "b": lambda y, z: y - 2 * z})
    assert limit.expected == 4.0 and limit.orders[-1] == pytest.approx(4.0, abs=0.3)


@pytest.mark.parametrize(
    ("activation", "grows"), [(lambda s: s, 1.0), (lambda s: s**3, 3.0), (np.tanh, 0.0), (np.exp, np.inf)]
)
def test_linear_growth_is_told_from_faster(activation, grows):
    hypothesis = linear_growth(activation)
    assert hypothesis.measured == pytest.approx(1.0 - grows, abs=1e-9) and hypothesis.holds == (grows <= 1.0)


def test_bounds_that_grow_are_told_from_those_that_are_reached():
    n, factors = 2.0 ** np.arange(2, 7), np.full(4, 2.0)
    assert growth(n**0.25, factors) == pytest.approx(0.25)
    assert growth(2.0 - 1.0 / n, factors) == growth(0.0 * n, factors) == 0.0
    assert growth(np.log(n), factors) > 0.2  # as the logarithm does, too


def test_richardson_and_orders_are_exact_for_powers():
    h = 0.5 ** np.arange(4)
    assert richardson(3.0 + 2.0 * h**1.5, np.full(2, 2.0)) == pytest.approx(3.0, abs=1e-13)
    assert np.isnan(richardson(np.array([0.0, 1.0, 2.5]), np.full(2, 2.0)))
    assert falling(h**1.5, np.full(4, 2.0)) == pytest.approx(1.5) and falling(0 * h, np.full(4, 2.0)) == np.inf


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda p: thermodynamic_limit(p, deep((4, 8)), controls={"a": 0, "b": 0}), "three grids"),
        (lambda p: thermodynamic_limit(p, deep((4, 8, 16)), controls={"a": 0, "b": 0, "c": 0}), r"controls=.*\['c'\]"),
        (lambda p: thermodynamic_limit(p, deep((4, 8, 8)), controls={"a": 0, "b": 0}), "increase"),
        (lambda p: thermodynamic_limit(p, deep((4, 8, 16))), "either controls"),
        (lambda p: thermodynamic_limit(p, deep((4, 8, 16)), controls={"a": 0}), "all of a, b"),
        (
            lambda p: (
                thermodynamic_limit(p, deep((4, 8, 16)), controls={"a": 0, "b": 0}, tests=lambda y: 1.0).weak_orders
            ),
            "tests",
        ),
    ],
)
def test_wrong_refinements_are_told_off(wrong, said):
    with pytest.raises(ocdl.InvalidInput, match=said):
        wrong(selection())


def test_controls_that_vary_in_a_layer_are_refused():
    grids = [ocdl.Grid(ocdl.Midpoint(2), ocdl.Radau(layers=N, degree=2, controls=ocdl.PerStage())) for N in (2, 4, 8)]
    with pytest.raises(ocdl.NotSupported, match="constant in each layer"):
        thermodynamic_limit(selection(), grids, controls={"a": 0.0, "b": 0.0})
