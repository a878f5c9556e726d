"""The dashboard's stories without a server: every state of a study, every kind of signal."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from encoders import a_tone, a_volume
from live_service import a_picture
from PIL import Image
from studies_to_store import LONG, note, plan
from studies_to_store import result as some_result

from service.blobs import BlobStore
from service.dashboard.files import family_files
from service.dashboard.stories import Stories
from service.dashboard.words import study_name, study_note
from service.records import Dataset, Title
from service.states import StudyState
from service.store import Store, new_id
from service.surfaces import Own
from service.trial_records import optuna_name
from vi3nr.grids import grid_signal
from vi3nr.shapes import shape_grid, shape_signal
from vi3nr.signals import Signal, image_signal
from workers.exhibits import SHAPE_SIDE, Exhibit

PIXELS = np.asarray(Image.open(io.BytesIO(a_picture())))


def test_a_running_study_says_how_far_it_is(store: Store) -> None:
    """On both databases: the stage in its name, the counts and the best so far in its note; a failed one its error."""
    dataset = store.add_dataset(name="a\nb", content_hash="r", signal=image_signal(PIXELS), blob_key="0" * 64, meta={})
    study = store.add_study(plan=plan(new_id()), dataset_id=dataset.id, request={}).id
    stories = Stories(store, BlobStore(Path("none")))
    name = optuna_name(study, "gaussian")
    assert stories.names([name, "other", "other gaussian"]) == {name: f"a b, gaussian: queued ({study})"}
    claim = store.claim("runner", LONG, only=study)
    assert claim is not None
    store.record_progress(study, claim.lease_number, note(10, phase="confirm"))
    assert stories.names([name]) == {name: f"a b, gaussian: confirming ({study})"}
    story = stories.story(study, "gaussian")
    assert story is not None
    assert "Confirming with fresh seeds: 1 of 8 trials, 0 of 6 runs, best so far 21.50 dB" in story.note.replace(
        "\\", ""
    )
    store.fail(study, claim.lease_number, "the disk <b>is full</b>")
    failed = stories.story(study, "gaussian")
    assert failed is not None
    assert "The study failed\n\nthe disk <b>is full</b>" in failed.note.replace("\\", "")
    assert stories.story(study, "relu") is None
    assert stories.story("0" * 12, "gaussian") is None


def test_a_deleted_study_is_gone(store: Store) -> None:
    """Its name and its story go with it: there is nothing else of them."""
    study = store.add_study(
        plan=plan(new_id()), request={},
        dataset_id=store.add_dataset(
            name="a", content_hash="d", signal=image_signal(PIXELS), blob_key="0" * 64, meta={}
        ).id,
    ).id  # fmt: skip
    stories = Stories(store, BlobStore(Path("none")))
    assert stories.story(study, "gaussian") is not None
    assert store.delete_study(study) == "deleted"
    assert stories.names([optuna_name(study, "gaussian")]) == {}
    assert stories.story(study, "gaussian") is None


def test_a_family_without_a_sigma_p_of_its_own_is_told(store: Store) -> None:
    """With the reason, in a sentence; a signal of one axis has points."""
    signal = grid_signal(a_tone(400), kind="sound")
    dataset = store.add_dataset(name="a", content_hash="t", signal=signal, blob_key="0" * 64, meta={})
    study = store.add_study(plan=plan(new_id()), dataset_id=dataset.id, request={})
    known = some_result()
    family = replace(known.families[0], stability_kind="limit_at_0", stability_sigma_p=None)
    told = study_note(
        study, dataset, family.family, replace(known, families=(family,)), Own(0.02, None, "limit_at_0"), ""
    ).replace("\\", "")
    assert "**Theory:** No sigma_p of this family keeps signal and gradients alike (limit at 0)." in told
    assert "**Asked:** a (sound, 400 points), gaussian" in told


def test_a_long_name_is_cut() -> None:
    """The list stays readable, and the id stands at the end."""
    name = study_name("0123456789ab", "sine", Title("x" * 200, StudyState.RUNNING, None))
    assert name == f"{'x' * 59}…, sine: running (0123456789ab)"


def made_by_hand(signal: Signal, **extra: np.ndarray) -> tuple[Dataset, Exhibit]:
    """A network that makes of the signal what it is."""
    arm = some_result().families[0].winner
    exhibit = Exhibit("gaussian", arm.name, arm.kind, 5, 1, signal.values, np.zeros(3, np.float32), (), **extra)
    return Dataset("d", "a", signal.kind, len(signal.values), 1, 1, (), 0.0), exhibit


def test_every_kind_has_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sound can be heard beside the original, a volume and a shape be seen; the finalist's are its trial's."""
    from service.reading.kinds import KINDS

    monkeypatch.setattr(Dataset, "meta", {"sample_rate": 8000, "value_range": [-1, 1]})
    vertices = np.array([(1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)], float)
    faces = np.array([(0, 1, 2), (0, 2, 3), (0, 3, 1), (1, 3, 2)])
    shape = shape_signal(vertices, faces, points=50)
    ball = np.linalg.norm(shape_grid(SHAPE_SIDE), axis=1).astype(np.float32) - 0.5
    family = some_result().families[0]
    signals = {
        "image": (image_signal(PIXELS), {}),
        "sound": (grid_signal(a_tone(400), kind="sound"), {}),
        "array": (grid_signal(a_volume()[..., None], kind="array"), {}),
        "shape": (shape, {"distances": ball}),
    }
    assert signals.keys() == set(KINDS)
    for kind, (signal, extra) in signals.items():
        dataset, exhibit = made_by_hand(signal, **extra)
        files = family_files(signal, dataset, family, [exhibit])
        assert files, kind
        assert {one.trial for one in files} - {None} == {3}, kind
        for one in files:
            if one.media_type == "image/png":
                assert min(Image.open(io.BytesIO(one.data)).size) > 1
            else:
                assert soundfile.read(io.BytesIO(one.data))[0].shape == (400,)
    assert [one.media_type for one in files].count("image/png") == 3
