"""The pages in a real browser: from a file to its report as a person does it, with a mouse and with a keyboard."""

from __future__ import annotations

import hashlib
import re
import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import torch
from live import Client, photograph
from typer.testing import CliRunner

from service.commands import app
from service.embedded import Embedded
from service.records import result_of
from service.settings import Settings

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
HOSTILE = "<img src=x onerror=alert(1)> & 'cat'.png"
SMALL = {"trials": 4, "steps": 60, "width": 12, "hidden_layers": 1, "finalists": 1, "seeds": 2, "seed": 7}
MILLISECONDS = 400_000  # that anything on a page may take: a machine under load

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed: apt-get install chromium"),
    pytest.mark.timeout(600),
]
sync_api = pytest.importorskip(
    "playwright.sync_api", reason="the browser is driven by playwright: pip install playwright"
)


class Visit:
    """A page in a context of its own, and what it did: complaints on the console, requests."""

    def __init__(self, browser: Any, **options: Any) -> None:
        self.context = browser.new_context(**options)
        self.context.set_default_timeout(MILLISECONDS)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda line: line.type in ("error", "warning") and self.complaints.append(line.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))

    def hosts(self) -> set[str]:
        """Asked over the network."""
        return {urlsplit(url).netloc for url in self.requests if urlsplit(url).scheme in ("http", "https", "ws", "wss")}

    def axe(self) -> list[str]:
        """What axe-core finds serious or critical, as sentences."""
        import axe_playwright_python

        source = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
        self.page.evaluate(source)
        found = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{one['id']}: {one['help']}: {[node['html'][:120] for node in one['nodes']][:3]}"
            for one in found["violations"]
            if one["impact"] in ("serious", "critical")
        ]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Any) -> Iterator[Callable[..., Visit]]:
    """Opens a page; at the end nothing was complained about and nobody else was asked."""
    visits: list[Visit] = []

    def open_page(address: str, **options: Any) -> Visit:
        one = Visit(browser, **options)
        visits.append(one)
        one.page.goto(address)
        return one

    yield open_page
    for one in visits:
        one.context.close()
        assert one.complaints == []
        assert len(one.hosts()) <= 1, one.hosts()


@pytest.fixture(scope="module")
def journey(browser: Any, embedded: Embedded, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Upload, start and watch on the pages, once for this module; what was seen on the way."""
    file = tmp_path_factory.mktemp("upload") / HOSTILE
    file.write_bytes(photograph(20))
    one = Visit(browser)
    page, seen = one.page, []
    page.goto(embedded.url)
    page.locator("input[value=gaussian]").wait_for()
    page.locator("#file").set_input_files(file)
    page.locator("input[value=sine]").uncheck()
    page.get_by_text("Network, training and budget").first.click()
    for name, value in SMALL.items():
        page.locator(f"input[name={name}]").fill(str(value))
    page.get_by_role("button", name="Start the study").click()
    page.wait_for_url("**/report")
    page.locator("#bar[value]:not([value='0']), #confirmation").first.wait_for()
    if page.locator("#bar").count():
        seen.append(page.locator("#told").inner_text())
    page.locator("#confirmation").wait_for()  # the page follows the study to its answer by itself
    result = {"url": page.url, "progress": seen, "complaints": one.complaints, "hosts": one.hosts()}
    one.context.close()
    return result


@pytest.fixture(scope="module")
def best(journey: dict[str, Any], client: Client) -> Any:
    """What the API answers."""
    return client.get(urlsplit(journey["url"]).path.replace("/report", "/best"))


def test_from_a_file_to_its_report(journey, best, client):
    """A file is dropped, a study started, its progress shown while it runs, and the page becomes the report; nothing
    is complained about on the console and no other host is asked."""
    study = client.study(urlsplit(journey["url"]).path.split("/")[3])
    assert study["state"] == "completed"
    assert [one["family"] for one in study["request"]["activations"]] == ["gaussian"]
    assert study["request"]["search"]["seed"] == 7
    assert all("4 trials" in told or "Waiting" in told for told in journey["progress"])
    assert journey["complaints"] == []
    assert journey["hosts"] == {urlsplit(journey["url"]).netloc}


def test_the_report_shows_the_answer(journey, best, visit):
    """The page of a hostile file name shows the numbers that the API answers with, every picture and every plot."""
    page = visit(journey["url"]).page
    winner = best["families"][0]["winner"]
    text = page.inner_text("main")
    assert HOSTILE in text
    assert f"{winner['score']['mean']:.2f} dB" in text
    assert "max_points 16384" in text
    assert hashlib.sha256(photograph(20)).hexdigest() in text
    assert page.locator("img").evaluate_all(
        "all => all.every((one) => one.complete && one.naturalWidth > 0 && one.alt)"
    )
    assert page.locator(".pictures img").count() == 5
    assert page.locator("svg.chart[role=img] > title").count() >= 8
    assert page.locator("h1").count() == 1


def test_three_lines_are_copied_and_run(journey, best, visit, tmp_path, monkeypatch):
    """The button copies three lines of PyTorch; beside the downloaded config they give the winner's network."""
    one = visit(journey["url"], permissions=["clipboard-read", "clipboard-write"])
    button = one.page.get_by_role("button", name="Copy").first
    button.focus()
    one.page.keyboard.press("Enter")
    one.page.get_by_role("button", name="Copied").wait_for()
    lines = one.page.evaluate("navigator.clipboard.readText()")
    assert len(lines.splitlines()) == 3
    with one.page.expect_download() as download:
        one.page.get_by_role("link", name="Download").first.click()
    monkeypatch.chdir(tmp_path)
    download.value.save_as(download.value.suggested_filename)
    names: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # they leave the closing of the file to the interpreter
        exec(lines, names)
    assert names["config"] == result_of(best).families[0].winner.init_config
    assert names["network"](torch.zeros(5, 2)).shape == (5, 3)


def test_copying_needs_no_permission(journey, visit):
    """Where the page may not use the clipboard it selects the lines and copies them the old way."""
    one = visit(journey["url"])
    one.page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('denied')); }")
    one.page.get_by_role("button", name="Copy").first.click()
    one.page.get_by_role("button", name="Copied").wait_for()
    assert one.page.evaluate("getSelection().toString()").startswith("from vi3nr import")


@pytest.mark.parametrize(("size", "scheme"), [((1280, 900), "light"), ((360, 740), "dark")], ids=["desktop", "phone"])
def test_the_pages_are_for_everybody(journey, embedded, visit, size, scheme):
    """axe-core finds nothing serious on report and start page, in light and dark; nothing is wider than a phone."""
    options = {"viewport": {"width": size[0], "height": size[1]}, "color_scheme": scheme}
    for address in (journey["url"], embedded.url):
        one = visit(address, **options)
        if address == embedded.url:
            one.page.locator("input[value=gaussian]").wait_for()
            one.page.locator("#list li").first.wait_for()
        one.page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        assert one.axe() == []
        assert one.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_keyboard_is_enough(embedded, visit):
    """The first stop of the tab key skips to the form; the file's input, a family and the button can be reached."""
    page = visit(embedded.url).page
    page.locator("input[value=gaussian]").wait_for()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the form"
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.value || ''"))
    assert {"file", "gaussian", "start"} <= reached


def test_what_is_refused_is_said(embedded, visit, tmp_path):
    """A file that is none of the known kinds is refused on the page by the service's own sentence."""
    (tmp_path / "notes.png").write_text("no picture")
    one = visit(embedded.url)
    one.page.locator("input[value=gaussian]").wait_for()
    one.page.locator("#file").set_input_files(tmp_path / "notes.png")
    one.page.get_by_role("button", name="Start the study").click()
    one.page.locator("#told.error").wait_for()
    assert "notes.png" in one.page.locator("#told").inner_text()
    one.complaints.clear()  # the browser reports the 415 by itself


def test_a_service_that_is_away_is_waited_for(embedded, visit):
    """The start page says what it cannot list, and lists it once the service is back."""
    one = visit("about:blank")
    one.context.route("**/v1/*", lambda route: route.abort())
    one.page.goto(embedded.url)
    for place, what in (("#families-told", "families"), ("#none", "studies")):
        one.page.locator(place, has_text=f"The {what} cannot be listed now").wait_for()
    one.context.unroute("**/v1/*")
    one.page.locator("input[value=gaussian]").wait_for()
    one.page.locator("#none", has_text="cannot be listed").wait_for(state="detached")
    assert one.page.locator("#families-told").inner_text() == ""
    one.complaints.clear()  # the browser reports each lost request by itself


def test_a_study_is_cancelled_though_the_first_try_fails(embedded, client, dataset, visit):
    """The button says that it was not cancelled and why, and can be pressed again; so does the line of progress."""
    study = client.start(dataset, search={"trials": 200, "seed": 0})
    one = visit(f"{embedded.url}/v1/studies/{study}/report")
    one.context.route(f"**/v1/studies/{study}*", lambda route: route.fulfill(status=503, body="busy"))
    one.context.route("**/cancel", lambda route: route.fulfill(status=503, body="busy"))
    one.page.locator("#told", has_text="The service cannot be asked now (the service answers 503)").wait_for()
    one.page.get_by_role("button", name="Cancel").click()
    one.page.get_by_role("button", name="Try again: not cancelled, the service answers 503").wait_for()
    one.context.unroute_all()
    one.page.get_by_role("button", name="Try again").click()
    one.page.locator("main:not([data-live])").wait_for()
    assert client.study(study)["state"] == "cancelled"
    one.complaints.clear()  # the browser reports the 503 by itself


def test_print_is_dark_on_white(journey, visit):
    """On paper there are no buttons, the colours are those of the light scheme even where the screen is dark, and what
    was folded is open: the request too.
    """
    page = visit(journey["url"], color_scheme="dark").page
    colours = "names => names.map((name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim())"
    names = re.findall(r"(--[a-z-]+):", page.locator("style").inner_text().partition("prefers-color-scheme: dark")[0])
    dark = page.evaluate(colours, names)
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.locator("button:visible").count() == 0
    kept = [name for name, one, other in zip(names, dark, page.evaluate(colours, names), strict=True) if one == other]
    assert len(names) > 10
    assert kept == []
    assert page.pdf().startswith(b"%PDF")
    assert page.locator("details:not([open])").count() == 0


def test_the_file_needs_no_service(journey, visit, settings: Settings, tmp_path):
    """What ``vi3nr report`` writes opens from the disk with the same answer, asks nobody, and can be copied from."""
    study, file = urlsplit(journey["url"]).path.split("/")[3], tmp_path / "report.html"
    done = CliRunner().invoke(app, ["report", study, "-o", str(file), "--data-dir", str(settings.data_dir)])
    assert done.exit_code == 0, done.output
    one = visit(file.as_uri())
    assert one.page.locator("#confirmation").count() == 1
    one.page.get_by_role("button", name="Copy").first.click()
    one.page.get_by_role("button", name="Copied").wait_for()
    assert one.hosts() == set()
