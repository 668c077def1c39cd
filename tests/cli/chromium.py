"""A headless Chromium driven over a pipe (the DevTools protocol), without any package."""

import base64
import fcntl
import itertools
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"),
    *("--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--remote-debugging-pipe"),
    *(
        "--no-startup-window",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ),
)
# Chromium reads commands from descriptor 3 and answers on 4.
LAUNCH = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); "
    "os.execv(sys.argv[3], sys.argv[3:])"
)


def find_browser() -> str | None:
    """The path of an installed Chromium or Chrome."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def wait_for(condition: Callable[[], object], seconds: float = 300) -> None:
    """Wait until a function says yes."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.05)


class Browser:
    """One browser with one tab."""

    def __init__(self, path: str, folder: Path, size: tuple[int, int] = (1280, 860)):
        reads, self._commands = os.pipe()
        self._answers, writes = os.pipe()
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 20) for end in (reads, writes)]
        profile = f"--user-data-dir={folder / 'profile'}"
        self._process = subprocess.Popen(
            [sys.executable, "-c", LAUNCH, *map(str, ends), path, *FLAGS, profile],
            pass_fds=ends,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for end in (reads, writes, *ends):
            os.close(end)
        self._numbers, self._buffer, self.events = itertools.count(1), b"", []
        self.downloads = folder / "downloads"
        self.downloads.mkdir()
        self._target = self._send("Target.createTarget", url="about:blank")["targetId"]
        self._tab = self._attach(self._target)
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.tell(f"{domain}.enable")
        self._send(
            "Browser.setDownloadBehavior", behavior="allow", downloadPath=str(self.downloads)
        )
        self.resize(*size)

    def resize(self, width: int, height: int) -> None:
        """Set the size of the window in CSS pixels."""
        values = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.tell("Emulation.setDeviceMetricsOverride", **values)

    def dark(self, on: bool) -> None:
        """Choose what prefers-color-scheme says."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if on else "light"}
        self.tell("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, url: str) -> None:
        """Go to a page and wait until it says that it is ready."""
        self.tell("Page.navigate", url=url)
        self.wait("document.documentElement?.dataset.state === 'ready'")

    def run(self, script: str, session: str | None = None) -> object:
        """The value of an expression or a promise in the page."""
        answer = self._send(
            "Runtime.evaluate",
            session or self._tab,
            expression=script,
            awaitPromise=True,
            returnByValue=True,
            userGesture=True,
        )
        assert "exceptionDetails" not in answer, (script, answer["exceptionDetails"])
        return answer["result"].get("value")

    def wait(self, condition: str, seconds: float = 300, session: str | None = None) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + seconds
        while not self.run(condition, session):
            page = self.run("document.body?.innerText.slice(0, 2000)", session)
            assert time.monotonic() < end, f"never true: {condition}\n{page}"
            time.sleep(0.05)

    def upload(self, selector: str, path: Path) -> None:
        """Choose a file in a file input."""
        root = self.tell("DOM.getDocument")["root"]["nodeId"]
        node = self.tell("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.tell("DOM.setFileInputFiles", nodeId=node, files=[str(path)])

    def type(self, text: str) -> None:
        """Type into what has the focus."""
        self.tell("Input.insertText", text=text)

    def press(self, key: str) -> None:
        """Press and release a key."""
        codes = {"Enter": 13, "Tab": 9, " ": 32}
        values = {"key": key, "windowsVirtualKeyCode": codes[key]}
        if key in ("Enter", " "):
            values["text"] = "\r" if key == "Enter" else " "
        self.tell("Input.dispatchKeyEvent", type="keyDown", **values)
        self.tell("Input.dispatchKeyEvent", type="keyUp", **values)

    def frame(self, ready: str, seconds: float = 300) -> str:
        """A session with the frame in the page, once an expression is true in it."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for target in self._send("Target.getTargets")["targetInfos"]:
                if target.get("parentId") == self._target and target["type"] == "iframe":
                    with suppress(AssertionError):  # an older one that is just going
                        session = self._attach(target["targetId"])
                        if self.run(ready, session):
                            return session
            time.sleep(0.1)
        raise AssertionError(f"never true in the frame: {ready}")

    def picture(self, path: Path, whole: bool = False) -> None:
        """Write a screenshot as PNG."""
        taken = self.tell("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(taken["data"]))

    def tell(self, method: str, **values: object) -> dict:
        """Send one command to the tab."""
        return self._send(method, self._tab, **values)

    def close(self) -> None:
        """End the browser."""
        try:
            self._send("Browser.close")
            self._process.wait(10)
        finally:
            self._process.kill()
            self._process.wait()
            os.close(self._commands)
            os.close(self._answers)

    def _attach(self, target: str) -> str:
        return self._send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def _send(self, method: str, session: str | None = None, **values: object) -> dict:
        number = next(self._numbers)
        command = {"id": number, "method": method, "params": values}
        if session is not None:
            command["sessionId"] = session
        os.write(self._commands, json.dumps(command).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == number:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]
            self.events.append(answer)

    def _read(self) -> dict:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._answers], [], [], 300)
            assert ready, "the browser does not answer"
            block = os.read(self._answers, 1 << 20)
            assert block, "the browser has ended"
            self._buffer += block
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)
