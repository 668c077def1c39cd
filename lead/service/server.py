"""The server: a socket, uvicorn in a thread of its own, and what a connection may cost."""

import json
import socket
import threading

from uvicorn import Config, Server
from uvicorn.protocols.http.h11_impl import H11Protocol

from lead.core.errors import RequestError
from lead.service.app import Desk
from lead.service.forms import Settings
from lead.service.guard import Guard
from lead.service.studio import Studio

CONNECTIONS_MOST = 500
HEAD_SECONDS = 10.0  # for the head of a request to arrive
CLOSE_SECONDS = 5  # for work to end when the server does


class Connection(H11Protocol):
    """uvicorn's, with an end to heads that trickle in, and one line of JSON for what is no HTTP.

    The clock runs while no request is being answered, so also while the rest of a refused body
    comes in.
    """

    clock = None

    def connection_made(self, transport) -> None:
        """Wait for the first head."""
        super().connection_made(transport)
        self._wind()

    def data_received(self, data: bytes) -> None:
        """Read on, and see whether a head is whole."""
        super().data_received(data)
        self._wind()

    def _wind(self) -> None:
        waits = self.cycle is None or self.cycle.response_complete
        if waits and self.clock is None:
            self.clock = self.loop.call_later(HEAD_SECONDS, self.timeout_keep_alive_handler)
        elif not waits and self.clock is not None:
            self.clock.cancel()
            self.clock = None

    def send_400_response(self, msg: str) -> None:
        """Say so unless an answer is under way; this connection is of no more use."""
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            body = json.dumps({"error": f"{msg} Send HTTP/1.1 with one Host and one length"})
            head = "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n"
            length = f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            self.transport.write(f"{head}{length}{body}".encode())
        self.transport.close()


def listen(host: str, port: int) -> socket.socket:
    """A socket that takes connections; RequestError where none can be had.

    Asked for before the model is loaded: who comes meanwhile is answered when it is there.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise RequestError(
            f"cannot listen on {host} port {port} ({error.strerror or error}): choose another; "
            "port=0 takes any that is free"
        ) from error
    return listener


class DemoServer:
    """Serves one Studio on a listening socket while its ``with`` block runs.

    Files stand in ``studio.folder``, which the caller makes and removes.
    """

    def __init__(self, listener: socket.socket, studio: Studio, settings: Settings) -> None:
        self.studio, self.settings = studio, settings
        self.port = listener.getsockname()[1]
        self.desk = Desk(studio, settings)
        names = (settings.host, *(name.lower() for name in settings.names))
        silent = {"log_config": None, "log_level": "critical", "server_header": False}
        limits = {"limit_concurrency": CONNECTIONS_MOST, "timeout_graceful_shutdown": CLOSE_SECONDS}
        plain = {"http": Connection, "ws": "none", "lifespan": "off"}
        config = Config(Guard(self.desk.app, names), **plain, **silent, **limits)
        self._uvicorn = Server(config)
        self._thread = threading.Thread(target=self._uvicorn.run, args=([listener],), daemon=True)

    @property
    def url(self) -> str:
        """Where a browser on this machine finds the page."""
        host = self.settings.host
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}/"

    def __enter__(self) -> "DemoServer":
        self._thread.start()
        return self

    def wait(self) -> None:
        """Wait until the server ends, or a signal raises something."""
        self._thread.join()

    def __exit__(self, *_: object) -> None:
        """Stop listening, working and writing."""
        self._uvicorn.should_exit = True
        self.desk.close(CLOSE_SECONDS)
        self._thread.join(2 * CLOSE_SECONDS)
