"""The peer's side of ``against_hj_reachability.py``: one case in hj_reachability (JAX), run by that script.

    python peer.py NEURONS NODES HALF_WIDTH "TARGET ..." REPEATS OUTPUT.npz

Tuned as well as it will go: H = Σ_i min(p_i σ(s⁻), p_i σ(s⁺)) in closed form, not through the optimal control and
a matrix of its effects; WENO5 in space, third-order SSP Runge–Kutta (accuracy "very_high"), CFL number 0.95 for 0.75.
"""

import sys
import time

import hj_reachability as hj
import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_enable_x64", True)

CFL = 0.95


class Neurons(hj.Dynamics):
    def __init__(self, M):
        box = hj.sets.Box(-jnp.ones(M), jnp.ones(M))
        super().__init__("min", "max", box, hj.sets.Box(jnp.zeros(1), jnp.zeros(1)))

    def _ends(self, state):
        speed = jnp.mean(jnp.abs(state))
        return jnp.tanh(-1.0 - speed), jnp.tanh(1.0 + speed)

    def __call__(self, state, control, disturbance, time):
        slow, fast = self._ends(state)
        return 0.5 * (slow + fast) + 0.5 * (fast - slow) * control

    def optimal_control_and_disturbance(self, state, time, grad_value):
        return -jnp.sign(grad_value), jnp.zeros(1)

    def hamiltonian(self, state, time, value, grad_value):
        slow, fast = self._ends(state)
        return jnp.sum(jnp.minimum(grad_value * slow, grad_value * fast))

    def partial_max_magnitudes(self, state, time, value, grad_value_box):
        slow, fast = self._ends(state)
        return jnp.full(state.shape, jnp.maximum(-slow, fast))


def main() -> None:
    M, nodes, half = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    target, repeats, output = np.array(sys.argv[4].split(), dtype=float), int(sys.argv[5]), sys.argv[6]
    domain = hj.sets.Box(-half * np.ones(M), half * np.ones(M))
    grid = hj.Grid.from_lattice_parameters_and_boundary_conditions(
        domain, (nodes,) * M, boundary_conditions=(hj.boundary_conditions.extrapolate,) * M
    )
    settings = hj.SolverSettings.with_accuracy("very_high", CFL_number=CFL)
    terminal = 0.5 * jnp.mean((grid.states - target) ** 2, axis=-1)
    dynamics = Neurons(M)

    def run():
        clock = time.process_time()
        values = hj.step(settings, dynamics, grid, 0.0, terminal, -1.0, progress_bar=False).block_until_ready()
        return time.process_time() - clock, values

    first, values = run()
    seconds = [run()[0] for _ in range(repeats)]
    np.savez(output, values=np.asarray(values), first=first, seconds=min(seconds))


if __name__ == "__main__":
    main()
