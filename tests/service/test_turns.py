"""What many ask for at once: uploads wait apart from all other requests, and not for ever."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from anyio import to_thread
from starlette.testclient import TestClient

from service import reader as reading
from service.problems import Problem
from service.reader import Reader
from service.reading.contract import Options, RefusedError
from service.settings import Settings
from service.turns import AT_ONCE, Turns

MORE_THAN_THREADS = 44  # 40 threads answer


def test_uploads_that_wait_hold_nobody_else_up(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """More are sent than there are threads, and none can be read now: health and lists are answered meanwhile."""
    begun, may = threading.Semaphore(0), threading.Event()

    def read(*_: object) -> None:
        begun.release()
        assert may.wait(60)
        raise RefusedError("content", "is damaged")

    monkeypatch.setattr(Reader, "read", read)

    async def ask() -> None:
        transport = httpx2.ASGITransport(client.app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as asking, asyncio.timeout(50):
            uploads = [
                asyncio.create_task(asking.post("/v1/datasets", files={"files": ("a", bytes([number]))}))
                for number in range(MORE_THAN_THREADS)
            ]
            try:
                for _ in range(AT_ONCE):
                    await asyncio.to_thread(begun.acquire, timeout=50)
                while any(upload.done() for upload in uploads) or arrived() < MORE_THAN_THREADS - AT_ONCE:
                    await asyncio.sleep(0.01)
                answers = [await asking.get(path) for path in ("/healthz", "/readyz", "/v1/datasets")]
                assert [answer.status_code for answer in answers] == [200] * 3
                assert not any(upload.done() for upload in uploads)
            finally:
                may.set()
            assert [answer.status_code for answer in await asyncio.gather(*uploads)] == [422] * MORE_THAN_THREADS

    def arrived() -> int:
        return client.app.state.rooms.uploads.waiting  # type: ignore[attr-defined, no-any-return]

    asyncio.run(ask())


def test_health_needs_no_thread(client: TestClient) -> None:
    """It is answered while there is none."""

    async def ask() -> int:
        to_thread.current_default_thread_limiter().total_tokens = 0  # of this loop alone
        transport = httpx2.ASGITransport(client.app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as asking, asyncio.timeout(20):
            return (await asking.get("/healthz")).status_code

    assert asyncio.run(ask()) == 200


def test_an_upload_without_a_turn_is_told_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """503 with Retry-After; the one that has the turn goes on, and then it is another's."""
    monkeypatch.setattr("service.turns.PATIENCE", 0.01)

    async def take() -> None:
        turns, begun, may = Turns(1), threading.Event(), threading.Event()
        first = asyncio.create_task(turns.take(lambda: begun.set() or may.wait(60)))
        assert await asyncio.to_thread(begun.wait, 60)
        with pytest.raises(Problem) as refused:
            await turns.take(lambda: None)
        assert (refused.value.status, refused.value.headers) == (503, {"Retry-After": "5"})
        may.set()
        assert await first
        assert await turns.take(lambda: "done") == "done"

    asyncio.run(take())


def test_a_file_without_a_reading_process_is_told_to_come_again(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 with Retry-After while the one process has another file; that one is not touched."""
    monkeypatch.setattr(reading, "AT_ONCE", 1)
    monkeypatch.setattr(reading, "PATIENCE", 0.01)
    gate, script = tmp_path / "gate", tmp_path / "child.py"
    os.mkfifo(gate)
    script.write_text(f"open({str(gate)!r}).read()")  # until it is opened for writing, and closed
    monkeypatch.setattr(reading, "CHILD", script)
    reader, found = Reader(settings), []

    def read(sink: Callable[[str], None]) -> None:
        with pytest.raises(RefusedError) as lost:
            reader.read(b"a", Options())
        sink(lost.value.sentence)

    first = threading.Thread(target=read, args=(found.append,))
    first.start()
    with gate.open("w"), pytest.raises(Problem) as refused:  # the process is there
        reader.read(b"b", Options())
    first.join()
    assert (refused.value.status, refused.value.headers) == (503, {"Retry-After": "5"})
    assert found == [reading.LOST]
    reader.close()
