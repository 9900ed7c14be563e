"""Chromium without a window, driven over its DevTools protocol on a pipe: nothing but Python is needed."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

WEBGPU = ("--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader")
"""A GPU in software."""


class Chromium:
    """A browser with one page."""

    def __init__(self, profile: Path, *flags: str) -> None:
        program = shutil.which("chromium") or shutil.which("google-chrome")
        if program is None:
            pytest.skip("chromium is not here: apt-get install --no-install-recommends chromium")
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        # Pipes may have the very numbers that the browser reads and writes.
        theirs = [os.dup2(each, number) for each, number in ((theirs_in, 203), (theirs_out, 204))]
        command = [program, "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--no-first-run"]
        command += [f"--user-data-dir={profile}", "--disable-background-networking", *flags]

        def numbered() -> None:
            os.dup2(203, 3)
            os.dup2(204, 4)

        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen(command, close_fds=False, preexec_fn=numbered, stdout=quiet, stderr=quiet)
        for each in (theirs_in, theirs_out, *theirs):
            os.close(each)
        self._buffer, self._count, self._session = b"", 0, None
        self.console: list[str] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """Asks, and waits for the answer."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": params}
        message |= {"sessionId": self._session} if self._session else {}
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while (found := self._next(120)).get("id") != self._count:
            self._event(found)
        assert "error" not in found, found["error"]
        return found["result"]

    def _event(self, found: dict[str, Any]) -> None:
        if found.get("method") == "Runtime.consoleAPICalled":
            self.console.append(" ".join(str(each.get("value")) for each in found["params"]["args"]))
        if found.get("method") == "Runtime.exceptionThrown":
            self.console.append(json.dumps(found["params"]["exceptionDetails"]))
        if found.get("method") == "Log.entryAdded":
            self.console.append(found["params"]["entry"]["text"])

    def _next(self, seconds: float) -> dict[str, Any]:
        end = time.monotonic() + seconds
        while b"\0" not in self._buffer:
            ready = select.select([self._in], [], [], max(0, end - time.monotonic()))[0]
            assert ready, "the browser does not answer"
            data = os.read(self._in, 1 << 20)
            assert data, "the browser has ended"
            self._buffer += data
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)

    def evaluate(self, code: str) -> Any:
        """The value of an expression in the page; promises are waited for."""
        found = self.send("Runtime.evaluate", expression=code, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait(self, code: str, seconds: float = 60) -> Any:
        """The value of an expression once it is true."""
        end = time.monotonic() + seconds
        while not (found := self.evaluate(code)):
            assert time.monotonic() < end, (code, self.text(), self.console[-3:])
            time.sleep(0.05)
        return found

    def goto(self, address: str) -> None:
        """Loads a page."""
        self.send("Page.navigate", url="about:blank")
        self.send("Page.navigate", url=address)
        self.wait(f"location.href !== 'about:blank' && document.readyState === 'complete' && {json.dumps(address)}")

    def text(self) -> str:
        """What the page says."""
        return self.evaluate("document.body.innerText")

    def choose(self, selector: str, *files: Path) -> None:
        """Puts files into an input, as a person's picker does."""
        found = self.send("Runtime.evaluate", expression=f"document.querySelector({json.dumps(selector)})")
        self.send("DOM.setFileInputFiles", files=list(map(str, files)), objectId=found["result"]["objectId"])

    def screenshot(self, file: Path, width: int, height: int, *, dark: bool = False) -> None:
        """A picture of the page, as wide as that."""
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.send("Emulation.setEmulatedMedia", features=scheme)
        self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        shot = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(shot["data"]))

    def close(self) -> None:
        """Ends it."""
        os.close(self._out)
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self._in)
