"""A trained network as a torch module, float64; loaded only where it is asked for."""

from __future__ import annotations

from typing import Any

import torch

from ocdl.doors.exports.traced import Traced
from ocdl.solving.layered import LayeredNetwork

NAMES = {"power": "pow", "fabs": "abs"}  # where torch does not call it what numpy does


class Tensor(Traced):
    """A tensor."""

    library = "torch"

    def __init__(self, value: Any) -> None:
        self.value = value

    def applied(self, name: str, values: tuple[Any, ...]) -> Tensor | None:
        function = getattr(torch, NAMES.get(name, name), None)
        return None if function is None else Tensor(function(*(_tensor(value) for value in values)))

    def reduced(self, name: str, axis: int, keepdims: bool) -> Tensor:
        function = {"max": torch.amax, "sum": torch.sum}[name]
        return Tensor(function(self.value, axis, keepdim=keepdims))


class Network(torch.nn.Module):
    """h(O) of inputs (S, d), and O by ``output``; the coefficients are parameters, the entrance's not to be trained."""

    def __init__(self, network: LayeredNetwork) -> None:
        super().__init__()
        self.network = network
        for name, array in network.coefficients.items():
            trained = not name.startswith("entrance")
            self.register_parameter(name, torch.nn.Parameter(torch.tensor(array, dtype=torch.float64), trained))

    def forward(self, inputs: Any) -> Any:
        return self.network.link(self._output(inputs)).value

    def output(self, inputs: Any) -> Any:
        return self._output(inputs).value

    def _output(self, inputs: Any) -> Tensor:
        result: Tensor = self.network.with_coefficients(dict(self.named_parameters())).formula(Tensor(inputs))
        return result


def _tensor(value: Any) -> Any:
    return value.value if isinstance(value, Tensor) else torch.as_tensor(value, dtype=torch.float64)
