"""The browser that looks at pages sees what is wrong with one."""

import pytest

pytestmark = pytest.mark.browser


def page(tmp_path, body):
    path = tmp_path / "page.html"
    path.write_text(f"<!doctype html><title>t</title><meta charset=utf-8><body>{body}</body>", encoding="utf-8")
    return path


def test_a_sound_page_has_no_problems(visit, tmp_path):
    shown = visit.open(page(tmp_path, "<p>hello</p>"))
    assert shown.inner_text("p") == "hello"
    assert visit.problems == []
    assert visit.sticking_out() == []
    assert len(visit.requested) == 1


def test_errors_and_lost_files_are_seen(visit, tmp_path):
    visit.open(page(tmp_path, "<img src=none.png><script>console.warn('w'); throw new Error('lost')</script>"))
    assert {problem.partition(":")[0] for problem in visit.problems} == {"warning", "exception", "failed", "error"}


def test_what_is_wider_than_the_window_is_seen(visit, tmp_path):
    wide = "<div id=wide style='width: 600px'>w</div>"
    visit.open(page(tmp_path, wide + f"<div style='overflow-x: auto'>{wide.replace('wide', 'boxed')}</div>"))
    assert visit.sticking_out() == []
    visit.resize(400)
    assert [line.partition(":")[0] for line in visit.sticking_out()] == ["div#wide"]
