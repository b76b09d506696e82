"""A headless Chromium, driven through its own driver by the W3C's WebDriver protocol: plain HTTP and JSON, no library between."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

BROWSERS, DRIVER = ("chromium", "chromium-browser", "google-chrome"), "chromedriver"
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
)  # fmt: skip
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


def missing() -> str:
    """What is not installed, in words; "" where a page can be opened."""
    if not any(map(shutil.which, BROWSERS)):
        return "no Chromium: apt-get install chromium chromium-driver"
    return "" if shutil.which(DRIVER) else "no chromedriver: apt-get install chromium-driver"


class Browser:
    """One window. Leave it by `close`, which ends the driver and with it the browser."""

    def __init__(self) -> None:
        self.profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.process = subprocess.Popen(
            [str(shutil.which(DRIVER)), "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        try:
            self.base = f"http://127.0.0.1:{self._port()}/session"
            self.base += "/" + self._call("POST", "", {"capabilities": {"alwaysMatch": self._wanted()}})["sessionId"]
        except BaseException:
            self.process.kill()
            raise

    def _wanted(self) -> dict[str, Any]:
        """A browser with an empty profile whose console can be read."""
        options = {
            "binary": next(path for path in map(shutil.which, BROWSERS) if path),
            "args": [*FLAGS, f"--user-data-dir={self.profile.name}"],
        }
        return {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}

    def _port(self) -> int:
        """The port that the driver says it listens on."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if "started successfully on port" in line:
                return int(line.rstrip().rstrip(".").rpartition(" ")[2])
        raise RuntimeError("chromedriver did not start")

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())["value"]

    def close(self) -> None:
        """End the session, the browser, and the driver."""
        self._call("DELETE", "")
        self.process.terminate()
        self.process.wait(10)
        if self.process.stdout:
            self.process.stdout.close()
        self.profile.cleanup()

    def open(self, path: Path) -> None:
        """Show a file."""
        self._call("POST", "/url", {"url": path.resolve().as_uri()})

    def run(self, script: str, *arguments: Any) -> Any:
        """What `script`, the body of a function of `arguments`, returns."""
        return self._call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def find(self, selector: str) -> dict[str, str]:
        """The first element of a CSS selector."""
        return self._call("POST", "/element", {"using": "css selector", "value": selector})

    def click(self, selector: str) -> None:
        """A real click, which fails where something lies over the element."""
        self._call("POST", f"/element/{self.find(selector)[ELEMENT]}/click", {})

    def type(self, selector: str, words: str) -> None:
        """Real keys."""
        self._call("POST", f"/element/{self.find(selector)[ELEMENT]}/value", {"text": words})

    def devtools(self, command: str, **parameters: Any) -> Any:
        """A command of the DevTools protocol."""
        return self._call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def size(self, width: int, height: int, phone: bool = False) -> None:
        """Pretend to be a screen of this size."""
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)

    def media(self, kind: str = "", scheme: str = "light") -> None:
        """Pretend to print, or to prefer light or dark."""
        self.devtools("Emulation.setEmulatedMedia", media=kind, features=[{"name": "prefers-color-scheme", "value": scheme}])

    def console(self) -> list[str]:
        """Warnings and errors since it was last asked."""
        return [each["message"] for each in self._call("POST", "/se/log", {"type": "browser"}) if each["level"] != "INFO"]

    def accessibility(self) -> list[tuple[str, str]]:
        """(role, name) of everything that a screen reader is told, in order."""
        nodes = self.devtools("Accessibility.getFullAXTree")["nodes"]
        return [
            (node["role"]["value"], node.get("name", {}).get("value", ""))
            for node in nodes
            if not node["ignored"] and "role" in node
        ]

    def picture(self, path: Path) -> None:
        """The whole page as a PNG."""
        shown = self.devtools("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shown["data"]))

    def until(self, script: str, seconds: float = 30.0) -> Any:
        """What `script` returns once that is true."""
        end = time.monotonic() + seconds
        while not (value := self.run(script)):
            assert time.monotonic() < end, f"never true: {script}"
            time.sleep(0.05)
        return value
