"""What a report shows of each kind of signal, from exhibits made by hand: nothing is trained."""

from __future__ import annotations

import ast
import base64
import io
import math
import re
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from PIL import Image
from studies_to_store import result

from service.pages import words
from service.pages.answers import answer_of
from service.pages.pictures import Shown
from service.pages.sections import KINDS, reconstructions
from service.pages.surface_plots import WORDS, trial_plot
from service.reading.kinds import KINDS as READ
from service.render import snippet
from vi3nr.grids import grid_signal
from vi3nr.shapes import shape_grid, shape_signal
from vi3nr.signals import Signal, image_signal
from workers import axes
from workers.exhibits import SHAPE_SIDE, Exhibit, shown_points
from workers.objective import Objective
from workers.response_data import Observation
from workers.result import Interval
from workers.verdict import family_result

RNG = np.random.default_rng(0)
TETRAHEDRON = (
    np.array([(1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)], float),
    np.array([(0, 1, 2), (0, 2, 3), (0, 3, 1), (1, 3, 2)]),
)


def shown(signal: Signal, noise: float, stride: int = 1, title: str = "trial 3", **extra: np.ndarray) -> Shown:
    """A network that makes of the signal what it is, but for some noise."""
    values = signal.values[shown_points(signal.shape, stride)]
    values = (values + noise * RNG.standard_normal(values.shape)).astype(np.float32)
    return Shown(title, Exhibit("sine", title, "finalist", 5, stride, values, np.zeros(3, np.float32), (), **extra))


def png(uri: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))


def test_every_kind_of_file_has_a_section():
    """Whatever can be uploaded can be looked at."""
    assert set(READ) <= set(KINDS)


def test_zero_has_no_minus_sign():
    """A loss that rounds to nothing is told as nothing."""
    assert words.signed(-0.2, "steps") == "+0"
    assert words.signed(-0.001, "dB") == "+0.00"
    assert words.between(Interval(-0.1, -0.4, 0.2, 3), "steps") == "0 to 0"


def test_every_axis_has_words():
    """Whatever a study can search, its plots have a label for it."""
    assert {getattr(axes, name) for name in axes.__all__ if name.isupper() and name != "LINEAR"} == set(WORDS)


def test_steps_are_named_where_scores_are_steps():
    """The good basin of a study of steps ends so many steps below the best, not a dB."""
    assert words.near("dB", 1.0) == "within 1 dB of the best"
    assert words.near("steps", 50.0) == "within 50 steps of the best"


def test_only_complete_trials_lead():
    """A pruned one is drawn where it was expected to end, and that is no score."""
    trials = [Observation({}, 20.0, {10: 10.0}), Observation({}, None, {10: 15.0}), Observation({}, 22.0, {10: 11.0})]
    plot = trial_plot(trials, "dB")
    assert "the best scores 22.00 dB" in plot
    assert "a pruned trial, where it was expected to end" in plot


def test_a_usual_rule_that_won_loses_nothing_to_itself():
    """The answer's tiles have no gain then; the sentence tells how far the others are."""
    found = result().families[0].winner
    usual = replace(
        found, kind="baseline", name="gaussian Xavier, sigma_a 0.05", values=tuple(v + 9 for v in found.values)
    )
    usual = replace(usual, score=replace(found.score, mean=found.score.mean + 9))
    names = []
    for arms in ((found, replace(usual, score=replace(found.score, mean=0.0))), (found, usual)):
        family = family_result("gaussian", arms, replicates=found.score.n, trials=3, objective=Objective())
        names.append({tile.name for tile in answer_of(family, "dB").tiles})
    assert "gain" in names[0]
    assert "gain" not in names[1]


def test_the_headline_calls_no_rule_a_default_that_nobody_has():
    """A usual rule at a rate that was found is not somebody's default, in the headline neither."""
    found = result().families[0].winner
    usual = replace(found, kind="baseline", name="gaussian Xavier, sigma_a 0.05", sigma_a=0.05, learning_rate=4e-3)
    usual = replace(usual, values=tuple(v + 9 + 0.1 * n for n, v in enumerate(found.values)))
    heads = []
    for rate in (1e-3, 4e-3):
        arms = (found, replace(usual, score=replace(found.score, mean=found.score.mean + 9)))
        family = family_result("gaussian", arms, replicates=found.score.n, trials=3, objective=Objective(), rate=rate)
        heads.append(answer_of(family, "dB").headline)
    assert heads == [
        "A usual rule is best, at a scale or rate that is not customary",
        "Your usual default is already best",
    ]


def test_a_path_is_printed_as_it_is():
    """Quotes and brackets in a folder's name end up in the snippet as Python reads them."""
    path = 'runs[final] "2"/best.json'
    assert ast.literal_eval(snippet(path).partition("open(")[2].partition(").read")[0]) == path


@pytest.mark.parametrize("channels", [1, 3])
def test_a_perfect_image_has_no_error(channels):
    """The reconstruction's picture is the original's, pixel by pixel, and its error map is dark throughout; beside it a
    noisy one is not."""
    signal = image_signal(RNG.integers(0, 256, (9, 7, channels), dtype=np.uint8))
    section = reconstructions(signal, [shown(signal, 0.0), shown(signal, 0.2, title="usual")], "cat", {})
    original, perfect, noisy, no_error, error = section.pictures
    assert (png(original.uri) == png(perfect.uri)).all()
    assert (png(original.uri) != png(noisy.uri)).any()
    assert len(np.unique(png(no_error.uri).reshape(-1, 3), axis=0)) == 1
    assert len(np.unique(png(error.uri).reshape(-1, 3), axis=0)) > 5


def test_exhibits_of_different_strides_are_shown_alike():
    """The finer one is thinned to the coarser one's pixels."""
    signal = image_signal(RNG.integers(0, 256, (12, 8, 3), dtype=np.uint8))
    section = reconstructions(signal, [shown(signal, 0.0, 1), shown(signal, 0.0, 2, "usual")], "cat", {})
    assert {png(picture.uri).shape[:2] for picture in section.pictures} == {(6, 4)}
    assert (png(section.pictures[1].uri) == png(section.pictures[2].uri)).all()
    assert "Every 2th" not in section.note
    assert "every second" in section.note.lower()


def test_a_sound_can_be_heard():
    """The players hold the sound itself, at its rate, to the precision of 16 bits."""
    samples = 0.8 * np.sin(np.arange(2000) / 9.0)[:, None]
    signal = grid_signal(samples, "sound")
    html = str(reconstructions(signal, [shown(signal, 0.01)], "<bell>", {"sample_rate": 8000.0}).html)
    heard = [
        soundfile.read(io.BytesIO(base64.b64decode(data))) for data in re.findall(r"audio/wav;base64,([^']+)", html)
    ]
    assert len(heard) == 2
    assert [rate for _, rate in heard] == [8000, 8000]
    assert np.abs(heard[0][0] - samples[:, 0]).max() < 1e-4
    assert "Play &lt;bell&gt;" in html


@pytest.mark.parametrize(("shape", "pictures"), [((40,), 0), ((6, 8), 2), ((4, 6, 8), 6), ((3, 4, 6, 8), 6)])
def test_arrays_are_shown_by_their_axes(shape, pictures):
    """One axis makes a curve, two a picture, more axes three middle slices of original and reconstruction."""
    signal = grid_signal(RNG.uniform(-1, 1, (*shape, 1)), "array")
    section = reconstructions(signal, [shown(signal, 0.1)], "a", {"axes": ["x", "y", "z", "t"][: len(shape)]})
    assert str(section.html).count("<img") == pictures
    assert ("<polyline" in section.html) == (len(shape) == 1)


def test_a_perfect_shape_fills_itself():
    """Exact distances on the grid give an intersection over union of nearly 1; a network without a surface is told."""
    signal = shape_signal(*TETRAHEDRON, points=512)
    grid = shape_grid(SHAPE_SIDE).astype(np.float64)
    vertices, faces = signal.extras["vertices"].astype(float), signal.extras["faces"]
    planes = []
    for face in faces:
        a, b, c = vertices[face]
        normal = np.cross(b - a, c - a)
        normal *= math.copysign(1.0, normal @ a) / np.linalg.norm(normal)
        planes.append(grid @ normal - normal @ a)
    exact = np.max(planes, axis=0).astype(np.float32)
    good, empty = shown(signal, 0.0, distances=exact), shown(signal, 0.0, title="usual", distances=np.abs(exact) + 1)
    section = reconstructions(signal, [good, empty], "t", {})
    original, made, nothing, slice_made, slice_nothing = section.pictures
    assert float(slice_made.caption.rsplit(" ", 1)[1]) > 0.98
    assert slice_nothing.caption.endswith("0.000")
    assert "no surface" in nothing.caption
    assert np.abs(png(original.uri).astype(float) - png(made.uri)).mean() < 12
