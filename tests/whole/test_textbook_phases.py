"""Ascents in phases: a law known in closed form through the staging, and a published launch."""

import numpy as np
import pytest
from families import module

import ocdl


def solved(stated):
    start = stated.start() if hasattr(stated, "start") else None
    solution = ocdl.solve(stated.problem(), stated.grid(), stated.methods()[0], start=start)
    assert solution.status is ocdl.Status.CONVERGED and solution.feasibility <= 1e-9
    assert solution.gap < 1e-6 * abs(solution.cost)
    return solution


def test_two_stages_steer_by_one_linear_tangent():
    stated = module("ascent_two_phase")
    solution = solved(stated)
    assert abs(solution.cost - stated.REFERENCE) <= stated.DIGITS
    assert solution.times == pytest.approx([0.0, stated.BURN, stated.END], abs=1e-8)
    for one in solution.values():
        t = one.u["depth"].to_numpy().ravel()
        assert np.tan(one.u.to_numpy().ravel()) == pytest.approx(stated.ALPHA - stated.BETA * t, abs=1e-6)
    masses = [float(one.state.sel(state="m")[at, 0]) for one, at in zip(solution.values(), (-1, 0), strict=True)]
    assert masses[0] - masses[1] == pytest.approx(stated.DROPPED, abs=1e-12)
    certificate = solution["second"].certificate
    assert abs(certificate.cost - stated.REFERENCE) <= 1e-8 and abs(certificate.hamiltonian_offset) < 1e-8


def test_delta_iii_brings_the_published_mass_into_orbit():
    """Five layers of degree 4 in each of four phases: the published mass to 1e-7, where 1e-5 is asked for."""
    stated = module("ascent_four_phase")
    solution = solved(stated)
    assert abs(solution.cost / stated.REFERENCE - 1) <= 1e-7
    assert -solution.cost * stated.MASS == pytest.approx(7529.712, abs=1e-3)
    assert solution.times[:4] * stated.TIME == pytest.approx([0.0, 75.2, 150.4, 261.0])
    assert solution.times[4] * stated.TIME == pytest.approx(924.139, abs=1e-3)
    r, v = np.split(solution["upper"].state.values[-1, 0, :6], 2)
    h, size = np.cross(r, v), np.linalg.norm(r)
    eccentricity = np.cross(v, h) - r / size
    assert 1 / (2 / size - v @ v) == pytest.approx(stated.ORBIT["a"])
    assert np.linalg.norm(eccentricity) == pytest.approx(stated.ORBIT["e"])
    assert np.degrees(np.arccos(h[2] / np.linalg.norm(h))) == pytest.approx(28.5)
    node = np.array([-h[1], h[0]]) / np.hypot(h[0], h[1])
    assert 360 - np.degrees(np.arccos(node[0])) == pytest.approx(269.8)
    perigee = np.arccos(node @ eccentricity[:2] / np.linalg.norm(eccentricity))
    assert np.degrees(perigee) == pytest.approx(130.5)
