"""What the networks of a study make of its signal, as files for the dashboard: the report's pictures, or a sound."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from service.give_back import FORMATS, Format, Made
from service.pages import words
from service.pages.pictures import Picture, Shown, psnr_of
from service.pages.sections import reconstructions
from service.records import Dataset
from vi3nr.signals import Signal
from workers.exhibits import Exhibit
from workers.result import FamilyResult

__all__ = ["File", "family_files"]


@dataclass(frozen=True)
class File:
    """``trial`` is the number of the trial whose network made it; None: no trial's. Names begin with a number, for the
    dashboard sorts by them.
    """

    name: str
    media_type: str
    data: bytes
    trial: int | None = None


def family_files(signal: Signal, dataset: Dataset, family: FamilyResult, exhibits: Sequence[Exhibit]) -> list[File]:
    """The original, then what each network makes of it, then where that is wrong, as far as the kind has them."""
    arms = {arm.name: arm for arm in family.arms}
    shown = [Shown(words.arm_name(arms[one.arm]), one) for one in exhibits if one.arm in arms]
    trials = {one.title: arms[one.exhibit.arm].trial for one in shown}
    section = reconstructions(signal, shown, dataset.name, dataset.meta)
    if section is not None and section.pictures:
        return [_picture(one, place, trials) for place, one in enumerate(section.pictures, 1)]
    return _recordings(signal, dataset, shown, trials)


def _picture(picture: Picture, place: int, trials: dict[str, int | None]) -> File:
    data = base64.b64decode(picture.uri.partition(",")[2])
    of = picture.title.removeprefix("Error of ").removeprefix("Slice of ")
    return File(f"{place} {picture.title}, {picture.caption}.png", "image/png", data, trials.get(of))


def _recordings(signal: Signal, dataset: Dataset, shown: Sequence[Shown], trials: dict[str, int | None]) -> list[File]:
    forms = FORMATS.get(dataset.kind)
    if not forms or not shown:
        return []
    form: Format = next(iter(forms.values()))
    files = []
    if form.suffix == "wav":  # a picture has the original beside it
        made = Made.of(signal, signal.values, 1, dataset.meta)
        files.append(File(f"1 Original.{form.suffix}", form.media_type, form.write(made)))
    for place, one in enumerate(shown, len(files) + 1):
        made = Made.of(signal, one.exhibit.values, one.exhibit.stride, dataset.meta)
        name = f"{place} {one.title}, {psnr_of(one.exhibit, signal):.2f} dB.{form.suffix}"
        files.append(File(name, form.media_type, form.write(made), trials[one.title]))
    return files
