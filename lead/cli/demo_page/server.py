"""The server: sockets, the queue, and what visitors' clips become on the disk."""

import shutil
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from http.server import ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer

from lead.cli.demo_page.forms import ClipForm
from lead.cli.demo_page.handler import Handler
from lead.cli.demo_page.jobs import Job, JobQueue
from lead.cli.demo_page.studio import Studio, Take
from lead.core.errors import RequestError
from lead.export.formats import export_motion
from lead.export.motion_file import Motion
from lead.export.player import write_player

CONNECTIONS_MOST = 64


@dataclass(frozen=True)
class Settings:
    """Where the server listens and what it takes."""

    host: str = "127.0.0.1"
    port: int = 7860
    names: tuple[str, ...] = ()  # host names that it is called by, besides localhost
    upload_bytes: int = 10_000_000
    waiting: int = 8  # requests in the queue
    kept: int = 20  # results that can still be looked at
    examples: tuple[str, ...] = ()  # sentences to begin with
    licence: str = ""  # of the data that the model was trained on


class DemoServer(ThreadingHTTPServer):
    """Serves one Studio. Files stand in ``studio.folder``, which the caller makes and removes."""

    daemon_threads = True
    request_queue_size = 32

    def __init__(self, studio: Studio, defaults: ClipForm, settings: Settings) -> None:
        self.studio, self.defaults, self.settings = studio, defaults, settings
        self.address_family = _family(settings.host)
        try:
            super().__init__((settings.host, settings.port), Handler)
        except OSError as error:
            raise _no_address(settings.host, settings.port, error) from error
        self.queue = JobQueue(settings.waiting, settings.kept, self._forget)
        self._exporting = threading.Lock()
        self._connections = threading.BoundedSemaphore(CONNECTIONS_MOST)

    @property
    def names(self) -> Sequence[str]:
        """Names that the Host of a request may have."""
        return (*self.settings.names, self.settings.host)

    @property
    def url(self) -> str:
        """Where a browser on this machine finds the page."""
        host = self.settings.host
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.server_port}/"

    def server_bind(self) -> None:
        """Bind without asking the name service who we are, which can take long offline."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]

    def process_request(self, request, client_address) -> None:
        """Serve in a thread of its own, so many at once."""
        if not self._connections.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request, client_address) -> None:
        """Serve one connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._connections.release()

    def handle_error(self, request, client_address) -> None:  # noqa: ARG002
        """A visitor who went away is no news."""

    def export(self, job: Job, take: Take, number: int, format: str) -> Path:
        """The file of a clip, written when it is first asked for."""
        return self._written(
            job,
            f"{number}.{format}",
            lambda path: export_motion(take.motions[number], path, format),
        )

    def player(self, job: Job, take: Take) -> Path:
        """The page that plays all clips of a job side by side."""
        motions = [
            _captioned(motion, f"projector {side}" if len(take.motions) > 1 else "")
            for motion, side in zip(take.motions, take.projectors, strict=True)
        ]
        return self._written(job, "player.html", lambda path: write_player(path, motions))

    def close(self) -> None:
        """Stop listening, working and writing."""
        self.server_close()
        self.queue.close(patience=5.0)
        self._exporting.acquire(timeout=5.0)  # for good: nothing is written from now on

    def _written(self, job: Job, name: str, write: Callable[[Path], object]) -> Path:
        folder = self.studio.folder / job.name
        with self._exporting:
            if not (folder / name).is_file():
                write(folder / name)
        return folder / name

    def _forget(self, job: Job) -> None:
        with self._exporting:
            shutil.rmtree(self.studio.folder / job.name, ignore_errors=True)


def check_address(host: str, port: int) -> None:
    """RequestError where no server could listen; asked before a model is loaded."""
    try:
        with socket.socket(_family(host), socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        raise _no_address(host, port, error) from error


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _no_address(host: str, port: int, error: OSError) -> RequestError:
    return RequestError(
        f"cannot listen on {host} port {port} ({error.strerror or error}): choose another; port=0 "
        "takes any that is free"
    )


def _captioned(motion: Motion, remark: str) -> Motion:
    return replace(motion, text=f"{motion.text} ({remark})") if remark else motion
