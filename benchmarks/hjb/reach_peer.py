"""The peer's side of ``reach.py``: one problem of reachability in hj_reachability (JAX), run by that script.

    python reach_peer.py CASE "NODES ..." REPEATS OUTPUT.npz

Tuned as ``peer.py``: Hamiltonians in closed form, WENO5 and the third-order method, CFL number 0.95.
"""

import sys
import time

import hj_reachability as hj
import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_enable_x64", True)

TURN = 2 * np.pi
LONG = 0.2  # seconds of a measurement


class Closed(hj.Dynamics):
    """H = ⟨p, drift⟩ less what the control gains and plus what the disturbance does, both within [−1, 1]."""

    def __init__(self):
        one = hj.sets.Box(-jnp.ones(1), jnp.ones(1))
        super().__init__("min", "max", one, one)

    def __call__(self, state, control, disturbance, time):
        return self.drift(state) + self.control(state) * control[0] + self.disturbance(state) * disturbance[0]

    def optimal_control_and_disturbance(self, state, time, grad_value):
        return -jnp.sign(grad_value @ self.control(state)), jnp.sign(grad_value @ self.disturbance(state))

    def hamiltonian(self, state, time, value, p):
        gain, harm = jnp.abs(p @ self.control(state)), jnp.abs(p @ self.disturbance(state))
        return p @ self.drift(state) - gain + harm

    def partial_max_magnitudes(self, state, time, value, box):
        return jnp.abs(self.drift(state)) + jnp.abs(self.control(state)) + jnp.abs(self.disturbance(state))

    def disturbance(self, state):
        return jnp.zeros(state.shape)


class DoubleIntegrator(Closed):
    domain, periodic, span = [(-4, 4), (-4, 4)], (), 1.0

    def drift(self, x):
        return jnp.array([x[1], 0.0])

    def control(self, x):
        return jnp.array([0.0, 1.0])

    def terminal(self, x):
        return 0.5 * jnp.sum(x**2, axis=-1)


class Dubins(Closed):
    domain, periodic, span = [(-3, 3), (-3, 3), (0, TURN)], (2,), 1.0

    def drift(self, x):
        return jnp.array([jnp.cos(x[2]), jnp.sin(x[2]), 0.0])

    def control(self, x):
        return jnp.array([0.0, 0.0, 1.0])

    def terminal(self, x):
        return 0.5 * (x[..., 0] ** 2 + x[..., 1] ** 2)


class Pendulum(Closed):
    domain, periodic, span = [(0, TURN), (-4, 4)], (0,), 1.0

    def drift(self, x):
        return jnp.array([x[1], jnp.sin(x[0])])

    def control(self, x):
        return jnp.array([0.0, 1.0])

    def terminal(self, x):
        return 1.0 - jnp.cos(x[..., 0]) + 0.5 * x[..., 1] ** 2


class Aircraft(Closed):
    """The pursuer's relative game: it wants within 5 of the other, who turns as fast, and round a storm."""

    domain, periodic, span = [(-6, 20), (-10, 10), (0, TURN)], (2,), 1.0
    speed = 5.0

    def drift(self, x):
        return self.speed * jnp.array([jnp.cos(x[2]) - 1.0, jnp.sin(x[2]), 0.0])

    def control(self, x):
        return jnp.array([0.0, 0.0, 1.0])

    def disturbance(self, x):
        return jnp.array([x[1], -x[0], -1.0])

    def terminal(self, x):
        return jnp.hypot(x[..., 0], x[..., 1]) - 5.0

    def obstacle(self, x):
        return 3.0 - jnp.hypot(x[..., 0] - 10.0, x[..., 1])


CASES = {cls.__name__: cls for cls in (DoubleIntegrator, Dubins, Pendulum, Aircraft)}


def main() -> None:
    dynamics, nodes = CASES[sys.argv[1]](), tuple(int(n) for n in sys.argv[2].split())
    repeats, output = int(sys.argv[3]), sys.argv[4]
    low, high = np.array(dynamics.domain, dtype=float).T
    grid = hj.Grid.from_lattice_parameters_and_boundary_conditions(
        hj.sets.Box(low, high), nodes, periodic_dims=dynamics.periodic or None
    )
    options, terminal = {}, dynamics.terminal(grid.states)
    if hasattr(dynamics, "obstacle"):
        obstacle = dynamics.obstacle(grid.states)
        terminal = jnp.maximum(terminal, obstacle)
        options = {
            "hamiltonian_postprocessor": hj.solver.backwards_reachable_tube,
            "value_postprocessor": hj.solver.static_obstacle(obstacle),
        }
    settings = hj.SolverSettings.with_accuracy("very_high", CFL_number=0.95, **options)

    def run(times=1):
        """CPU seconds of one of so many runs: clocks of many threads are coarse."""
        clock = time.process_time()
        for _ in range(times):
            found = hj.step(settings, dynamics, grid, 0.0, terminal, -dynamics.span, progress_bar=False)
            found.block_until_ready()
        return (time.process_time() - clock) / times, found

    first, values = run()
    times = max(1, round(LONG / max(run()[0], 1e-3)))
    seconds = [run(times)[0] for _ in range(repeats)]
    np.savez(output, values=np.asarray(values), first=first, seconds=min(seconds))


if __name__ == "__main__":
    main()
