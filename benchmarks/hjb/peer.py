"""The peer's side of ``against_hj_reachability.py``: one case in hj_reachability (JAX), run by that script.

    python peer.py NEURONS NODES HALF_WIDTH "TARGET ..." REPEATS OUTPUT.npz

The velocity box of the box |a|, |b| ≤ 1 is control-affine in θ ∈ [−1, 1]^M: f_i' = c_i(f) + θ_i r_i(f) with
c = ½ (σ(s⁺) + σ(s⁻)), r = ½ (σ(s⁺) − σ(s⁻)). WENO5 in space, third-order SSP Runge–Kutta: accuracy "very_high".
"""

import sys
import time

import hj_reachability as hj
import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_enable_x64", True)


class Neurons(hj.ControlAndDisturbanceAffineDynamics):
    def __init__(self, M):
        self.M = M
        box = hj.sets.Box(-jnp.ones(M), jnp.ones(M))
        super().__init__("min", "max", box, hj.sets.Box(jnp.zeros(1), jnp.zeros(1)))

    def _ends(self, state):
        speed = jnp.mean(jnp.abs(state))
        return jnp.tanh(-1.0 - speed), jnp.tanh(1.0 + speed)

    def open_loop_dynamics(self, state, time):
        slow, fast = self._ends(state)
        return jnp.full(self.M, 0.5 * (slow + fast))

    def control_jacobian(self, state, time):
        slow, fast = self._ends(state)
        return 0.5 * (fast - slow) * jnp.eye(self.M)

    def disturbance_jacobian(self, state, time):
        return jnp.zeros((self.M, 1))


def main() -> None:
    M, nodes, half = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    target, repeats, output = np.array(sys.argv[4].split(), dtype=float), int(sys.argv[5]), sys.argv[6]
    domain = hj.sets.Box(-half * np.ones(M), half * np.ones(M))
    grid = hj.Grid.from_lattice_parameters_and_boundary_conditions(
        domain, (nodes,) * M, boundary_conditions=(hj.boundary_conditions.extrapolate,) * M
    )
    settings = hj.SolverSettings.with_accuracy("very_high")
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
