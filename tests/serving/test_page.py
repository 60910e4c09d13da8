"""The web page in a browser: queries, answers, playback and errors."""

import pytest

from serving.running import until
from serving.shop import EVIL, IDS, UNSTORED

pytestmark = pytest.mark.browser


@pytest.fixture
def page(visit, server):
    page = visit.open(server.address)
    page.wait_for_selector("#videos li")
    return page


def answers(page):
    """Waits for answers and returns their ids."""
    page.wait_for_selector("#result:not([hidden]) #answers li")
    return page.locator("#answers .id").all_inner_texts()


def nothing_from_elsewhere(visit, server):
    return all(address.startswith((server.address, "blob:" + server.address)) for address in visit.requested)


def test_upload_search_and_playback(visit, page, server, shop):
    page.set_input_files("#file", shop.video(3))
    found = answers(page)
    assert found[0] == IDS[3]
    assert len(found) == 10
    first = page.locator("#answers > li").first
    assert "distance 0 of 32" in first.inner_text()
    assert "square" in first.inner_text()
    assert page.inner_text("#heading") == "3.mp4"
    first.get_by_role("button", name=f"Play {IDS[3]}").click()
    until(lambda: page.evaluate("document.querySelector('#answers video').currentTime > 0.2"))
    assert page.evaluate("document.querySelector('#asked video').videoWidth") == 64  # the upload is shown as well
    assert visit.problems == []
    assert nothing_from_elsewhere(visit, server)


def test_drag_and_drop_upload(visit, page, shop):
    data = list(shop.video(1).read_bytes())
    dropped = page.evaluate_handle(
        """(data) => {
          const dropped = new DataTransfer();
          dropped.items.add(new File([new Uint8Array(data)], "dropped.mp4"));
          return dropped;
        }""",
        data,
    )
    page.dispatch_event("#upload", "drop", {"dataTransfer": dropped})
    assert answers(page)[0] == IDS[1]
    assert page.inner_text("#heading") == "dropped.mp4"
    assert visit.problems == []


def test_selecting_a_listed_video_and_going_back(visit, page):
    page.fill("#prefix", "square")
    until(lambda: page.locator("#videos li").count() == 3)
    page.get_by_role("button", name="square red").click()
    found = answers(page)
    assert IDS[3] not in found
    page.get_by_role("button", name=f"More like {found[0]}", exact=True).click()
    until(lambda: page.inner_text("#heading") == found[0])
    page.go_back()
    until(lambda: page.inner_text("#heading") == "square red")
    assert answers(page) == found
    assert visit.problems == []


def test_url_with_an_id_restores_the_answers(visit, page, server):
    visit.open(f"{server.address}/?id=listed%2C+and+in+no+store")
    assert len(answers(page)) == 10
    assert page.inner_text("#heading") == UNSTORED
    visit.open(f"{server.address}/?id=nobody")
    page.wait_for_selector("#problem:not([hidden])")
    assert "no video 'nobody'" in page.inner_text("#problem")


def test_options_change_the_answers(visit, page):
    page.get_by_role("button", name=IDS[0]).click()
    assert len(answers(page)) == 10
    assert "score" in page.locator("#answers > li").first.inner_text()
    page.uncheck("#rerank")
    until(lambda: "score" not in page.inner_text("#answers"))
    assert page.locator("#top option").all_inner_texts() == ["10", "20", "50", "100"]
    assert visit.problems == []


def test_ids_are_inserted_as_text(visit, page):
    page.locator("#videos button", has_text=EVIL).click()
    assert answers(page)
    assert page.inner_text("#heading") == EVIL
    page.locator("#videos button", has_text=IDS[0]).click()
    until(lambda: page.inner_text("#heading") == IDS[0])
    assert EVIL in answers(page)
    assert page.title() == "Find videos"
    assert page.locator("img[src='x']").count() == 0
    assert visit.problems == []


@pytest.mark.parametrize("name", ["letter.txt", "large.mp4"])
def test_error_is_shown_and_the_next_upload_works(visit, page, shop, tmp_path, name):
    bad = tmp_path / name
    bad.write_bytes(b"no video\n" * (100 if name == "letter.txt" else 200_000))
    page.set_input_files("#file", bad)
    page.wait_for_selector("#problem:not([hidden])")
    told = page.inner_text("#problem")
    assert ("not a video" if name == "letter.txt" else "exceeds the limit of 1 MiB") in told
    assert page.get_by_role("alert").inner_text() == told
    assert page.is_hidden("#busy")
    page.set_input_files("#file", shop.video())
    assert answers(page)[0] == IDS[0]
    assert page.is_hidden("#problem")
    wanted = ["415"] if name == "letter.txt" else []  # Chromium logs every error status
    assert [next(word for word in line.split() if word.isdigit()) for line in visit.problems] == wanted


def test_unreachable_service_is_reported(visit, page):
    page.route("**/api/search*", lambda route: route.abort())
    page.get_by_role("button", name=IDS[0]).click()
    page.wait_for_selector("#problem:not([hidden])")
    assert "cannot be reached" in page.inner_text("#problem")


def test_progress_is_shown_and_can_be_canceled(visit, page, shop):
    held = []
    page.route("**/api/search", lambda route: held.append(route))
    page.set_input_files("#file", shop.video())
    page.wait_for_selector("#busy:not([hidden]) progress")
    page.get_by_role("button", name="Cancel").click()
    page.wait_for_selector("#busy", state="hidden")
    assert page.is_hidden("#result")
    assert page.is_hidden("#problem")


def test_keyboard_navigation(visit, page):
    page.focus("#prefix")
    page.keyboard.type("disc r")
    until(lambda: page.locator("#videos li").count() == 1)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert answers(page)
    assert page.evaluate("document.activeElement.id") == "heading"  # where a screen reader continues
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, a, video")].filter((node) =>
          node.checkVisibility() && node.tagName !== "VIDEO" &&
          !(node.textContent.trim() || node.ariaLabel || node.labels?.length)).map((node) => node.outerHTML)"""
    )
    assert unnamed == []


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [400, 1280])
def test_layout_and_contrast(visit, page, server, width, dark):
    visit.resize(width, dark=dark)
    page.locator("#videos button", has_text=IDS[8]).click()
    assert answers(page)
    assert visit.sticking_out() == []
    assert faint(page) == []
    visit.open(f"{server.address}/docs")
    page.wait_for_selector("section:last-of-type")
    assert visit.sticking_out() == []
    assert faint(page) == []
    assert visit.problems == []
    assert nothing_from_elsewhere(visit, server)


def faint(page):
    """Texts with a contrast below 4.5 to 1 (WCAG 2.2, level AA)."""
    return page.evaluate(
        """() => {
          const numbers = (color) => color.match(/[0-9.]+/g).map(Number);
          const light = (color) => {
            const [r, g, b] = numbers(color).map((part) => part / 255)
              .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
          };
          const behind = (node) => {
            for (let up = node; up; up = up.parentElement) {
              const color = getComputedStyle(up).backgroundColor;
              if ((numbers(color)[3] ?? 1) === 1) return color;
            }
            return "rgb(255, 255, 255)";
          };
          const texts = [...document.body.querySelectorAll("*")].filter((node) =>
            node.checkVisibility() && [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim()));
          return texts.map((node) => {
            const [a, b] = [light(getComputedStyle(node).color), light(behind(node))].sort((x, y) => y - x);
            return [node.tagName, node.textContent.slice(0, 30), (a + 0.05) / (b + 0.05)];
          }).filter(([, , contrast]) => contrast < 4.5);
        }"""
    )


def test_api_page_renders_the_schema(visit, server):
    page = visit.open(f"{server.address}/docs")
    page.wait_for_selector("section")
    for wanted in ("POST", "/api/search", "/media/{video}", "curl -F video=@video.mp4", "Hamming distance"):
        assert wanted in page.inner_text("main")
    assert visit.problems == []
    assert nothing_from_elsewhere(visit, server)


def test_unplayable_file_offers_a_download(visit, page):
    page.route("**/media/**", lambda route: route.fulfill(body="no video", content_type="video/x-msvideo"))
    page.get_by_role("button", name=IDS[0]).click()
    assert answers(page)
    page.get_by_role("button", name="Play", exact=False).last.click()
    page.get_by_text("This browser cannot play the file.").wait_for()
    assert page.get_by_role("link", name="Save it").get_attribute("href").startswith("/media/")
