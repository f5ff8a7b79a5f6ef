"""The adjoint by hand of ``network.py`` as a side, and Levenberg and Marquardt's method on its residuals."""

from contextlib import suppress
from typing import Any

import numpy as np
from network import example, milliseconds
from race import Job, Record, Sine, lbfgsb
from scipy.linalg import cho_factor, cho_solve
from sides import Answer, serve


def gradient(samples: int, width: int, layers: int) -> Answer:
    network, w = example(samples, width, layers)
    cost, slope = network.value_and_gradient(w)
    times = {"by hand": milliseconds(lambda: network.value_and_gradient(w))}
    return {"cost": cost, "gradient": slope.tolist(), "milliseconds": times}


def race(**job: Any) -> Answer:
    return lbfgsb(Job(**job).network.value_and_gradient, Job(**job)).judged(Job(**job))


def fit_sine(**given: Any) -> Answer:
    job = Sine(**given)
    return levenberg_marquardt(job).judged(job)


def levenberg_marquardt(job: Sine) -> Record:
    """(JᵀJ + μ) d = −Jᵀρ, the damping μ by Nielsen's rule."""
    network, w = job.network, job.start
    record, factor = Record(w, job.limit), 2.0
    rho, jacobian = network.residuals(w)
    square, slope = jacobian.T @ jacobian, jacobian.T @ rho
    damping = 1e-3 * square.diagonal().max()
    with suppress(StopIteration, np.linalg.LinAlgError):
        while True:
            step = -cho_solve(cho_factor(square + damping * np.eye(w.size)), slope)
            found = network.states(w + step)[0][-1].sum(axis=0) - network.labels
            share = (rho @ rho - np.mean(found**2)) / (step @ (damping * step - slope))
            if share > 0.0:
                w = w + step
                rho, jacobian = network.residuals(w)
                square, slope = jacobian.T @ jacobian, jacobian.T @ rho
                damping, factor = damping * max(1 / 3, 1.0 - (2.0 * share - 1.0) ** 3), 2.0
            else:
                damping, factor = damping * factor, 2.0 * factor
            record(w)
    return record


if __name__ == "__main__":
    serve({"gradient": gradient, "race": race, "sine": fit_sine})
