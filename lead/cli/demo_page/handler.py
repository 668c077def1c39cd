"""HTTP requests: who may ask, how much, for what; an answer is JSON, the page, or a file."""

import json
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

from lead.cli.demo_page import replies
from lead.cli.demo_page.forms import read_clip_form, read_json_object, read_word_form
from lead.cli.demo_page.guard import refusal
from lead.cli.demo_page.jobs import BusyError, CancelledError, Job, mistake
from lead.cli.demo_page.studio import Take
from lead.core.errors import LeadError, RequestError
from lead.export.formats import FORMATS
from lead.inversion import write_word

JSON_MOST = 20_000  # bytes of a request for a clip
DRAIN_SECONDS = 5.0  # how long a refused upload is read on, so that its sender hears why
BLOCK = 1 << 16

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
PLAYER_POLICY = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; frame-ancestors 'self'"
)
PAGES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
}
STATUS = {BusyError: 503, CancelledError: 409, RequestError: 400}


class RefusedError(LeadError):
    """An answer with a status of its own."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Handler(BaseHTTPRequestHandler):
    """One connection to a DemoServer, which is ``self.server``."""

    protocol_version = "HTTP/1.1"
    server_version = "lead"
    sys_version = ""
    timeout = 30  # seconds without a byte
    unread = 0  # bytes of the body

    def do_GET(self) -> None:  # noqa: N802
        """The page, what the model can do, jobs, and files."""
        self._answer(self._get)

    def do_POST(self) -> None:  # noqa: N802
        """Generate a clip or teach a word."""
        self._answer(self._post)

    def do_DELETE(self) -> None:  # noqa: N802
        """Cancel a job."""
        self._answer(self._delete)

    def handle_expect_100(self) -> bool:
        """Ask for the body only where it will be read; else the refusal follows without it."""
        with suppress(RefusedError):
            self._check_visitor()
            self._body_size()
            return super().handle_expect_100()
        return True

    def log_message(self, format: str, *values: object) -> None:
        """Say nothing of requests."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the base class refuses (broken HTTP, other methods), in our own words."""
        self._refuse(code, message or explain or "this is no request that is answered here")

    def _answer(self, work) -> None:
        self.unread = self._announced()
        try:
            self._check_visitor()
            work(self._url())
        except RefusedError as error:
            self._refuse(error.status, error)
        except LeadError as error:
            self._refuse(STATUS.get(type(error), 500), error)
        except (ConnectionError, TimeoutError):
            raise  # the visitor has gone
        except Exception as error:  # a mistake of ours is told to the visitor
            self._refuse(500, mistake(error))

    def _url(self) -> SplitResult:
        try:
            return urlsplit(self.path)
        except ValueError as error:
            raise RefusedError(400, f"the address is broken ({error})") from error

    def _check_visitor(self) -> None:
        reason = refusal(self.headers, self.server.names, self._url().path)
        if reason is not None:
            raise RefusedError(403, reason)

    def _get(self, url: SplitResult) -> None:
        path = unquote(url.path)
        if path in PAGES:
            name, kind = PAGES[path]
            page = Path(__file__).with_name(name).read_bytes()
            return self._send(200, page, kind, {"Content-Security-Policy": PAGE_POLICY})
        match path.split("/")[1:]:
            case ["about"]:
                return self._send_json(200, self._about())
            case ["jobs", name]:
                return self._send_json(200, self._facts(self._job(name)))
            case ["jobs", name, "player"]:
                page = self.server.player(*self._take(name)).read_bytes()
                policy = {"Content-Security-Policy": PLAYER_POLICY}
                return self._send(200, page, "text/html; charset=utf-8", policy)
            case ["jobs", name, file]:
                return self._send_clip(name, file)
            case ["words", file]:
                return self._send_word(file)
        raise RefusedError(404, f"there is no {path:.80} here")

    def _post(self, url: SplitResult) -> None:
        studio = self.server.studio
        if url.path == "/generate":
            values = read_json_object(self._body("application/json"))
            form = read_clip_form(values, self.server.defaults, studio.limits)
            studio.check_text(form.text)
            job = self.server.queue.submit(lambda job: studio.generate(form, job.report))
        elif url.path == "/words":
            form = read_word_form(_query(url.query))
            data = self._body("application/octet-stream")
            job = self.server.queue.submit(lambda job: studio.teach(form, data, job.report))
        else:
            raise RefusedError(404, f"nothing can be sent to {url.path:.80}")
        if not form.wait:
            return self._send_json(202, self._facts(job))
        job.finished.wait()
        if job.state != "done":
            raise job.error or CancelledError("cancelled")
        return self._send_json(200, self._facts(job, joints=getattr(form, "joints", False)))

    def _delete(self, url: SplitResult) -> None:
        match url.path.split("/")[1:]:
            case ["jobs", name]:
                job = self._job(name)
                self.server.queue.cancel(job)
                return self._send_json(200, self._facts(job))
        raise RefusedError(404, f"nothing can be deleted at {url.path:.80}")

    def _about(self) -> dict:
        settings = self.server.settings
        facts = {
            "upload_bytes": settings.upload_bytes,
            "examples": list(settings.examples),
            "licence": settings.licence,
        }
        return replies.about(self.server.studio, self.server.defaults, facts)

    def _facts(self, job: Job, *, joints: bool = False) -> dict:
        return replies.job_facts(job, self.server.queue, joints=joints)

    def _job(self, name: str) -> Job:
        job = self.server.queue.find(name)
        if job is None:
            raise RefusedError(404, "this request is unknown or forgotten: send it again")
        return job

    def _take(self, name: str) -> tuple[Job, Take]:
        job = self._job(name)
        if not isinstance(job.result, Take):
            raise RefusedError(404, "this request has no clips")
        return job, job.result

    def _send_clip(self, name: str, file: str) -> None:
        job, take = self._take(name)
        number, _, format = file.partition(".")
        if number not in map(str, range(len(take.motions))) or format not in FORMATS:
            raise RefusedError(404, f"this request has no file {file:.40}")
        path = self.server.export(job, take, int(number), format)
        self._send_file(path, replies.download_name(take, int(number), format))

    def _send_word(self, file: str) -> None:
        name, _, kind = file.partition(".")
        word = self.server.studio.words.get(f"<{name}>")
        if word is None or kind != "safetensors":
            raise RefusedError(404, f"no learned word has the file {file:.40}")
        path = self.server.studio.folder / f"{name}.safetensors"
        write_word(path, word)
        self._send_file(path, path.name)

    def _body(self, kind: str) -> bytes:
        """The body of a request, of a kind that no form of another site can send unasked."""
        given = self.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if given != kind:
            raise RefusedError(415, f"the Content-Type must be {kind}, got '{given:.40}'")
        data = self.rfile.read(self._body_size())
        self.unread = 0
        return data

    def _body_size(self) -> int:
        """Bytes of the body; RefusedError where they are not announced, packed, or too many."""
        if self.headers.get("Content-Encoding", "identity") != "identity":
            raise RefusedError(415, "a packed body is not taken: send it as it is")
        if "Transfer-Encoding" in self.headers or "Content-Length" not in self.headers:
            raise RefusedError(411, "the body must come with its Content-Length")
        size = self._announced()
        most = JSON_MOST
        if self._url().path == "/words":
            most = self.server.settings.upload_bytes
        if not 0 < size <= most:
            raise RefusedError(
                413 if size else 400,
                f"{size / 1e6:.1f} MB are too much: {most / 1e6:g} MB are the most"
                if size
                else "the body is empty",
            )
        return size

    def _announced(self) -> int:
        length = self.headers.get("Content-Length", "0").strip()
        return int(length) if length.isascii() and length.isdigit() and len(length) < 16 else 0

    def _refuse(self, status: int, reason: object) -> None:
        self.close_connection = True
        headers = {"Retry-After": "5"} if status == 503 else {}
        self._send_json(status, {"error": replies.one_line(reason)}, headers)
        if self.unread and "Expect" not in self.headers:
            self._drain()

    def _drain(self) -> None:
        """Read on for a while: a connection closed on unread bytes loses the answer."""
        end = time.monotonic() + DRAIN_SECONDS
        self.connection.settimeout(DRAIN_SECONDS)
        while self.unread > 0 and time.monotonic() < end:
            block = self.rfile.read1(min(BLOCK, self.unread))
            if not block:
                return
            self.unread -= len(block)

    def _send_json(self, status: int, value: dict, headers: dict | None = None) -> None:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        self._send(status, text.encode(), "application/json; charset=utf-8", headers)

    def _send_file(self, path: Path, name: str) -> None:
        download = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}"}
        self._send(200, path.read_bytes(), "application/octet-stream", download)

    def _send(self, status: int, body: bytes, kind: str, headers: dict | None = None) -> None:
        self.send_response(status)
        fixed = {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "same-origin",
        }
        for name, value in (fixed | (headers or {})).items():
            self.send_header(name, value)
        if self.unread or self.close_connection:
            self.close_connection = True
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _query(text: str) -> dict[str, object]:
    """The values behind the ? of an address; true and false are what they say."""
    values: dict[str, object] = dict(parse_qsl(text, keep_blank_values=True, max_num_fields=20))
    words = {"true": True, "false": False}
    if "wait" in values:
        values["wait"] = words.get(str(values["wait"]), values["wait"])
    return values
