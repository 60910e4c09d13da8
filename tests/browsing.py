"""Pages looked at by a real browser: headless Chromium, driven by Playwright."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page, Request

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

# Run in the page. What sticks out of a box that scrolls by itself is no harm.
_STICKS_OUT = """() => {
  const width = document.documentElement.clientWidth;
  const boxed = (node) => {
    for (let up = node.parentElement; up && up !== document.body; up = up.parentElement) {
      if (["auto", "scroll", "hidden", "clip"].includes(getComputedStyle(up).overflowX)) return true;
    }
    return false;
  };
  return [...document.body.querySelectorAll("*")]
    .filter((node) => node.getBoundingClientRect().right > width + 1 && !boxed(node))
    .map((node) => node.tagName.toLowerCase() + (node.id && "#" + node.id) + ": " + node.getBoundingClientRect().right);
}"""


@dataclass
class Visit:
    """One page of a browser, and what went wrong in it.

    Attributes:
        page: Playwright's page; nothing is loaded yet.
        problems: Errors and warnings on the console, exceptions that no script caught, requests that failed.
        requested: Every address that was asked for, in order.
    """

    page: "Page"
    problems: list[str] = field(default_factory=list)
    requested: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.problems.append(f"exception: {error}"))
        self.page.on("request", lambda request: self.requested.append(request.url))
        self.page.on("requestfailed", self._failed)

    def _console(self, message: "ConsoleMessage") -> None:
        if message.type in ("error", "warning"):
            self.problems.append(f"{message.type}: {message.text}")

    def _failed(self, request: "Request") -> None:
        left = request.failure == "net::ERR_ABORTED"  # the page was left while it still loaded pictures
        if request.resource_type != "media" and not left:  # a player gives up requests whenever it seeks
            self.problems.append(f"failed: {request.url}: {request.failure}")

    def open(self, address: str | Path) -> "Page":
        """Load a page or a local file, and give the page back."""
        self.page.goto(address.resolve().as_uri() if isinstance(address, Path) else address)
        return self.page

    def resize(self, width: int, height: int = 900, *, dark: bool = False) -> None:
        """Another size of the window, another color scheme."""
        self.page.set_viewport_size({"width": width, "height": height})
        self.page.emulate_media(color_scheme="dark" if dark else "light")

    def sticking_out(self) -> list[str]:
        """What is wider than the window, so that the page scrolls sideways; empty on a page that fits."""
        return list(self.page.evaluate(_STICKS_OUT))


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """A headless Chromium for the tests of a module; they are skipped where there is none."""
    from playwright.sync_api import sync_playwright  # half a second that tests without pages need not wait

    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"needs one of {', '.join(NAMES)} on the PATH")
    arguments = ["--disable-gpu", "--disable-dev-shm-usage", "--autoplay-policy=no-user-gesture-required"]
    if os.geteuid() == 0:
        arguments.append("--no-sandbox")  # Chromium refuses to start as root with it
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=arguments)
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser: "Browser") -> Iterator[Visit]:
    """A fresh page, 1280 x 900, with no cookies or cache of other tests."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(15_000)
    yield Visit(context.new_page())
    context.close()
