"""Exports of trained networks: their one formula, traced into an ONNX graph and a torch module."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ocdl.errors import OcdlError
from ocdl.solving.layered import LayeredNetwork


def to_onnx(network: LayeredNetwork, path: str | Path) -> None:
    """Write an ONNX file, float64: ``inputs`` (S, d) to ``output`` O and ``prediction`` h(O), (S, K) each."""
    try:
        from ocdl.doors.exports.onnx_graph import model
    except ImportError:
        raise OcdlError("to_onnx(...): needs onnx; install it with pip install 'ocdl[learn]'.") from None
    Path(path).write_bytes(model(network).SerializeToString())


def to_torch(network: LayeredNetwork) -> Any:
    """A ``torch.nn.Module``, float64: h(O) of inputs (S, d), and O by its ``output``; it can be trained on."""
    try:
        from ocdl.doors.exports.torch_module import Network
    except ImportError:
        raise OcdlError("to_torch(...): needs PyTorch; install it with pip install torch.") from None
    return Network(network)
