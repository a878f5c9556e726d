"""A file's bytes -> a stored dataset, once for the same bytes and options."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict

from service.blobs import BlobStore
from service.problems import Problem
from service.reader import Reader
from service.reading.contract import Options, RefusedError
from service.records import Dataset
from service.store import Store

__all__ = ["store_file"]

READING = "vi3nr reading 2"  # part of the content hash: change it when the same bytes become another signal
STATUS = {"type": 415}  # of a refusal; every other kind is 422


def store_file(
    store: Store, blobs: BlobStore, reader: Reader, name: str, data: bytes, options: Options, owner: str = ""
) -> tuple[Dataset, bool]:
    """The dataset, and whether it was there before.

    Args:
        store: where datasets are recorded.
        blobs: where signals lie.
        reader: reads uploads.
        name: shown, never used as a path.
        data: the file's bytes.
        options: how it is read.
        owner: the id of the key that the dataset belongs to.

    Raises:
        Problem: 415 or 422, naming the file or the option, when it cannot be read.
    """
    content_hash = _content_hash(data, options)
    known = store.dataset_by_content(content_hash, owner)
    if known is not None and all(blobs.has(signal.blob_key) for signal in known.signals):
        return known, True
    try:
        reading = reader.read(data, options)
    except RefusedError as refusal:
        value = name if refusal.field == "files" else refusal.value
        raise Problem.of_field(refusal.field, value, refusal.sentence, STATUS.get(refusal.kind, 422)) from None
    blob_key = blobs.put(reading.signal.to_bytes())
    meta = {**reading.meta, "max_points": options.max_points}
    return store.add_dataset(
        name=name, content_hash=content_hash, signal=reading.signal, blob_key=blob_key, meta=meta, owner=owner
    ), known is not None


def _content_hash(data: bytes, options: Options) -> str:
    asked = {key: value for key, value in asdict(options).items() if value is not None}
    digest = hashlib.sha256(f"{READING}\n{json.dumps(asked, sort_keys=True)}\n".encode())
    digest.update(data)
    return digest.hexdigest()
