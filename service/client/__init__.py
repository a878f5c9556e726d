"""The Python client: ``Client`` and ``AsyncClient`` of a running service, typed.

    from service.client import Client

    with Client("http://localhost:8000") as client:
        dataset = client.upload("photo.png")
        study = client.start({"dataset_id": dataset.id, "activations": [{"family": "gaussian"}]})
        client.wait(study.id, progress=lambda study: print(study.phase, study.seconds_left))
        config = client.best(study.id).families[0].winner.init_config

What may be sent again is sent again when the service is away or busy: all of it, since a new study carries an
Idempotency-Key. What the service refuses is an ``ApiError`` with the problem's fields.
"""

from service.client.asynchronous import AsyncClient
from service.client.errors import ApiError, ServiceError, UnreachableError
from service.client.retries import Retries
from service.client.synchronous import Client

__all__ = ["ApiError", "AsyncClient", "Client", "Retries", "ServiceError", "UnreachableError"]
