"""The answer of one family in words and numbers, for the top of the report."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from service.pages import words
from service.render import file_name, snippet
from workers.result import FamilyResult

__all__ = ["Answer", "Tile", "answer_of"]

HEADLINES: dict[str | None, str] = {
    "better": "This initialisation beats the usual ones",
    "as_good": "As good as your usual default, not clearly better",
    "worse": "Your usual default is already best",
    None: "The best initialisation found",
}
AT_ANOTHER_SCALE: dict[str | None, str] = {  # or rate than customary: what it is compared with is nobody's default
    "as_good": "As good as a usual rule at the best scale and rate, not clearly better",
    "worse": "A usual rule is best, at a scale or rate that is not customary",
}


@dataclass(frozen=True)
class Tile:
    """One number of the answer, with what is said below it."""

    name: str
    value: str
    below: str = ""


@dataclass(frozen=True)
class Answer:
    """What a reader came for."""

    headline: str
    verdict: str  # class of the headline: better, as_good, worse or plain
    sentence: str
    tiles: tuple[Tile, ...]
    snippet: str
    file: str
    config: str  # data URI of the init config's JSON


def answer_of(family: FamilyResult, unit: str) -> Answer:
    """The winner of a family against what people would have used."""
    verdict = None if family.comparison is None else family.comparison.verdict
    headlines = HEADLINES if family.comparison is None or family.comparison.customary else HEADLINES | AT_ANOTHER_SCALE
    told = (family.comparison, family.carry_over)
    name = file_name(family.family)
    config = base64.b64encode(family.winner.init_config.to_json().encode()).decode()
    return Answer(
        headlines[verdict], verdict or "plain", " ".join(said.sentence for said in told if said is not None),
        tuple(_tiles(family, unit)), snippet(name), name, f"data:application/json;base64,{config}",
    )  # fmt: skip


def _tiles(family: FamilyResult, unit: str) -> list[Tile]:
    arm = family.winner
    tiles = [Tile("family", arm.family)]
    tiles.append(
        Tile("sigma_a", words.number(arm.sigma_a), f"omega {1 / arm.sigma_a:.4g}" if arm.family == "sine" else "")
    )
    if arm.sigma_p is None:
        tiles.append(Tile("rule", words.arm_name(arm)))
    else:
        first = f"first layer {words.number(arm.sigma_p_first)}" if arm.sigma_p_first is not None else ""
        tiles.append(Tile("sigma_p", words.number(arm.sigma_p), first))
    ends = words.between(arm.score, unit)
    seeds = f"{arm.score.n} seeds"
    tiles.append(
        Tile("score", f"{arm.score.mean:.{words.digits(unit)}f} {unit}", f"95 %: {ends}, {seeds}" if ends else seeds)
    )
    if family.comparison is not None and arm.kind != "baseline":  # else the sentence alone tells how far the others are
        gain = family.comparison.gain
        ends = words.between(gain, unit).replace("-", "\u2212")
        against = family.comparison.baseline.removeprefix(f"{family.family} ")
        tiles.append(
            Tile(
                "gain",
                f"{words.signed(gain.mean, unit)} {unit}",
                f"over {against}" + (f"; 95 %: {ends}" if ends else ""),
            )
        )
    return tiles
