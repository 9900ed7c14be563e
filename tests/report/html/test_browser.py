"""The pages in headless Chromium: without errors, without the network, wide and narrow, by day and by night."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from edgesft.report.html.render import compared, render
from tests.report.html import made
from tests.report.test_bench import explained, found, row

BROWSER = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)

pytestmark = [pytest.mark.slow, pytest.mark.skipif(BROWSER is None, reason="needs Chromium: apt-get install chromium")]

PAGES = {
    "run": lambda: render(made.results(), "run"),
    "old": lambda: render(made.old(), "old"),
    "bench": lambda: render(found(row(name="m.onnx CPU", explanation=explained())), "bench"),
    "compared": lambda: compared([("one", made.results()), ("two", made.results())]),
}

FRAME = """<!doctype html><body style="margin:0"><iframe id="f" src="page.html" style="width:{width}px;height:900px">
</iframe><script>
window.onload = () => {{
  const inside = document.getElementById("f").contentDocument, root = inside.documentElement;
  const seen = inside.defaultView.getComputedStyle(inside.body).backgroundColor;
  const small = [...inside.querySelectorAll("svg text")].map(t => t.getBoundingClientRect().height).filter(h => h > 0);
  const out = {{wide: root.scrollWidth, plots: inside.querySelectorAll("svg").length, back: seen,
    least: Math.min(...small, 99), fetched: inside.defaultView.performance.getEntriesByType("resource").length}};
  document.body.innerHTML = "<pre id=told>" + JSON.stringify(out) + "</pre>";
}};
</script></body>"""


def look(folder: Path, text: str, width: int, scheme: str) -> tuple[dict, str]:
    """What a frame of a width sees of a page, and what the browser complained about."""
    import json

    (folder / "page.html").write_text(text, "utf-8")
    (folder / "frame.html").write_text(FRAME.format(width=width), "utf-8")
    command = [str(BROWSER), "--headless=new", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files"]
    command += ["--enable-logging=stderr", "--virtual-time-budget=5000", f"--user-data-dir={folder / 'profile'}"]
    command += [
        f"--blink-settings=preferredColorScheme={0 if scheme == 'dark' else 1}",
        f"--window-size={max(width, 800)},1000",
    ]
    done = subprocess.run(
        [*command, "--dump-dom", f"file://{folder / 'frame.html'}"], capture_output=True, text=True, timeout=120
    )
    told = re.search(r"<pre id=\"told\">(.*?)</pre>", done.stdout)
    assert told, done.stdout[-500:] + done.stderr[-2000:]
    return json.loads(told[1]), "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1280, "dark")])
def test_in_a_browser(name: str, width: int, scheme: str, tmp_path: Path) -> None:
    text = PAGES[name]()
    seen, complaints = look(tmp_path, text, width, scheme)
    assert not complaints
    assert seen["wide"] <= width, "nothing is wider than the page"
    assert seen["fetched"] == 0 and seen["plots"] == text.count("<svg")
    assert seen["least"] >= 9, "text of plots can be read"
    assert seen["back"] == ("rgb(14, 18, 22)" if scheme == "dark" else "rgb(244, 246, 248)")
    assert len(text.encode()) < 2_000_000
