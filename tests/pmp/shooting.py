"""An independent reference: the two-point boundary value problem in (f, p), by shooting on p(0)."""

import numpy as np
from scipy.integrate import solve_ivp
from scipy.optimize import root

SLOPES = {"Tanh": lambda s: 1 / np.cosh(s) ** 2, "Arctan": lambda s: 1 / (1 + s**2)}
SLOPES["Sigmoid"] = lambda s: 0.25 / np.cosh(0.5 * s) ** 2


def extremal(activation, a, b, weights, initial, target, horizon, guess):
    """J of the extremal with costate near ``guess`` at depth 0, its end state, and what is left of the conditions."""
    sigma, slope, M = activation, SLOPES[type(activation).__name__], initial.size

    def field(signs):
        p_sign, f_sign = signs[:M], signs[M:]
        own_a = np.where(p_sign < 0, a[1], a[0])
        kernel = np.where(np.outer(-p_sign, f_sign) > 0, b[0], b[1]) * weights

        def rate(_, z):
            s = own_a - kernel @ z[:M]
            return np.concatenate([sigma(s), kernel.T @ (slope(s) * z[M:])])

        return rate

    def shoot(p0):
        t, z = 0.0, np.concatenate([initial, p0])
        signs = np.concatenate([np.sign(p0), np.sign(initial)])
        for _ in range(50):
            events = []
            for j in range(2 * M):
                at = (j + M) % (2 * M)

                def event(_, z, at=at):
                    return z[at]

                event.terminal, event.direction = True, -signs[j]
                events.append(event)
            run = solve_ivp(
                field(signs), (t, horizon), z, method="DOP853", rtol=1e-13, atol=1e-15, events=events, max_step=0.1
            )
            t, z = run.t[-1], run.y[:, -1]
            if run.status == 0:
                return z
            hit = next(j for j, found in enumerate(run.t_events) if found.size)
            signs[hit] *= -1
        raise AssertionError("more than 50 switches")

    def residual(p0):
        z = shoot(p0)
        return z[M:] - weights * (z[:M] - target)

    found = root(residual, guess, tol=1e-13, options={"eps": 1e-8})
    end = shoot(found.x)[:M]
    return 0.5 * float(weights @ (end - target) ** 2), end, float(np.max(np.abs(found.fun)))
