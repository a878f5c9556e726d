"""What clients may send. Unknown fields are refused, numbers are numbers, NaN and infinity are none.

Limits that a deployment can set (largest width, most trials, ...) are checked in ``service.plans``.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

__all__ = [
    "ActivationRequest",
    "BiasRequest",
    "Confirm",
    "InitRequest",
    "NetworkRequest",
    "RangeRequest",
    "Search",
    "ShareRequest",
    "StudyRequest",
    "Training",
]

Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Scale = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=1e-6, le=1e6)]
Rate = Annotated[float, Field(strict=True, allow_inf_nan=False, gt=0, le=10)]
Share = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0, le=0.999)]  # 1 leaves the weights nothing
Family = Annotated[
    str,
    Field(
        max_length=64,  # of the column that runs keep it in
        description="one of GET /v1/activations, or a formula of x: 'exp(-x**2/(2*a**2)) * cos(30*x)'",
    ),
]
Count = Annotated[int, Field(strict=True, ge=1)]
Whole = Annotated[int, Field(strict=True, ge=0, le=2**63 - 1)]
RuleName = Literal["zero", "stability", "like_weights", "torch_default"]
Method = Literal["analytic", "quadrature", "monte_carlo"]


class Request(BaseModel):
    """The base of all requests."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=False)


class RangeRequest(Request):
    """Search between ``low`` and ``high``, on a logarithmic axis."""

    low: Scale
    high: Scale

    @model_validator(mode="after")
    def _in_order(self) -> RangeRequest:
        _require_order(self.low, self.high)
        return self


class ShareRange(Request):
    """Search the share between ``low`` and ``high``, on a linear axis."""

    low: Share
    high: Share

    @model_validator(mode="after")
    def _in_order(self) -> ShareRange:
        _require_order(self.low, self.high)
        return self


def _require_order(low: float, high: float) -> None:
    if not low < high:
        raise ValueError(f"low must be less than high, not {low!r} against {high!r}")


def _kind(value: Any) -> str:
    """Which branch of a union a value is meant for. The tags never show: ``service.problems`` drops <...>."""
    return "<object>" if isinstance(value, dict | BaseModel) else "<plain>"


Axis = (
    Annotated[Annotated[RangeRequest, Tag("<object>")] | Annotated[Scale, Tag("<plain>")], Discriminator(_kind)] | None
)
ShareAxis = Annotated[Annotated[ShareRange, Tag("<object>")] | Annotated[Share, Tag("<plain>")], Discriminator(_kind)]


class ShareRequest(Request):
    """The biases hold this share of the layer's pre-activation variance; a range is searched."""

    rule: Literal["share"]
    share: ShareAxis


class FixedShare(Request):
    """The biases hold this share of the layer's pre-activation variance."""

    rule: Literal["share"]
    share: Share


BiasRequest = (
    Annotated[Annotated[ShareRequest, Tag("<object>")] | Annotated[RuleName, Tag("<plain>")], Discriminator(_kind)]
    | None
)
FixedBias = (
    Annotated[Annotated[FixedShare, Tag("<object>")] | Annotated[RuleName, Tag("<plain>")], Discriminator(_kind)] | None
)
SEARCHED = "a range is searched, a number is fixed, null takes the default range"


class ActivationRequest(Request):
    """One family to study. null means: customary for the family, or searched over the default range."""

    family: Family
    parameters: dict[str, Number] = Field(
        default={}, description="the family's parameters, a formula's by their names, or another name of the scale"
    )
    sigma_a: Axis = Field(default=None, description=f"the activation's scale, in units of its input; {SEARCHED}")
    omega: Axis = Field(default=None, description="sine, finer, hosc: instead of sigma_a, omega = 1 / sigma_a")
    sigma_p: Axis = Field(default=None, description=f"std of the hidden layers' pre-activations; {SEARCHED}")
    sigma_p_first: Axis = Field(default=None, description=f"std of the first layer's pre-activations; {SEARCHED}")
    bias: BiasRequest = Field(default=None, description="rule of the hidden layers' biases")
    bias_first: BiasRequest = Field(default=None, description="rule of the first layer's biases")
    learning_rate: Rate | None = Field(default=None, description="null: customary for the family")

    @model_validator(mode="after")
    def _one_scale(self) -> ActivationRequest:
        if self.sigma_a is not None and self.omega is not None:
            raise ValueError("sigma_a and omega are two names of one scale: give one of them")
        return self


class NetworkRequest(Request):
    """Linear(in, width), then ``hidden_layers`` x Linear(width, width), each followed by the activation; then
    Linear(width, out).
    """

    width: Count = 64
    hidden_layers: Count = 3


class Training(Request):
    """How every network of the study is trained."""

    steps: Count = 500
    optimizer: Literal["adam"] = "adam"
    batch_size: Count | None = Field(default=None, description="points a step; null: all")
    schedule: Literal["constant", "cosine"] = "constant"


class Search(Request):
    """How much is tried, for each family."""

    trials: Count = 24
    seed: Whole = 0
    horizon: Annotated[float, Field(strict=True, gt=0, le=1)] | None = Field(
        default=None, description="share of the steps after which trials are compared; null: 0.4"
    )


class Confirm(Request):
    """The finalists and the usual initialisations, trained to the end with the same fresh seeds."""

    finalists: Count = Field(default=3, description="for each family")
    seeds: Annotated[int, Field(strict=True, ge=2)] = 5


class StudyRequest(Request):
    """Which initialisation suits this dataset best? Everything but the first two fields has a default."""

    dataset_id: str
    activations: list[ActivationRequest] = Field(min_length=1, max_length=16)
    network: NetworkRequest = NetworkRequest()
    training: Training = Training()
    search: Search = Search()
    method: Method = Field(default="analytic", description="how moments are computed")
    objective: Literal["fit"] = Field(default="fit", description="PSNR over all points")
    confirm: Confirm = Confirm()
    baselines: list[str] | None = Field(
        default=None, description="rules to compare with; null: the customary ones of each family"
    )


class InitRequest(Request):
    """An init config without a study. null means: customary, or the theory's own."""

    family: Family
    parameters: dict[str, Number] = Field(
        default={}, description="the family's parameters, a formula's by their names, or another name of the scale"
    )
    sigma_a: Scale | None = Field(default=None, description="the activation's scale; null: customary")
    omega: Scale | None = Field(default=None, description="sine, finer, hosc: instead of sigma_a")
    sigma_p: Scale | None = Field(default=None, description="std of pre-activations; null: the theory's own")
    sigma_p_first: Scale | None = Field(default=None, description="of the first layer; null: sigma_p")
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

    @model_validator(mode="after")
    def _one_scale(self) -> InitRequest:
        if self.sigma_a is not None and self.omega is not None:
            raise ValueError("sigma_a and omega are two names of one scale: give one of them")
        return self
