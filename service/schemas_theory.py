"""What clients may ask the theory, without a study."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from service.schemas import OF_WAVES, Family, FixedBias, Method, NetworkRequest, Number, Request, Scale

__all__ = ["FamilyRequest", "InitRequest", "TheoryRequest"]


class FamilyRequest(Request):
    """One activation: a family with its scale, by one of its names, and its other parameters."""

    family: Family
    parameters: dict[str, Number] = Field(
        default={}, description="the family's parameters, a formula's by their names, or another name of the scale"
    )
    sigma_a: Scale | None = Field(default=None, description="the activation's scale; null: customary")
    omega: Scale | None = Field(default=None, description=f"{OF_WAVES}: instead of sigma_a, omega = 1 / sigma_a")

    @model_validator(mode="after")
    def _one_scale(self) -> FamilyRequest:
        if self.sigma_a is not None and self.omega is not None:
            raise ValueError("sigma_a and omega are two names of one scale: give one of them")
        return self


class TheoryRequest(FamilyRequest):
    """What the theory says of an activation, without a network."""

    width_ratio: Annotated[float, Field(strict=True, allow_inf_nan=False, ge=1e-4, le=1e4)] = Field(
        default=1.0, description="fan-out over fan-in of a hidden layer"
    )
    sigma_p: Scale | None = Field(
        default=None, description="where moments are taken; null: the stable sigma_p, or sigma_a where there is none"
    )
    method: Method = "analytic"


class InitRequest(FamilyRequest):
    """An init config without a study. null means: customary, or the theory's own.

    With a dataset null means: the first guess of a search on it, from the signal's spectrum; the network's ends and
    ``input_second_moment`` are then the dataset's.
    """

    dataset_id: str | None = Field(default=None, description="guess for this dataset; null: theory alone")
    sigma_p: Scale | None = Field(default=None, description="std of pre-activations; null: the theory's own")
    sigma_p_first: Scale | None = Field(default=None, description="of the first layer; null: sigma_p")
    sigma_p_growth: Scale = Field(default=1.0, description="of sigma_p, from one hidden layer to the next")
    bias: FixedBias = Field(default=None, description="null: zero, or the stability rule where theory has no root")
    bias_first: FixedBias = Field(default=None, description="null: as bias, or zero")
    network: NetworkRequest = NetworkRequest(width=256)
    in_dim: Annotated[int, Field(strict=True, ge=1, le=16)] = 2
    out_dim: Annotated[int, Field(strict=True, ge=1, le=1024)] = 3
    input_second_moment: Scale = Field(
        default=1 / 3, description="mean square of a coordinate; 1/3: uniform on [-1, 1]"
    )
    method: Method = "analytic"
    distribution: Literal["uniform", "normal"] = "uniform"
