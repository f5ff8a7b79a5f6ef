"""Exported networks give what the network itself gives: every activation, explicit scheme, link and form."""

import importlib.util
from dataclasses import replace

import numpy as np
import pytest
from families import activations, concrete, name_of, schemes

import ocdl
from ocdl.depth.schemes import Tableau
from ocdl.doors.exports.traced import Traced
from ocdl.solving.layered import Affine
from ocdl.sweeps.fused.form import LayerArrays

EXPLICIT = [scheme for scheme in schemes(layers=3) if scheme.tableau.explicit]
LINKS = [cls() for cls in concrete(ocdl.Link, "__call__")]
TANH, SOFTMAX = ocdl.Tanh(), ocdl.Softmax()
GENERATOR = np.random.default_rng(5)
INPUTS = 2.0 * GENERATOR.normal(size=(7, 2))
INPUTS[0] = 0.0


def drawn(*shape):
    return GENERATOR.normal(size=shape)


def network(sigma=TANH, scheme=EXPLICIT[0], link=SOFTMAX, **parts):
    """Three layers of three states and as many outputs, of two inputs; ``parts`` of the form V, S, r."""
    layers = LayerArrays(drawn(3, 3, 3), drawn(3, 3), **parts)
    ends = Affine(np.eye(3, 2), np.zeros(3)), Affine(drawn(3, 3), drawn(3))
    return ocdl.LayeredNetwork(layers, np.array([0.3, 0.5, 0.2]), scheme.tableau, sigma, *ends, link)


NETWORKS = {
    **{f"{name_of(sigma)}{sigma.limits}": network(sigma=sigma) for sigma in activations()},
    **{name_of(scheme): network(scheme=scheme) for scheme in EXPLICIT},
    **{name_of(link): network(link=link) for link in LINKS},
    "factors": network(V=drawn(3), S=drawn(3), r=drawn(3, 3)),
    "matrices": network(V=drawn(3, 3, 3), S=drawn(3, 3, 3)),
    "one form a stage": replace(network(scheme=ocdl.Kutta4(3)), layers=LayerArrays(drawn(12, 3, 3), drawn(12, 3))),
}
every_network = pytest.mark.parametrize("given", NETWORKS.values(), ids=NETWORKS.keys())


def needs(*packages):
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"{', '.join(missing)} not installed")


def ran(path, inputs):
    """Output and prediction of an ONNX file, by onnxruntime or, where that is absent, by onnx's own evaluator."""
    if importlib.util.find_spec("onnxruntime") is None:
        from onnx.reference import ReferenceEvaluator

        return ReferenceEvaluator(str(path)).run(["output", "prediction"], {"inputs": inputs})
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(["output", "prediction"], {"inputs": inputs})


@needs("onnx")
@every_network
def test_onnx_gives_the_same(given, tmp_path):
    given.to_onnx(tmp_path / "network.onnx")
    output, prediction = ran(tmp_path / "network.onnx", INPUTS)
    np.testing.assert_allclose(output, given.output(INPUTS), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(prediction, given(INPUTS), rtol=0, atol=1e-12)


@needs("onnx")
def test_the_arctan_that_runtimes_have_in_single_precision_is_made_double(tmp_path):
    s = np.concatenate([-np.logspace(-20, 20, 41), [0.0], np.logspace(-20, 20, 41)])[:, None]
    one = Affine(np.eye(1), np.zeros(1))
    layer = LayerArrays(np.eye(1)[None], np.zeros((1, 1)), S=np.array([-1.0]))
    given = ocdl.LayeredNetwork(layer, np.ones(1), EXPLICIT[0].tableau, ocdl.Arctan(), one, one, ocdl.IdentityLink())
    given.to_onnx(tmp_path / "network.onnx")
    output, _ = ran(tmp_path / "network.onnx", s)
    near = np.abs(s) < 1e3  # beyond, x + σ(x) − x rounds
    np.testing.assert_allclose(output[near], np.arctan(s)[near], rtol=0, atol=2e-13)


@needs("torch")
@every_network
def test_torch_gives_the_same_and_learns(given):
    import torch

    module = given.to_torch()
    inputs = torch.as_tensor(INPUTS)
    np.testing.assert_allclose(module.output(inputs).detach().numpy(), given.output(INPUTS), rtol=1e-12, atol=1e-12)
    prediction = module(inputs)
    np.testing.assert_allclose(prediction.detach().numpy(), given(INPUTS), rtol=0, atol=1e-12)
    prediction[:, 0].sum().backward()
    assert torch.any(module.W.grad != 0.0) and module.entrance_weight.grad is None
    assert all(parameter.dtype == torch.float64 for parameter in module.parameters())


@pytest.mark.parametrize("package", ["onnx", "torch"])
def test_a_package_that_is_absent_is_named(package, monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, package, None)
    for name in ("onnx_graph", "torch_module"):
        monkeypatch.delitem(__import__("sys").modules, f"ocdl.doors.exports.{name}", raising=False)
    with pytest.raises(ocdl.OcdlError, match="pip install"):
        network().to_torch() if package == "torch" else network().to_onnx(tmp_path / "network.onnx")


def test_what_a_library_does_not_know_is_named():
    class Nothing(Traced):
        library = "Nothing"

        def applied(self, name, values):
            return None

    with pytest.raises(ocdl.NotSupported, match=r"numpy.tanh: Nothing has no such function"):
        np.tanh(Nothing())


def test_implicit_schemes_are_refused():
    implicit = [scheme for scheme in schemes() if not scheme.tableau.explicit]
    assert implicit and isinstance(implicit[0].tableau, Tableau)
    for scheme in implicit:
        with pytest.raises(ocdl.NotSupported, match="implicit"):
            network(scheme=scheme)
