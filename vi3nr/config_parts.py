"""The parts of an init config: bias rule, layer, stability, encoding, and the checks that they share.

No NumPy, no torch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = [
    "BIAS_RULES",
    "ENCODINGS",
    "BiasRule",
    "Encoding",
    "LayerInit",
    "Stability",
    "require_choice",
    "require_count",
    "require_number",
]

BIAS_RULES = ("zero", "stability", "like_weights", "share", "torch_default")
ENCODINGS = ("fourier", "random_fourier")
MOST_OCTAVES = 32  # float32 holds a coordinate to 24 bits, so sin(2^32 pi x) says nothing of x


def require_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Raise ValueError unless ``value`` is one of ``choices``."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, got {value!r}")


def require_number(name: str, value: object, *, optional: bool = True, negative: bool = False) -> None:
    """Raise ValueError unless ``value`` is a finite number, or None where that is allowed."""
    if value is None and optional:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{name} must be a finite number, got {value!r}")
    if value < 0.0 and not negative:
        raise ValueError(f"{name} must not be negative, got {value!r}")


def require_count(name: str, value: object, least: int = 1) -> None:
    """Raise ValueError unless ``value`` is an integer of at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        kind = "a positive integer" if least == 1 else f"an integer of at least {least}"
        raise ValueError(f"{name} must be {kind}, got {value!r}")


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
        require_number("bias share", self.share)
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
            require_count(f"{name} of a layer", getattr(self, name))
        for name in ("weight_std", "weight_bound", "bias_std", "bias_bound", "sigma_p"):
            require_number(f"{name} of a layer", getattr(self, name), optional=name not in ("weight_std", "bias_std"))


@dataclass(frozen=True)
class Stability:
    """The theory's own sigma_p for the hidden layers, and which kind of answer it is (see ``vi3nr.theory``)."""

    sigma_p: float | None
    kind: str


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
        require_count("in_dim of an encoding", self.in_dim)
        require_count("frequencies of an encoding", self.frequencies)
        if not isinstance(self.identity, bool):
            raise ValueError(f"identity of an encoding must be true or false, got {self.identity!r}")
        random = self.kind == "random_fourier"
        if random != (self.std is not None) or random != (self.seed is not None):
            raise ValueError(
                f"std and seed go with the encoding 'random_fourier' and only with it, got kind {self.kind!r}, "
                f"std {self.std!r}, seed {self.seed!r}"
            )
        require_number("std of an encoding", self.std)
        if self.seed is not None:
            require_count("seed of an encoding", self.seed, least=0)
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
