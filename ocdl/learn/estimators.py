"""The estimators: a classifier and a regressor for every architecture, with the fields that are its own."""

from __future__ import annotations

from dataclasses import dataclass

from ocdl.learn.classifier import NetworkClassifier
from ocdl.learn.regressor import NetworkRegressor
from ocdl.networks.antisymmetric import Antisymmetric
from ocdl.networks.contractive import Contractive
from ocdl.networks.hamiltonian import Hamiltonian
from ocdl.networks.odenet import ODENet
from ocdl.networks.plain import Plain
from ocdl.networks.residual import Residual


class ResNetClassifier(NetworkClassifier):
    """ẏ = σ(Ky + β): on Euler steps the ResNet y⁺ = y + hσ(Ky + β), else another Runge–Kutta ``scheme``."""

    architecture = Residual


class ResNetRegressor(NetworkRegressor):
    """ẏ = σ(Ky + β): on Euler steps the ResNet y⁺ = y + hσ(Ky + β), else another Runge–Kutta ``scheme``."""

    architecture = Residual


class PlainNetClassifier(NetworkClassifier):
    """y⁺ = σ(Ky + β); ``horizon`` plays no part, the scheme is ``ExplicitEuler``."""

    architecture = Plain


class PlainNetRegressor(NetworkRegressor):
    """y⁺ = σ(Ky + β); ``horizon`` plays no part, the scheme is ``ExplicitEuler``."""

    architecture = Plain


@dataclass(kw_only=True, eq=False, repr=False)
class ODENetClassifier(NetworkClassifier):
    """ẏ = α(t) σ(Ky + β) with steps of α "free", "non-negative" or on the "simplex"."""

    architecture = ODENet
    steps: str = "free"


@dataclass(kw_only=True, eq=False, repr=False)
class ODENetRegressor(NetworkRegressor):
    """ẏ = α(t) σ(Ky + β) with steps of α "free", "non-negative" or on the "simplex"."""

    architecture = ODENet
    steps: str = "free"


@dataclass(kw_only=True, eq=False, repr=False)
class AntisymmetricClassifier(NetworkClassifier):
    """ẏ = σ((K − Kᵀ − γI) y + β) with γ = ``damping`` ≥ 0."""

    architecture = Antisymmetric
    damping: float = 0.0


@dataclass(kw_only=True, eq=False, repr=False)
class AntisymmetricRegressor(NetworkRegressor):
    """ẏ = σ((K − Kᵀ − γI) y + β) with γ = ``damping`` ≥ 0."""

    architecture = Antisymmetric
    damping: float = 0.0


class HamiltonianClassifier(NetworkClassifier):
    """ẏ = σ(Kz + β), ż = −σ(Kᵀy + β) with z = 0 at first and a readout of y."""

    architecture = Hamiltonian


class HamiltonianRegressor(NetworkRegressor):
    """ẏ = σ(Kz + β), ż = −σ(Kᵀy + β) with z = 0 at first and a readout of y."""

    architecture = Hamiltonian


@dataclass(kw_only=True, eq=False, repr=False)
class ContractiveClassifier(NetworkClassifier):
    """ẏ = Bᵀσ(a − By) with B of ``width`` rows, as many as channels by default."""

    architecture = Contractive
    width: int | None = None


@dataclass(kw_only=True, eq=False, repr=False)
class ContractiveRegressor(NetworkRegressor):
    """ẏ = Bᵀσ(a − By) with B of ``width`` rows, as many as channels by default."""

    architecture = Contractive
    width: int | None = None
