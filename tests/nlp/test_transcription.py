"""The assembled NLP: derivatives equal CasADi's own, multipliers are costates, for every scheme found."""

import casadi as ca
import numpy as np
import pytest

import ocdl
from ocdl.nlp.transcription import Transcription
from ocdl.solving.method import Start


def schemes():
    """Every concrete depth scheme, collocation at several degrees."""

    def concrete(kind):
        for sub in kind.__subclasses__():
            yield from concrete(sub)
            yield sub

    for kind in concrete(ocdl.DepthScheme):
        if "degree" in getattr(kind, "__dataclass_fields__", {}):
            if "tableau" in vars(kind):
                yield from (kind([0.3, 0.5, 0.2], degree) for degree in (1, 2, 3))
        else:
            yield kind([0.3, 0.5, 0.2])


def general_problem():
    """Time, data, parameters, lift, running cost, effort, penalty and three weighted samples at once."""
    return ocdl.ControlProblem(
        dynamics=lambda t, x, z, d: [np.tanh(z[0]) + d * t, z[1] * x[0] - 0.1 * x[1] ** 3],
        lift=lambda x, u, p: [u[0] - u[1] * x[1] + p[0], u[1] + x[0] * p[1]],
        initial=[[0.2, -0.4], [1.0, 0.3], [-0.7, 0.1]],
        horizon=1.0,
        terminal=lambda x, p, d: (x[0] - d) ** 2 + p[0] * x[1],
        running=lambda t, x, u: x[0] ** 2 * u[0] + t * x[1],
        effort=lambda t, u, p: (1 + t) * u[0] ** 2 + u[1] ** 2 * p[1] ** 2,
        penalty=lambda p: p[0] ** 4 + p[1] ** 2,
        controls=2,
        parameters=2,
        data=[[0.1], [0.2], [-0.3]],
        weights=[1.0, 2.0, 3.0],
    )


SCHEMES = list(schemes())


def test_the_family_is_found():
    assert {type(s).__name__ for s in SCHEMES} >= {"ExplicitEuler", "Kutta4", "ImplicitMidpoint", "Gauss", "Radau"}


@pytest.mark.parametrize("depth", SCHEMES, ids=repr)
def test_assembled_derivatives_equal_casadis_own(depth):
    transcription = Transcription(general_problem(), depth)
    program, values = transcription.program, transcription.parameters
    w, lam = ca.MX.sym("w", program.variables), ca.MX.sym("lam", program.constraints)
    weight = ca.MX.sym("weight")
    f, g = program.objective(w, values)
    hessian = ca.triu(ca.hessian(weight * f + ca.dot(lam, g), w)[0])
    own = ca.Function("own", [w, weight, lam], [ca.gradient(f, w), ca.jacobian(g, w), hessian])
    generator = np.random.default_rng(0)
    at, multipliers = generator.normal(size=program.variables), generator.normal(size=program.constraints)
    expected = [part.full() for part in own(at, 0.7, multipliers)]
    got = [
        program.grad_f(at, values)[1].full(),
        program.jac_g(at, values)[1].full(),
        program.hess_lag(at, values, 0.7, multipliers).full(),
    ]
    for ours, casadis in zip(got, expected, strict=True):
        assert np.max(np.abs(ours - casadis)) <= 1e-13 * max(1.0, np.max(np.abs(casadis)))


@pytest.mark.parametrize("depth", SCHEMES, ids=repr)
def test_the_guess_satisfies_the_constraints_and_the_cost_is_the_referees(depth):
    problem = general_problem()
    transcription = Transcription(problem, depth)
    generator = np.random.default_rng(1)
    start = Start(generator.normal(size=(3, 2)), generator.normal(size=2))
    f, g = transcription.program.objective(transcription.guess(start), transcription.parameters)
    assert np.max(np.abs(g.full())) < 1e-12
    assert float(f) == pytest.approx(ocdl.certify(problem, depth, start.u, start.p).cost, abs=1e-12)


@pytest.mark.parametrize("depth", SCHEMES, ids=repr)
def test_multipliers_are_the_costates_of_the_sweep(depth):
    problem = ocdl.SelectionProblem(
        activation=ocdl.Tanh(),
        horizon=1.0,
        initial=np.array([[0.3, -0.2, 0.5], [0.1, 0.4, -0.6]]),
        target=np.array([[1.0, 0.2, -1.0], [0.5, -0.5, 0.3]]),
        bounds=ocdl.Box(a=(-1, 1), b=(-2, 2)),
        regulariser=ocdl.Tikhonov(1e-2),
        weights=[1.0, 3.0],
    )
    solution = ocdl.solve(problem, ocdl.Grid(ocdl.GaussLegendre(3), depth), ocdl.Ipopt(tolerance=1e-11))
    scale = float(abs(solution.costate).max())
    assert scale > 1e-3
    claimed, swept = solution.claim["costate"], solution.costate
    assert float(abs(claimed - swept).max()) < 1e-7 * scale
    assert ("stage_costate" in solution.claim) is not depth.condensed
    if not depth.condensed:
        stages = solution.claim["stage_costate"].rename(layer="t") - solution.tree["stages/stage_costate"]
        assert float(abs(stages).max()) < 1e-7 * scale
    assert solution.claim["cost"] == pytest.approx(solution.cost, abs=1e-9)
