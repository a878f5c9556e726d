"""What clients may send. Unknown fields are refused, numbers are numbers, NaN and infinity are none.

Limits that a deployment can set (largest width, most trials, ...) are checked in ``service.plans``.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

__all__ = [
    "MOST_FAMILIES",
    "OF_WAVES",
    "ActivationRequest",
    "BiasRequest",
    "Confirm",
    "Family",
    "FixedBias",
    "FixedShare",
    "Method",
    "NetworkRequest",
    "Number",
    "RangeRequest",
    "Request",
    "Scale",
    "Search",
    "ShareRequest",
    "StudyRequest",
    "Training",
    "WebhookRequest",
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
Limit = Annotated[float, Field(strict=True, allow_inf_nan=False, gt=0, le=1e9)]
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


def _objective_kind(value: Any) -> str:
    name = value.get("name") if isinstance(value, dict) else getattr(value, "name", None)
    if name is None and not isinstance(value, dict):
        return "<plain>"
    return "<steps to target>" if name == "steps_to_target" else "<held out>"


def _kind_or_word(value: Any) -> str:
    return "<word>" if isinstance(value, str) else _kind(value)


Axis = (
    Annotated[Annotated[RangeRequest, Tag("<object>")] | Annotated[Scale, Tag("<plain>")], Discriminator(_kind)] | None
)
FirstAxis = (
    Annotated[
        Annotated[RangeRequest, Tag("<object>")]
        | Annotated[Scale, Tag("<plain>")]
        | Annotated[Literal["same"], Tag("<word>")],
        Discriminator(_kind_or_word),
    ]
    | None
)
RateAxis = (
    Annotated[Annotated[RangeRequest, Tag("<object>")] | Annotated[Rate, Tag("<plain>")], Discriminator(_kind)] | None
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
OF_WAVES = "sine, finer, hosc, sinc, exp_sin"
MOST_FAMILIES = 16  # of one study
SEARCHED = "a range is searched, a number is fixed, null takes the default range"


class ActivationRequest(Request):
    """One family to study. null means: customary for the family, or searched over the default range."""

    family: Family
    parameters: dict[str, Number] = Field(
        default={}, description="the family's parameters, a formula's by their names, or another name of the scale"
    )
    sigma_a: Axis = Field(default=None, description=f"the activation's scale, in units of its input; {SEARCHED}")
    omega: Axis = Field(default=None, description=f"{OF_WAVES}: instead of sigma_a, omega = 1 / sigma_a")
    sigma_p: Axis = Field(default=None, description=f"std of the hidden layers' pre-activations; {SEARCHED}")
    sigma_p_first: FirstAxis = Field(
        default=None, description=f"std of the first layer's pre-activations; {SEARCHED}; 'same': as sigma_p"
    )
    bias: BiasRequest = Field(default=None, description="rule of the hidden layers' biases")
    bias_first: BiasRequest = Field(default=None, description="rule of the first layer's biases")
    learning_rate: RateAxis = Field(
        default=None, description="a range is searched, a number is fixed, null is customary for the family"
    )
    output_scale: Axis = Field(
        default=None, description="sigma_p of the output over that of the hidden layers; a range is searched; null: 1"
    )
    sigma_p_growth: Axis = Field(
        default=None,
        description="factor of sigma_p from one hidden layer to the next, sigma_p their geometric mean; "
        "a range is searched; null: 1",
    )

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
    """How much is tried: until the first of the limits is spent. The confirmation takes place in any case."""

    trials: Count = Field(default=24, description="for each family that has something to search, in the mean")
    seconds: Limit | None = Field(
        default=None, description="by the clock, from the study's start; the confirmation's share is kept back"
    )
    compute_seconds: Limit | None = Field(
        default=None, description="of all devices together; the confirmation's share is kept back"
    )
    race: bool = Field(
        default=True,
        description="several families: half of the trials go where improvement is expected; false: the same to each",
    )
    seed: Whole = 0
    horizon: Annotated[float, Field(strict=True, gt=0, le=1)] | None = Field(
        default=None, description="share of the steps after which trials are compared; null: 0.4"
    )


class Confirm(Request):
    """The finalists and the usual initialisations, trained to the end with the same fresh seeds."""

    finalists: Count = Field(default=3, description="for each family")
    seeds: Annotated[int, Field(strict=True, ge=2)] = 5


class HeldOut(Request):
    """PSNR over points that nothing trains on."""

    name: Literal["held_out"]
    share: Annotated[float, Field(strict=True, gt=0, le=0.5)] = Field(default=0.2, description="of the points")


class StepsToTarget(Request):
    """The fewest steps until the PSNR over all points reaches a target."""

    name: Literal["steps_to_target"]
    target: Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0, le=200)] = Field(description="PSNR in dB")


ObjectiveRequest = Annotated[
    Annotated[HeldOut, Tag("<held out>")]
    | Annotated[StepsToTarget, Tag("<steps to target>")]
    | Annotated[Literal["fit", "held_out", "area"], Tag("<plain>")],
    Discriminator(_objective_kind),
]


class WebhookRequest(Request):
    """Whom to tell when the study has ended. The secret signs the message and is shown to nobody."""

    url: str = Field(min_length=1, max_length=2048, description="an https address that takes a POST")
    secret: str = Field(min_length=16, max_length=255, description="of at least 16 letters; signs with HMAC-SHA256")


class StudyRequest(Request):
    """Which initialisation suits this dataset best? Everything but the first two fields has a default."""

    dataset_id: str
    activations: list[ActivationRequest] = Field(min_length=1, max_length=MOST_FAMILIES)
    network: NetworkRequest = NetworkRequest()
    training: Training = Training()
    search: Search = Search()
    method: Method = Field(default="analytic", description="how moments are computed")
    objective: ObjectiveRequest = Field(
        default="fit",
        description="fit: PSNR over all points at the end, mean over the last tenth of the steps; held_out: over "
        "points that nothing trains on; area: mean of the PSNR over the steps; steps_to_target: the fewest steps",
    )
    confirm: Confirm = Confirm()
    baselines: list[str] | None = Field(
        default=None, description="rules to compare with; null: the customary ones of each family"
    )
    held_out_signals: Annotated[int, Field(strict=True, ge=0, le=1000)] = Field(
        default=0,
        description="so many of the dataset's last signals are kept from the search; the answer says how well the "
        "config carries over to them",
    )
    webhook: WebhookRequest | None = Field(default=None, description="whom to tell when the study has ended")
    reuse: bool = Field(
        default=True,
        description="answer with the study that was asked for in the same words, if there is one, and let a new one "
        "start from the trials of studies like it, or from the best points of another one on the same data; false: "
        "begin anew",
    )
