"""Simulation: the record of a plant under given controls, labelled as a ``Solution`` is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ocdl import xr
from ocdl.referee.entries import entry


@dataclass(frozen=True, eq=False)
class Simulation:
    """States and controls (t, ...) at the integrator's own depths and between them, and what they cost and violate.

    ``dataset``: ``states`` (t, sample, state), the controls and parameters by name, ``running`` (t), the cost up to t;
    where controls jump they are those after the jump. ``violations``: of every family of constraints the largest
    distance from its interval, before and after a jump, at the reported depths or not.
    """

    dataset: xr.Dataset
    running_cost: float
    terminal_cost: float
    penalty: float
    violations: Mapping[str, float]

    @property
    def state(self) -> xr.DataArray:
        """States (t, sample, state) or (t, sample, y)."""
        return self.dataset["states"]

    @property
    def controls(self) -> dict[str, xr.DataArray]:
        """The controls (t, ...) by name."""
        return self._named("control")

    @property
    def parameters(self) -> dict[str, xr.DataArray]:
        """The parameters by name."""
        return self._named("parameter")

    @property
    def horizon(self) -> float:
        """The last depth reported."""
        return float(self.dataset["t"][-1])

    @property
    def cost(self) -> float:
        """J, of running cost and effort, terminal losses and the penalty of the parameters."""
        return self.running_cost + self.terminal_cost + self.penalty

    @property
    def feasibility(self) -> float:
        """The largest violation of a bound or constraint."""
        return max(self.violations.values(), default=0.0)

    def __getitem__(self, name: str) -> xr.DataArray:
        """A state, control or parameter by its name, as ``Solution`` gives it. Raises InvalidInput for other names."""
        return entry("<simulation>", name, self.state, {**self.controls, **self.parameters})

    def _named(self, role: str) -> dict[str, xr.DataArray]:
        return {str(name): one for name, one in self.dataset.data_vars.items() if one.attrs.get("role") == role}

    def __repr__(self) -> str:
        worst = max(self.violations, key=lambda name: self.violations[name], default="")
        violated = f", {worst} violated by {self.feasibility:.1e}" if self.feasibility > 0.0 else ""
        return (
            f"<ocdl.Simulation to T = {self.horizon:g}: cost {self.cost:.10g} (running {self.running_cost:.10g}, "
            f"terminal {self.terminal_cost:.10g}){violated}>"
        )
