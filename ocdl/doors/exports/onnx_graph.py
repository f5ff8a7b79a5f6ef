"""A trained network as an ONNX graph, float64; loaded only where it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ocdl.doors.exports.traced import Traced
from ocdl.solving.layered import LayeredNetwork

OPSET, IR_VERSION = 17, 8
OPERATIONS = {  # of float64 in every runtime, by numpy's names
    **{"add": "Add", "subtract": "Sub", "multiply": "Mul", "divide": "Div", "matmul": "MatMul", "power": "Pow"},
    **{"fmax": "Max", "maximum": "Max", "fmin": "Min", "minimum": "Min", "negative": "Neg", "fabs": "Abs"},
    **{"absolute": "Abs", "tanh": "Tanh", "exp": "Exp", "log": "Log", "sqrt": "Sqrt", "sin": "Sin", "cos": "Cos"},
}


class Graph:
    """Nodes and constants so far."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def node(self, operation: str, *names: str, **attributes: Any) -> str:
        """The name of what one more operation gives."""
        result = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(operation, list(names), [result], **attributes))
        return result

    def constant(self, array: Any) -> str:
        """The name of a constant."""
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.array(array, order="C"), name))
        return name


class Node(Traced):
    """What a node of a graph gives, by its name."""

    library = "ONNX"

    def __init__(self, graph: Graph, name: str) -> None:
        self.graph, self.name = graph, name

    def applied(self, name: str, values: tuple[Any, ...]) -> Node | None:
        if name in REWRITTEN:
            return REWRITTEN[name](*values)
        if name not in OPERATIONS:
            return None
        return self._of(OPERATIONS[name], *map(self._held, values))

    def reduced(self, name: str, axis: int, keepdims: bool) -> Node:
        kept = int(keepdims)
        if name == "max":
            return self._of("ReduceMax", self.name, axes=[axis], keepdims=kept)
        return self._of("ReduceSum", self.name, self.graph.constant(np.array([axis])), keepdims=kept)

    def cast(self, kind: int) -> Node:
        """The same in another precision."""
        return self._of("Cast", self.name, to=kind)

    def single(self, operation: str) -> Node:
        """An operation that runtimes have in single precision only."""
        single = self.cast(TensorProto.FLOAT)
        return single._of(operation, single.name).cast(TensorProto.DOUBLE)

    def _of(self, operation: str, *names: str, **attributes: Any) -> Node:
        return Node(self.graph, self.graph.node(operation, *names, **attributes))

    def _held(self, value: Any) -> str:
        return value.name if isinstance(value, Node) else self.graph.constant(np.asarray(value, dtype=float))


def _arctan(x: Node) -> Node:
    """y + arctan δ with y in single precision and δ = tan(arctan x − y) = (x cos y − sin y)/(cos y + x sin y).

    δ is about 1e-7, so that arctan δ = δ to rounding.
    """
    y = x.single("Atan")
    sine, cosine = np.sin(y), np.cos(y)
    return y + (x * cosine - sine) / (cosine + x * sine)


REWRITTEN: dict[str, Callable[..., Any]] = {
    "arctan": _arctan,
    "expm1": lambda x: np.exp(x) - 1.0,
    "log1p": lambda x: np.log(x + 1.0),
    "square": lambda x: x * x,
}


def model(network: LayeredNetwork) -> Any:
    """The ``onnx.ModelProto``: ``inputs`` (S, d) to ``output`` O and ``prediction`` h(O), (S, K) each."""
    graph = Graph()
    output = network.formula(Node(graph, "inputs"))
    ends = {"output": output, "prediction": network.link(output)}
    for name, end in ends.items():
        graph.nodes.append(helper.make_node("Identity", [end.name], [name]))
    d, K = network.entrance.weight.shape[1], network.readout.weight.shape[0]
    made = helper.make_graph(
        graph.nodes,
        "network",
        [helper.make_tensor_value_info("inputs", TensorProto.DOUBLE, ["samples", d])],
        [helper.make_tensor_value_info(name, TensorProto.DOUBLE, ["samples", K]) for name in ends],
        graph.constants,
    )
    whole = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="ocdl")
    whole.ir_version = IR_VERSION
    onnx.checker.check_model(whole)
    return whole
