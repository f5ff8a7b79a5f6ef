"""First-order certificates: the same figures but the gap, no search, no success that the gradient contradicts."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from families import rich, scalar

import ocdl
from ocdl.comparison.agreement import tolerance, verdict
from ocdl.doors.report import solution_summary, solution_text

DEPTH = ocdl.Kutta4(4)
OPTIONS = {"certificate": "first order"}


@dataclass(frozen=True)
class Says(ocdl.Method):
    """Hands back what it was told, with a claim."""

    u: object
    p: object
    status: ocdl.Status = ocdl.Status.CONVERGED
    more: dict = field(default_factory=dict)

    def solve(self, problem, depth, start, *, progress=None):
        return ocdl.Outcome(self.u, self.p, self.status, **self.more)


@pytest.fixture(scope="module")
def both():
    """One answer by either certificate."""
    plan = ocdl.compile(rich(3), DEPTH, ocdl.LBFGSB())
    return plan.solve(seed=1), plan.solve(seed=1, **OPTIONS)


def test_only_the_gap_is_not_known(both):
    full, quick = both
    assert quick.search == "first order" and np.isnan(quick.gap) and not quick.gap_is_exact
    assert (quick.cost, quick.feasibility, quick.status) == (full.cost, full.feasibility, ocdl.Status.CONVERGED)
    assert quick.stationarity == full.stationarity < 1e-3 and np.isfinite(full.gap)
    for name, gradient in full.gradient.items():
        np.testing.assert_array_equal(quick.gradient[name], gradient)
    assert np.isnan(quick.certificate.cost) and "first-order" in quick.certificate.skipped


def test_every_consumer_copes(both, tmp_path):
    full, quick = both
    quick.save(tmp_path / "quick.nc")
    kept = ocdl.load(tmp_path / "quick.nc")
    for solution in (quick, kept):
        said = f"projected gradient {quick.stationarity:.1e} (first order)"
        assert said in str(solution.summary()) and "(first order)" in repr(solution)
        assert "not sought: a first-order certificate" in solution_text(solution)
        assert solution_summary(solution)["gap"] is None and "nan" not in solution_text(solution)
    assert verdict(quick, full) == verdict(full, quick) == "agrees" and np.isfinite(tolerance(quick, full))
    quick.plot()


@pytest.mark.parametrize("share", [0.0, 1e-9, 1e-3, 1e-2, 0.1, 1.0])
def test_no_success_is_left_where_the_gradient_is_large(both, share):
    u, p = both[0].answer.u, both[0].answer.p
    away = u + share * np.random.default_rng(3).standard_normal(u.shape)
    found = ocdl.solve(rich(3), DEPTH, Says(away, p), on_failure="return", **OPTIONS)
    gain = found.certificate.gain
    if found.status is ocdl.Status.CONVERGED:
        assert share < 1e-2 and gain < 1e-4 * (1.0 + abs(found.cost))
    else:
        assert share > 1e-9 and "projected gradient" in found.detail
    assert (found.status is ocdl.Status.REFUTED) == (share >= 0.1)


def test_a_failure_or_a_stall_is_never_made_more_of(both):
    u, p = both[0].answer.u, both[0].answer.p
    for status in (ocdl.Status.STALLED, ocdl.Status.ITERATION_LIMIT, ocdl.Status.ACCEPTABLE):
        found = ocdl.solve(rich(3), DEPTH, Says(u, p, status), on_failure="return", **OPTIONS)
        assert found.status is status


def test_states_that_miss_the_equation_are_refuted_as_ever(both):
    u, p, x = both[0].answer.u, both[0].answer.p, both[0].answer.x.copy()
    x[2] += 1e-3
    told = ocdl.solve(rich(3), DEPTH, Says(u, p, more={"x": x}), on_failure="return", **OPTIONS)
    assert told.status is ocdl.Status.REFUTED and "state equation" in told.detail


def test_nothing_is_labelled_searched_or_integrated_anew(monkeypatch):
    for place in ("certify.stage_excess", "certificate.reintegrated", "labels._nodes", "labels._layers"):
        monkeypatch.setattr(f"ocdl.referee.{place}", lambda *args, **how: pytest.fail("not asked for"))
    found = ocdl.solve(rich(3), DEPTH, ocdl.LBFGSB(max_iterations=2), start={}, on_failure="return", **OPTIONS)
    assert found.search == "first order" and np.isfinite(found.stationarity)


def test_what_is_no_certificate_is_refused():
    with pytest.raises(ocdl.InvalidInput, match="'maximum principle' or 'first order'"):
        ocdl.solve(scalar(), DEPTH, ocdl.LBFGSB(), certificate="quick")
    phases = ocdl.Phases({"one": scalar(), "two": scalar(initial=[ocdl.Free()])})
    with pytest.raises(ocdl.NotSupported, match="phases"):
        ocdl.solve(phases, DEPTH, ocdl.Ipopt(), **OPTIONS)
