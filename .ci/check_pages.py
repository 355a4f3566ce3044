"""Open every page in a headless Chromium: no request that leaves the files, no error, nothing wider than the window.

    python .ci/check_pages.py docs/_build/html            every page below a folder, and single files
    python .ci/check_pages.py PAGES --pictures FOLDER     and keep a picture of each, in all four ways

Each page is loaded once from its file, and then shown in the width of a desk and of a phone, light and dark. Chromium
is driven over a pipe in its own protocol (DevTools), so that nothing but Chromium is needed. Where there is none, the
script says so and passes.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-extensions --disable-dev-shm-usage --hide-scrollbars "
    "--remote-debugging-pipe"
).split()
WIDTHS = {"desk": (1280, 900), "phone": (390, 844)}
COLOURS = ("light", "dark")
SETTLED = """
(async () => {
  await (window.MathJax && MathJax.startup ? MathJax.startup.promise : null);
  await Promise.all([...document.images].filter(i => i.loading != "lazy" && !i.complete)
    .map(i => new Promise(done => { i.onload = i.onerror = done; })));
  return [...document.querySelectorAll("mjx-merror, [data-mjx-error]")]
    .map(e => "formula: " + (e.getAttribute("data-mjx-error") || e.textContent));
})()
"""
TOO_WIDE = """
[...document.querySelectorAll("body *")].filter(e => {
  const box = e.getBoundingClientRect();
  if (!box.width || box.right <= innerWidth + 1) return false;
  for (let at = e; at && at !== document.body; at = at.parentElement) {
    const style = getComputedStyle(at);
    if (style.position === "fixed" || (at !== e && /auto|scroll|hidden|clip/.test(style.overflowX))) return false;
  }
  return true;
}).slice(0, 3).map(e => e.tagName.toLowerCase() + (e.className ? "." + e.className : ""))
"""


class Browser:
    """One Chromium and one tab of it, spoken to over a pipe."""

    def __init__(self, read: int, write: int) -> None:
        self._read, self._write = read, write
        self._buffer, self._last = b"", 0
        self.events: list[dict[str, Any]] = []
        self._session = ""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and wait for its answer; what happens meanwhile is kept."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": params}
        message |= {"sessionId": self._session} if self._session else {}
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while (answer := self._receive()).get("id") != self._last:
            self.events.append(answer)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def wait_for(self, method: str) -> None:
        """Until an event of this name has come."""
        while not any(event.get("method") == method for event in self.events):
            self.events.append(self._receive())

    def evaluate(self, script: str) -> Any:
        """The value of an expression in the page."""
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(str(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            chunk = os.read(self._read, 1 << 16)
            if not chunk:
                raise RuntimeError("Chromium ended")
            self._buffer += chunk
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)


@contextmanager
def browser(program: str) -> Iterator[Browser]:
    """A Chromium with an empty profile, gone at the end. It reads commands from its descriptor 3 and answers on 4."""
    theirs, ours = os.pipe(), os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        shell = f'exec "$@" 3<&{theirs[0]} 4>&{ours[1]}'
        command = ["sh", "-c", shell, "sh", program, *FLAGS, f"--user-data-dir={profile}", "about:blank"]
        process = subprocess.Popen(command, pass_fds=(theirs[0], ours[1]), stderr=subprocess.DEVNULL)
        os.close(theirs[0])
        os.close(ours[1])
        try:
            yield Browser(ours[0], theirs[1])
        finally:
            process.terminate()
            process.wait()
            os.close(ours[0])
            os.close(theirs[1])


def problems_of(tab: Browser, page: Path, pictures: Path | None) -> list[str]:
    """Load a page, show it in all ways, and say what was wrong."""
    tab.events.clear()
    tab.call("Page.navigate", url=page.resolve().as_uri())
    tab.wait_for("Page.loadEventFired")
    problems = list(tab.evaluate(SETTLED))
    if not tab.evaluate("Boolean(document.querySelector('meta[name=viewport]'))"):
        problems.append("phone: no viewport, so that it is shown small")
    for name, (width, height) in WIDTHS.items():
        tab.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        for colour in COLOURS:
            tab.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": colour}])
            if pictures:
                data = tab.call("Page.captureScreenshot", format="png")["data"]
                (pictures / f"{page.parent.name}-{page.stem}-{name}-{colour}.png").write_bytes(base64.b64decode(data))
        if tab.evaluate("document.documentElement.scrollWidth > innerWidth"):
            problems.append(f"{name}: wider than {width}: {', '.join(tab.evaluate(TOO_WIDE)) or 'the page'}")
    return [*dict.fromkeys([*problems, *filter(None, map(complaint, tab.events))])]


def complaint(event: dict[str, Any]) -> str | None:
    """What an event says that should not have happened."""
    method, told = event.get("method"), event.get("params", {})
    if method == "Network.requestWillBeSent" and not told["request"]["url"].startswith(("file:", "data:", "blob:")):
        return f"requests {told['request']['url'][:200]}"
    if method == "Network.loadingFailed" and not told.get("canceled"):
        return f"did not load: {told.get('errorText')}"
    if method == "Runtime.exceptionThrown":
        details = told["exceptionDetails"]
        text = details.get("exception", {}).get("description", details["text"])
        return f"exception: {text.splitlines()[0][:300]}"
    if method == "Runtime.consoleAPICalled" and told["type"] in ("error", "assert"):
        return f"console: {' '.join(str(part.get('value', '')) for part in told['args'])[:300]}"
    if method == "Log.entryAdded" and told["entry"]["level"] == "error":
        return f"log: {told['entry']['text'][:200]} {told['entry'].get('url', '')}"
    return None


def pages_in(paths: list[Path]) -> list[Path]:
    """The files, and every page below the folders, without the listings of source code."""
    found = [page for path in paths for page in ([path] if path.is_file() else sorted(path.rglob("*.html")))]
    return [page for page in found if "_modules" not in page.parts and "_static" not in page.parts]


def main() -> None:
    """Every page; every problem on a line of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+", type=Path, metavar="PAGES")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER")
    arguments = parser.parse_args()
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        print("skipped: there is no Chromium here to open the pages with")
        return
    pages = pages_in(arguments.paths)
    if not pages:
        sys.exit(f"there is no page in {', '.join(map(str, arguments.paths))}")
    if arguments.pictures:
        arguments.pictures.mkdir(parents=True, exist_ok=True)
    with browser(program) as tab:
        problems = [f"{page}: {text}" for page in pages for text in problems_of(tab, page, arguments.pictures)]
    if problems:
        sys.exit("\n".join(problems))
    print(f"{len(pages)} pages, each in {len(WIDTHS)} widths and {len(COLOURS)} colours: no outside request, no error")


if __name__ == "__main__":
    main()
