"""Standard errors and intervals against scipy's curve_fit on models in closed form, and published estimates."""

import numpy as np
import pytest
import scipy

import ocdl

TIMES = np.linspace(0.2, 3.0, 9)
NOISE = np.random.default_rng(3).normal(0.0, 0.03, TIMES.size)
GRID = ocdl.Radau(layers=20, degree=4)


def decay(**changed):
    """y' = −k y with y(0) free, to be fitted to noisy data of 2 e^{−0.8 t}."""
    data = 2.0 * np.exp(-0.8 * TIMES) + NOISE
    stated = {
        "states": ["y"],
        "controls": 0,
        "parameters": ["k"],
        "dynamics": lambda x, p: -p * x,
        "initial": [ocdl.Free(0.0, 10.0, guess=1.0)],
        "horizon": 3.0,
        "bounds": ocdl.Box(p=(0, 5)),
        "measurements": ocdl.Measurements(times=TIMES, values=data, deviation=0.02 + 0.01 * TIMES[:, None]),
    }
    return ocdl.ControlProblem(**{**stated, **changed})


@pytest.mark.parametrize("absolute", [False, True])
def test_estimates_and_errors_are_those_of_curve_fit(absolute):
    problem = decay()
    grid = ocdl.through(GRID, problem)
    found = ocdl.confidence(problem, grid, ocdl.solve(problem, grid, ocdl.Ipopt()), absolute=absolute)
    best, covariance = scipy.optimize.curve_fit(
        lambda t, k, y0: y0 * np.exp(-k * t),
        TIMES,
        problem.measurements.values[0, :, 0],
        p0=[1.0, 1.0],
        sigma=problem.measurements.deviation[0, :, 0],
        absolute_sigma=absolute,
        xtol=1e-12,
        ftol=1e-12,
        gtol=1e-12,
    )
    errors = np.sqrt(np.diag(covariance))
    assert found.names == ("k", "y(0)") and found.freedom == 7
    assert found.estimates == pytest.approx(best, rel=1e-6)
    assert found.covariance == pytest.approx(covariance, rel=1e-5)
    assert found.correlation[0, 1] == pytest.approx(covariance[0, 1] / np.prod(errors), rel=1e-6)
    quantile = 1.959963985 if absolute else 2.364624252
    assert np.diff(found.intervals)[:, 0] == pytest.approx(2 * quantile * errors, rel=1e-5)


def test_several_experiments_with_data_of_their_own_are_fitted_together():
    """y' = −k y + d: two starts, two inputs; a missing value has no say."""
    times, inputs, starts = TIMES, np.array([0.0, 0.5]), np.array([2.0, 0.1])

    def model(k):
        return (starts - inputs / k) * np.exp(-k * times[:, None]) + inputs / k

    values = (model(0.8) + np.stack([NOISE, NOISE[::-1]], axis=1)).T[:, :, None]
    values[1, 3] = np.nan
    problem = decay(
        dynamics=lambda x, p, d: -p * x + d,
        initial=starts[:, None],
        data=inputs[:, None],
        measurements=ocdl.Measurements(times=times, values=values),
    )
    grid = ocdl.through(GRID, problem)
    found = ocdl.confidence(problem, grid, ocdl.solve(problem, grid, ocdl.Ipopt()))
    kept = np.isfinite(values[..., 0].T)
    best, covariance = scipy.optimize.curve_fit(
        lambda _, k: model(k)[kept], np.zeros(kept.sum()), values[..., 0].T[kept], p0=[1.0], xtol=1e-12, ftol=1e-12
    )
    assert found.freedom == 16
    assert found.estimates == pytest.approx(best, rel=1e-6)
    assert found.standard_errors == pytest.approx(np.sqrt(np.diag(covariance)), rel=1e-6)


def test_parameters_that_the_data_do_not_determine_have_infinite_errors_and_held_ones_none():
    problem = decay(
        parameters=["k", "l", "held", "idle"],
        dynamics=lambda x, p: -(p[0] + p[1]) * x,
        bounds=ocdl.Box(p=([0, 0, 1, 0], [5, 5, 1, 1])),
    )
    grid = ocdl.through(GRID, problem)
    found = ocdl.confidence(problem, grid, ocdl.solve(problem, grid, ocdl.Ipopt()))
    assert found.standard_errors[:2] == pytest.approx([np.inf, np.inf])
    assert np.isnan(found.standard_errors[2]) and found.standard_errors[3] == np.inf
    assert 0.0 < found.standard_errors[4] < 1.0
    assert "y(0) = " in repr(found)


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e6])
def test_the_units_of_a_parameter_do_not_matter(unit):
    problem = decay(dynamics=lambda x, p: -p / unit * x, bounds=ocdl.Box(p=(0, 5 * unit)))
    grid = ocdl.through(GRID, problem)
    start = {"p": [unit]}
    found = ocdl.confidence(problem, grid, ocdl.solve(problem, grid, ocdl.Ipopt(tolerance=1e-10), start=start))
    plain = ocdl.confidence(decay(), grid, ocdl.solve(decay(), grid, ocdl.Ipopt(tolerance=1e-10)))
    assert found.estimates == pytest.approx(plain.estimates * [unit, 1.0], rel=1e-6)
    assert found.standard_errors == pytest.approx(plain.standard_errors * [unit, 1.0], rel=1e-6)


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_a_parameter_that_the_data_press_against_its_bound_is_held_there(unit):
    """y' = −k y − l with l ≥ 0 and data that ask for l < 0: the errors are those of the model without l."""
    data = 2.0 * np.exp(-0.8 * TIMES) + NOISE + 0.2 * TIMES

    def model(**changed):
        measurements = ocdl.Measurements(times=TIMES, values=data)
        return decay(measurements=measurements, **changed)

    wide = model(parameters=["k", "l"], dynamics=lambda x, p: -p[0] * x - p[1] / unit)
    narrow = model()
    grid = ocdl.through(GRID, narrow)
    found, plain = (
        ocdl.confidence(problem, grid, ocdl.solve(problem, grid, ocdl.Ipopt(tolerance=1e-10)))
        for problem in (wide, narrow)
    )
    assert np.isnan(found.standard_errors[1]) and np.isnan(found.intervals[1]).all() and found.freedom == plain.freedom
    assert found.standard_errors[[0, 2]] == pytest.approx(plain.standard_errors, rel=1e-5)
    assert ", held" in repr(found) and "held" not in repr(plain)


def test_what_has_no_intervals_is_refused():
    problem = decay()
    grid = ocdl.through(GRID, problem)
    found = ocdl.solve(problem, grid, ocdl.Ipopt())
    with pytest.raises(ocdl.InvalidInput, match="level"):
        ocdl.confidence(problem, grid, found, level=1.0)
    with pytest.raises(ocdl.InvalidInput, match="measurements"):
        ocdl.confidence(decay(measurements=None), grid, found)
    with pytest.raises(ocdl.NotSupported, match="free beside"):
        ocdl.confidence(decay(controls=1), grid, found)
    with pytest.raises(ocdl.NotSupported, match=r"final=\.\.\."):
        ocdl.confidence(decay(final=[0.2]), grid, found)
    few = decay(measurements=ocdl.Measurements(times=TIMES[:2], values=[1.0, 0.5]))
    with pytest.raises(ocdl.InvalidInput, match="more measurements than parameters"):
        ocdl.confidence(few, grid, found)
