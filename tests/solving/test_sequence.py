"""Grid sequencing: what is carried from grid to grid, where it ends, and what it refuses."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from families import selection

import ocdl
from ocdl.solving.start import make_start

TRAIN, _ = ocdl.donut1d(count=30)
EULER = ocdl.ExplicitEuler(20)
HARD = ocdl.Train(tolerance=1e-8)


@dataclass(frozen=True)
class Watched(ocdl.Method):
    """Another method, whose starts and outcomes are kept."""

    method: ocdl.Method = field(default_factory=lambda: HARD)
    seen: list = field(default_factory=list)
    budgets = True

    def solve(self, problem, depth, start, *, progress=None):
        outcome = self.method.solve(problem, depth, start, progress=progress)
        self.seen.append((problem, depth, start, outcome))
        return outcome

    @property
    def counts(self):
        return [depth.count for _, depth, *_ in self.seen]


def net(architecture=None, **more):
    regular = {"regulariser": ocdl.Tikhonov(1e-2)}
    return ocdl.network(architecture or ocdl.Residual(), TRAIN.inputs, TRAIN.labels, **regular | more)


NETWORKS = {
    "residual": net(),
    "simplex": net(ocdl.ODENet(steps="simplex"), horizon=2.0),
    "non-negative": net(ocdl.ODENet(steps="non-negative")),
    "tied": net(tied=True),
    "augmented": net(channels=3),
    "box": net(bounds=ocdl.Box(K=(-1, 1))),
    "Hamiltonian": net(ocdl.Hamiltonian()),
}


@pytest.mark.parametrize("problem", NETWORKS.values(), ids=NETWORKS)
def test_every_grid_begins_where_the_one_before_ended_as_a_function_of_depth(problem):
    method = Watched()
    last = ocdl.sequence(problem, EULER, method, seed=1, certificate="first order")
    assert method.counts == [5, 10, 20] and last.state.sizes["t"] == 21
    for (*_, before), (statement, depth, start, _) in zip(method.seen, method.seen[1:], strict=False):
        repeated = np.repeat(before.u, 2, axis=0)
        np.testing.assert_allclose(start.u, repeated, atol=1e-12)  # α of a simplex keeps its integral to rounding
        np.testing.assert_array_equal(start.p, before.p)
        for budget, j in zip(statement.budgets, statement.budgeted, strict=True):
            spent = np.diff(depth.mesh(statement.span)) @ start.u[:, j]
            assert spent == pytest.approx(budget.total, abs=1e-12)


def test_constant_layers_are_repeated_because_interpolation_starts_higher():
    """On the coarse minimiser's own branch: interpolating between the middles of its layers smooths what it does."""
    problem = net(regulariser=ocdl.Tikhonov(1e-3))
    coarse = ocdl.solve(problem, ocdl.ExplicitEuler(5), HARD, seed=2)
    fine, middles = ocdl.ExplicitEuler(10), np.linspace(0.05, 0.95, 10)
    costs = []
    for u in (None, {name: _between(coarse.controls[name], middles) for name in ("K", "beta")}):
        start = coarse if u is None else {**u, **{name: coarse.parameters[name].values for name in ("W", "mu")}}
        begun = make_start(problem, fine, start, None)
        costs.append(ocdl.certify(problem, fine, begun.u, begun.p).cost)
    assert costs[0] < costs[1]


def _between(control, at):
    """A control linear between the middles of its layers."""
    values = control.values.reshape(5, -1)
    columns = [np.interp(at, np.linspace(0.1, 0.9, 5), column) for column in values.T]
    return np.stack(columns, axis=1).reshape(at.size, *control.shape[1:])


def test_width_and_depth_are_doubled_together_with_many_samples():
    many = selection(
        initial=lambda y: np.stack([np.sin(np.pi * y), np.cos(np.pi * y), y]),
        target=lambda y: np.stack([y, 1 - y, 0 * y]),
        regulariser=ocdl.Tikhonov(1e-1),
        bounds=ocdl.Box(),
    )
    method = Watched()
    grid = ocdl.Grid(ocdl.Midpoint(8), EULER)
    last = ocdl.sequence(many, grid, method)
    assert [(problem.n, depth.count) for problem, depth, *_ in method.seen] == [(2, 5), (4, 10), (8, 20)]
    (fine, depth, start, _), alone = method.seen[-1], ocdl.solve(many, grid, HARD)
    assert last.cost == pytest.approx(alone.cost, rel=1e-6)
    begun, nothing = (ocdl.certify(fine, depth, u, start.p).cost - last.cost for u in (start.u, 0.0 * start.u))
    assert 0.0 < begun < 0.05 * nothing


def test_a_sequence_of_grids_ends_where_the_finest_alone_does():
    grids = [ocdl.Grid(ocdl.Midpoint(M), ocdl.Radau(N, 2)) for M, N in ((2, 5), (4, 10), (8, 20))]
    last = ocdl.sequence(selection(), grids, ocdl.Ipopt())
    assert last.cost == pytest.approx(ocdl.solve(selection(), grids[-1], ocdl.Ipopt()).cost, rel=1e-7)
    assert np.isfinite(last.gap)


@pytest.mark.parametrize(
    ("depth", "counts"),
    [
        (ocdl.ExplicitEuler(25), [6, 12, 25]),
        (ocdl.ExplicitEuler(9), [9]),
        (ocdl.ExplicitEuler([0.1] * 4 + [0.05] * 12), [8, 16]),
    ],
)
def test_layers_are_halved_as_long_as_enough_are_left(depth, counts):
    method = Watched(ocdl.LBFGS(max_iterations=3))
    with pytest.raises(ocdl.SolveFailed) as caught:  # of the last grid alone
        ocdl.sequence(net(), depth, method, seed=1)
    assert method.counts == counts and caught.value.solution.state.sizes["t"] == depth.count + 1
    for _, coarse, *_ in method.seen:
        assert np.isin(coarse.mesh(1.0).round(12), depth.mesh(1.0).round(12)).all() or depth.count == 25


def test_another_method_on_the_coarse_grids():
    coarse, fine = Watched(ocdl.LBFGS(tolerance=1e-3)), Watched(ocdl.NewtonCG())
    last = ocdl.sequence(net(), EULER, fine, coarse=coarse, coarsest=10, seed=1)
    assert coarse.counts == [10] and fine.counts == [20]
    assert last.method == "Watched" and float(last.history["gradient"][-1]) <= 1e-11


def test_what_is_no_sequence_is_refused_in_words():
    with pytest.raises(ocdl.InvalidInput, match="at least one grid"):
        ocdl.sequence(selection(), [], ocdl.Ipopt())
    for coarsest in (0, 2.5, "few"):
        with pytest.raises(ocdl.InvalidInput, match="coarsest="):
            ocdl.sequence(net(), EULER, HARD, coarsest=coarsest)
    plain = net(ocdl.Plain(), horizon=20)
    with pytest.raises(ocdl.NotSupported, match="another one"):
        ocdl.sequence(plain, EULER, HARD)
    assert ocdl.sequence(plain, EULER, ocdl.LBFGS(tolerance=1e-4), coarsest=20, seed=1).discrete
