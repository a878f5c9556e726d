"""Asking for a webhook: where it may go, which study it belongs to, and a secret that comes back nowhere."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient
from studies_to_store import ask

from service.database import make_engine
from service.logs import JsonLines
from service.outbox import Outbox
from service.problems import Problem
from service.schemas import WebhookRequest
from service.settings import Settings
from service.store import Store
from service.webhook_targets import webhook_target

SECRET = "a secret of enough letters"
REFUSED = [
    "http://example.org/", "ftp://example.org", "example.org", "https://", "https://user:pw@example.org/",
    "https://127.0.0.1/", "https://10.1.2.3/", "https://169.254.169.254/latest", "https://[::1]/", "https://localhost/",
    "https://[::ffff:192.168.0.1]/", "https://[64:ff9b::a00:1]/", "https://0.0.0.0/", "https://224.0.0.1/",
    "https://example.org:99999/", "https://example.org/ä", "https://example.org/#x", "https://exa mple.org/",
    "https://a\r\nb/", "https://[fe80::1%eth0]/", "https://100.64.0.1/",
]  # fmt: skip


@pytest.mark.parametrize("url", REFUSED)
def test_where_a_webhook_may_not_go(url: str) -> None:
    """422, naming ``webhook.url``: no plain http, nobody's password, no address of our own network."""
    with pytest.raises(Problem) as refused:
        webhook_target(WebhookRequest(url=url, secret=SECRET), Settings())
    assert refused.value.errors[0].field == "webhook.url"
    assert "pw" not in refused.value.detail


def test_over_http_the_secret_comes_back_nowhere(
    client: TestClient, dataset_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Not in the study, nor in a problem about the webhook, nor in one about a secret that is too short."""
    body = {"dataset_id": dataset_id, "activations": [{"family": "sine"}]}
    good = client.post("/v1/studies", json={**body, "webhook": {"url": "https://example.org/x", "secret": SECRET}})
    assert good.status_code == 202
    answers = [good, client.get("/v1/studies")]
    for webhook in (
        {"url": "https://10.0.0.1", "secret": SECRET}, {"url": "https://example.org", "secret": SECRET, "more": 1},
        {"url": "https://example.org", "secret": SECRET[:9]}, {"secret": SECRET}, [{"secret": SECRET}],
        {"url": {"secret": SECRET}, "secret": SECRET}, {"url": "https://example.org", "secret": [SECRET]},
    ):  # fmt: skip
        answers.append(client.post("/v1/studies", json={**body, "webhook": webhook}))
        assert answers[-1].status_code == 422, webhook
    assert all(SECRET[:9] not in answer.text for answer in answers)
    assert SECRET[:9] not in caplog.text


def test_a_request_for_a_study_that_is_there_is_told_too(client: TestClient, dataset_id: str, home: Store) -> None:
    """The same request again, now with a webhook: the study of before, and a message at its end."""
    hook = {"url": "https://example.org/x", "secret": SECRET}
    first = ask(client, dataset_id, reuse=True)
    again = ask(client, dataset_id, reuse=True, webhook=hook)
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
    assert Outbox(home._reader).take() == []
    client.post(f"/v1/studies/{first.json()['id']}/cancel")
    (letter,) = Outbox(home._reader).take()
    assert (letter.url, letter.secret, letter.state) == (hook["url"], SECRET, "cancelled")


def test_a_statement_that_fails_is_logged_without_its_values(
    client: TestClient, dataset_id: str, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """The database refuses the webhook's row: the log has the traceback and the statement, and not the secret."""
    engine = make_engine(settings.url)
    with engine.begin() as connection:
        refuse = "CREATE TRIGGER t BEFORE INSERT ON vi3nr_webhooks BEGIN SELECT RAISE(FAIL, 'refused'); END"
        connection.execute(text(refuse))
    engine.dispose()
    answer = ask(client, dataset_id, webhook={"url": "https://example.org/x", "secret": SECRET})
    logged = "".join(JsonLines().format(record) for record in caplog.records)
    assert answer.status_code == 500
    assert "INSERT INTO vi3nr_webhooks" in logged
    assert SECRET not in logged + caplog.text + answer.text
