"""An image's bytes -> a stored dataset, once for the same bytes and options."""

from __future__ import annotations

import hashlib

from service.blobs import BlobStore
from service.images import ImageReader, UnreadableImageError
from service.problems import Problem
from service.records import Dataset
from service.store import Store

__all__ = ["store_image"]

READING = b"vi3nr image 1"  # part of the content hash: change it when the same bytes become another signal
STATUS = {"type": 415, "size": 422, "content": 422}


def store_image(
    store: Store, blobs: BlobStore, images: ImageReader, name: str, data: bytes, max_points: int, owner: str = ""
) -> tuple[Dataset, bool]:
    """The dataset, and whether it was there before.

    Args:
        store: where datasets are recorded.
        blobs: where signals lie.
        images: reads uploads.
        name: shown, never used as a path.
        data: the file's bytes.
        max_points: a larger image is made smaller until it has at most as many pixels.
        owner: the id of the key that the dataset belongs to.

    Raises:
        Problem: 415 or 422, naming the file, when it cannot be read.
    """
    content_hash = hashlib.sha256(b"%b, max_points %d\n" % (READING, max_points) + data).hexdigest()
    known = store.dataset_by_content(content_hash, owner)
    if known is not None and blobs.has(known.blob_key):
        return known, True
    try:
        image = images.read(data, max_points)
    except UnreadableImageError as error:
        raise Problem.of_field("files", name, str(error), STATUS[error.kind]) from None
    meta = {
        "original_size": list(image.original),
        "size": list(image.size),
        "channels": image.channels,
        "max_points": max_points,
        "notes": list(image.notes),
    }
    blob_key = blobs.put(image.signal.to_bytes())
    return store.add_dataset(
        name=name, content_hash=content_hash, signal=image.signal, blob_key=blob_key, meta=meta, owner=owner
    ), known is not None
