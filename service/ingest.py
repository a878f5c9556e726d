"""The bytes of one or more files -> a stored dataset, once for the same bytes and options."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from service.blobs import BlobStore
from service.problems import Problem
from service.reader import Reader
from service.reading.contract import Options, Reading, RefusedError
from service.records import Dataset, StoredSignal
from service.store import Store
from vi3nr.signals import Signal

__all__ = ["store_files"]

READING = "vi3nr reading 2"  # part of the content hash: change it when the same bytes become another signal
STATUS = {"type": 415}  # of a refusal; every other kind is 422


def store_files(
    store: Store,
    blobs: BlobStore,
    reader: Reader,
    files: Sequence[tuple[str, bytes]],
    options: Options,
    owner: str = "",
    most: int | None = None,
) -> tuple[Dataset, bool]:
    """The dataset, and whether it was there before.

    Args:
        store: where datasets are recorded.
        blobs: where signals lie.
        reader: reads uploads.
        files: name and bytes of each, one signal each; a name is shown, never used as a path.
        options: how they are read, all alike.
        owner: the id of the key that the dataset belongs to.
        most: datasets that it may have; None: any number. Uploads at the same moment may exceed it by their number.

    Raises:
        Problem: 429 for one too many; 415 or 422, naming the file or the option, when one cannot be read or they do
            not go together.
    """
    content_hash = _content_hash([data for _, data in files], options)
    known = store.dataset_by_content(content_hash, owner)
    if known is not None and all(blobs.has(signal.blob_key) for signal in known.signals):
        return known, True
    if most is not None and known is None and (count := store.count_datasets(owner)) >= most:
        sentence = f"the limit is {most}, and so many datasets of this key are kept already: delete one"
        raise Problem.of_field("max_datasets", count, sentence, 429, kind="max-datasets")
    stored: list[StoredSignal] = []
    try:
        first = _put(blobs, reader, files, options, stored)
    except Problem:
        store.forget_signals([signal.blob_key for signal in stored], blobs.remove)
        raise
    one, *more = stored
    dataset = store.add_dataset(
        name=one.name,
        content_hash=content_hash,
        signal=first,
        blob_key=one.blob_key,
        meta=one.meta,
        more=more,
        owner=owner,
    )
    for (name, data), signal in zip(files, dataset.signals, strict=True):
        if not blobs.has(signal.blob_key):  # forgotten with another dataset, after it had been found there
            blobs.put(_read(reader, name, data, options).signal.to_bytes())
    return dataset, known is not None


def _put(
    blobs: BlobStore, reader: Reader, files: Sequence[tuple[str, bytes]], options: Options, stored: list[StoredSignal]
) -> Signal:
    """Put each file's signal among the blobs, and on the list; the first of them. Raises Problem."""
    first: Signal | None = None
    for name, data in files:
        reading = _read(reader, name, data, options)
        signal = reading.signal
        first = first or signal
        if _ends(signal) != _ends(first):
            sentence = f"is {_words(signal)}, the first file is {_words(first)}: the signals of a dataset are alike"
            raise Problem.of_field("files", name, sentence)
        meta = {**reading.meta, "max_points": options.max_points, "options": _asked(options), "sha256": _digest(data)}
        key = blobs.put(signal.to_bytes())
        stored.append(StoredSignal(name, key, signal.shape, len(signal.values), meta))
    if first is None:
        raise Problem.of_field("files", "0 files", "a dataset needs at least one file")
    return first


def _read(reader: Reader, name: str, data: bytes, options: Options) -> Reading:
    try:
        return reader.read(data, options)
    except RefusedError as refusal:
        value = name if refusal.field == "files" else refusal.value
        raise Problem.of_field(refusal.field, value, refusal.sentence, STATUS.get(refusal.kind, 422)) from None


def _ends(signal: Signal) -> tuple[str, int, int]:
    return signal.kind, signal.coordinates.shape[1], signal.values.shape[1]


def _words(signal: Signal) -> str:
    kind, coordinates, values = _ends(signal)
    article = "an" if kind[0] in "aeiou" else "a"
    return f"{article} {kind} of {coordinates} coordinates and {values} values"


def _content_hash(files: Sequence[bytes], options: Options) -> str:
    """Of one file: of its bytes after the options; of several their lengths come before."""
    asked = _asked(options)
    if len(files) > 1:
        asked["lengths"] = [len(data) for data in files]
    digest = hashlib.sha256(f"{READING}\n{json.dumps(asked, sort_keys=True)}\n".encode())
    for data in files:
        digest.update(data)
    return digest.hexdigest()


def _asked(options: Options) -> dict[str, Any]:
    return {key: value for key, value in asdict(options).items() if value is not None}


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
