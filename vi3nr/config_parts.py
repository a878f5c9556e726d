"""The parts of an init config: bias rule, layer, stability, encoding, and the checks that they share.

No NumPy, no torch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from vi3nr.scalars import finite_number, whole_number

__all__ = [
    "BIAS_RULES",
    "ENCODINGS",
    "STABILITY_KINDS",
    "BiasRule",
    "Encoding",
    "LayerInit",
    "Stability",
    "require_choice",
    "require_count",
    "require_number",
]

BIAS_RULES = ("zero", "stability", "like_weights", "share", "torch_default")
STABILITY_KINDS = ("root", "several_roots", "any", "limit_at_0", "limit_at_infinity", "both_ends", "none")
ENCODINGS = ("fourier", "random_fourier")
SAME_BOUND = 1e-6  # relative
MOST_OCTAVES = 32  # float32 holds a coordinate to 24 bits, so sin(2^32 pi x) says nothing of x


def require_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Raise ValueError unless ``value`` is one of ``choices``."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, got {value!r}")


def require_number(
    name: str, value: object, *, optional: bool = True, negative: bool = False, zero: bool = True
) -> float | None:
    """The number as Python's own. Raises ValueError unless it is finite, of an allowed sign, or None where it may."""
    if value is None and optional:
        return None
    number = finite_number(value)
    if number is None:
        raise ValueError(f"{name} must be a finite number, got {value!r}")
    if number < 0.0 and not negative:
        raise ValueError(f"{name} must not be negative, got {value!r}")
    if number == 0.0 and not zero:
        raise ValueError(f"{name} must be positive, got {value!r}")
    return number


def require_count(name: str, value: object, least: int = 1) -> int:
    """The integer as Python's own. Raises ValueError unless it is at least ``least``."""
    count = whole_number(value)
    if count is None or count < least:
        kind = "a positive integer" if least == 1 else f"an integer of at least {least}"
        raise ValueError(f"{name} must be {kind}, got {value!r}")
    return count


@dataclass(frozen=True)
class BiasRule:
    """How a layer's biases take their share of the pre-activation variance ``sigma_p^2``.

    ``zero``           Var b = 0
    ``share``          Var b = share * sigma_p^2, 0 <= share < 1
    ``stability``      Var b = sigma_p^2 (1 - 1/cond): forward and backward conditions both hold (hidden layers)
    ``like_weights``   biases are drawn like the layer's weights: Var b = Var W
    ``torch_default``  ``nn.Linear``'s own: U(-1/sqrt(fan_in), 1/sqrt(fan_in)), Var b = 1/(3 fan_in)

    In each case the weights get what remains, so that the pre-activations keep the std asked for.
    """

    rule: str = "zero"
    share: float | None = None

    def __post_init__(self) -> None:
        if self.rule not in BIAS_RULES:
            raise ValueError(f"bias rule {self.rule!r} is unknown; choose one of {', '.join(BIAS_RULES)}")
        if (self.rule == "share") != (self.share is not None):
            raise ValueError(f"a share goes with the rule 'share' alone, got rule {self.rule!r}, share {self.share!r}")
        object.__setattr__(self, "share", require_number("bias share", self.share))
        if self.share is not None and not (0.0 <= self.share < 1.0):
            raise ValueError(f"bias share must lie in [0, 1), got {self.share!r}")


@dataclass(frozen=True)
class LayerInit:
    """One Linear layer's initialisation: stds of weights and biases, and the bounds when uniform.

    In a complex layer (``InitConfig.complex_weights``) a std is that of the modulus, ``E|W|^2 = weight_std^2``; real
    and imaginary part are drawn alike and independently, and a bound holds for each of them.
    """

    fan_in: int
    fan_out: int
    weight_std: float
    weight_bound: float | None  # sqrt(3) weight_std for the uniform distribution (complex: sqrt(3/2)); None: normal
    bias_std: float
    bias_bound: float | None
    sigma_p: float | None  # std of the layer's pre-activations that the rule aims at; None for rules without an aim

    def __post_init__(self) -> None:
        for name in ("fan_in", "fan_out"):
            object.__setattr__(self, name, require_count(f"{name} of a layer", getattr(self, name)))
        for name in ("weight_std", "weight_bound", "bias_std", "bias_bound", "sigma_p"):
            optional = name not in ("weight_std", "bias_std")
            number = require_number(f"{name} of a layer", getattr(self, name), optional=optional)
            object.__setattr__(self, name, number)

    def check_bounds(self, index: int, distributions: tuple[str, str], parts: int) -> None:
        """Raise ValueError where a bound says another thing than the std, which is what is drawn.

        ``distributions`` are those of weights and biases; ``parts`` is 2 in a complex layer, else 1.
        """
        for what, distribution in zip(("weight", "bias"), distributions, strict=True):
            std, bound = getattr(self, f"{what}_std"), getattr(self, f"{what}_bound")
            expected = math.sqrt(3.0 / parts) * std
            if bound is None or (distribution == "uniform" and math.isclose(bound, expected, rel_tol=SAME_BOUND)):
                continue
            if distribution == "normal":
                raise ValueError(f"{what}_bound of layer {index} goes with uniform numbers only, got {bound!r}")
            raise ValueError(
                f"{what}_bound of layer {index} must be sqrt({3.0 / parts:g}) {what}_std = {expected!r}, as what is "
                f"drawn follows {what}_std; got {bound!r}"
            )


@dataclass(frozen=True)
class Stability:
    """The theory's own sigma_p for the hidden layers, and which kind of answer it is (see ``vi3nr.theory``)."""

    sigma_p: float | None
    kind: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "sigma_p", require_number("sigma_p of stability", self.sigma_p, zero=False))
        require_choice("kind of stability", self.kind, STABILITY_KINDS)


@dataclass(frozen=True)
class Encoding:
    """A positional encoding in front of the first layer: fixed features of the coordinates x, see ``vi3nr.encoding``.

    ``fourier``         sin(2^k pi x) and cos(2^k pi x) of each axis, k = 0 .. frequencies - 1 (NeRF, equation 4)
    ``random_fourier``  sin(2 pi b.x) and cos(2 pi b.x) for as many vectors b as ``frequencies``, with entries from
                        N(0, std^2), in cycles per unit of x, drawn from ``seed`` (Tancik et al. 2020)

    ``in_dim`` is the coordinates' dimension; with ``identity`` the coordinates themselves come first. Raises ValueError
    for numbers that make no encoding.
    """

    kind: str
    in_dim: int
    frequencies: int
    identity: bool = True
    std: float | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        require_choice("kind of an encoding", self.kind, ENCODINGS)
        for name in ("in_dim", "frequencies"):
            object.__setattr__(self, name, require_count(f"{name} of an encoding", getattr(self, name)))
        if not isinstance(self.identity, bool):
            raise ValueError(f"identity of an encoding must be true or false, got {self.identity!r}")
        random = self.kind == "random_fourier"
        if random != (self.std is not None) or random != (self.seed is not None):
            raise ValueError(
                f"std and seed go with the encoding 'random_fourier' and only with it, got kind {self.kind!r}, "
                f"std {self.std!r}, seed {self.seed!r}"
            )
        object.__setattr__(self, "std", require_number("std of an encoding", self.std))
        if self.seed is not None:
            object.__setattr__(self, "seed", require_count("seed of an encoding", self.seed, least=0))
        if not random and self.frequencies > MOST_OCTAVES:
            raise ValueError(
                f"frequencies of a fourier encoding must be at most {MOST_OCTAVES}, got {self.frequencies}"
            )

    @property
    def pairs(self) -> int:
        """How many pairs of a sine and a cosine there are."""
        return self.frequencies * (self.in_dim if self.kind == "fourier" else 1)

    @property
    def out_dim(self) -> int:
        """How many features there are: the first layer's fan-in."""
        return 2 * self.pairs + (self.in_dim if self.identity else 0)

    def second_moment(self, of_coordinates: float) -> float:
        """E x^2 of the features, mean over points and features, given that of the coordinates.

        Exact for coordinates of any distribution, because ``sin^2 + cos^2 = 1`` point by point and pair by pair.
        """
        return (self.pairs + (self.in_dim * of_coordinates if self.identity else 0.0)) / self.out_dim
