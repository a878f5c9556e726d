"""Every seed of a study as a function of the study's own seed, so that a resumed study trains the same networks.

Search seeds are even and confirmation seeds odd: a confirmation can never repeat a draw that the search chose from.
All are below 2^31: JSON readers, NumPy and torch hold them alike.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

__all__ = ["confirmation_seed", "moment_seed", "sampler_seed", "trial_seed"]


def trial_seed(study_seed: int, order: int, prior: Sequence[str] = ()) -> int:
    """The seed that the ``order``-th trial of a search trains from, the same for each of its attempts. Even.

    A search that starts from the ``prior`` ones has others than they had: their best trials are tried again in it.
    """
    return _draw(" after ".join(["trial", *prior]), study_seed, order) & ~1


def confirmation_seed(study_seed: int, replicate: int) -> int:
    """The seed of confirmation replicate ``replicate``: the same for every arm and family. Odd."""
    return _draw("confirmation", study_seed, replicate) | 1


def sampler_seed(study_seed: int, family: str, order: int) -> int:
    """What the sampler draws the ``order``-th proposal of a family from."""
    return _draw(f"sampler {family}", study_seed, order)


def moment_seed(study_seed: int, family: str) -> int:
    """The seed of the Monte Carlo moments: one a family, so that a config is a function of its point alone."""
    return _draw(f"moments {family}", study_seed, 0)


def _draw(purpose: str, study_seed: int, index: int) -> int:
    digest = hashlib.blake2b(f"{purpose}:{study_seed}:{index}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") >> 1
