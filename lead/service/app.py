"""The answers to every request: JSON, the page, or a file. /openapi.json describes them."""

import asyncio
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from lead import __version__
from lead.core.errors import LeadError, RequestError, one_line
from lead.evaluation.report.attention_plot import AttentionPanel, write_attention
from lead.export.formats import FORMATS, export_motion
from lead.export.player import write_player
from lead.inversion import write_word
from lead.service import forms, replies
from lead.service.jobs import BusyError, CancelledError, Job, JobQueue, mistake
from lead.service.studio import Studio, Take

JSON, BINARY = "application/json", "application/octet-stream"
JSON_MOST = 20_000  # bytes of a request for a clip
UPLOADS_AT_ONCE = 8  # that are held in memory while they arrive; others wait
BODY_SECONDS = 30.0  # for a body to arrive, and as long again for each megabyte
GLANCE = 0.02  # seconds between two looks at whether a visitor is still there

PLAYER_POLICY = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; frame-ancestors 'self'"
)
STATUS = {BusyError: 503, CancelledError: 409, RequestError: 400}
REFUSED = {code: {"model": replies.Refusal} for code in ("4XX", "5XX")}
FILE, PAGE, PICTURE = (
    {"responses": {200: {"content": {kind: {}}}}} for kind in (BINARY, "text/html", "image/png")
)
JOB = {"response_model": replies.JobFacts, "response_model_exclude_unset": True}


class Desk:
    """Takes requests and gives answers; ``app`` is what a server calls."""

    def __init__(self, studio: Studio, settings: forms.Settings) -> None:
        self.studio, self.settings = studio, settings
        self.form = forms.clip_form(studio.model, studio.sampling)
        self.queue = JobQueue(settings.waiting, settings.kept)
        self._uploads = asyncio.Semaphore(UPLOADS_AT_ONCE)
        self._writing, self._closed = threading.Lock(), False
        self.app = FastAPI(
            title="lead demo",
            version=__version__,
            docs_url=None,  # these pages load scripts from elsewhere
            redoc_url=None,
            responses=REFUSED,
            exception_handlers=dict.fromkeys((Exception, HTTPException, LeadError), _refuse),
        )
        for path, answer, options in (
            ("/about", self.about, {}),
            ("/generate", self.generate, _asked(JSON, self.form)),
            ("/words", self.teach, _asked(BINARY, forms.WordForm)),
            ("/captions", self.caption, _asked(BINARY, forms.CaptionForm)),
            ("/words/{file}", self.word_file, FILE),
            ("/jobs/{name}", self.job, JOB),
            ("/jobs/{name}", self.cancel, {"methods": ["DELETE"], **JOB}),
            ("/jobs/{name}/player", self.player, PAGE),
            ("/jobs/{name}/attention", self.look, _asked(JSON, forms.LookForm)),
            ("/jobs/{name}/attention.png", self.picture, PICTURE),
            ("/jobs/{name}/{file}", self.clip_file, FILE),
        ):
            self.app.add_api_route(path, answer, **options)
        page = StaticFiles(directory=Path(__file__).parent / "page", html=True)
        self.app.mount("/", page)

    async def about(self) -> dict[str, object]:
        """What the model can do."""
        return replies.about(self.studio, self.form, self.settings)

    async def generate(self, request: Request, response: Response):
        """One clip of a sentence, or two of the same latent."""
        form = forms.fill(self.form, await _body(request, JSON, JSON_MOST))
        self.studio.check_text(form.text)
        job = self.queue.submit(lambda job: self.studio.generate(form, job.report))
        return await self._answer(job, form, request, response)

    async def teach(self, request: Request, response: Response):
        """Learn a word from the BVH file that is the body."""
        form = forms.fill(forms.WordForm, dict(request.query_params))
        async with self._uploads:
            data = await _body(request, BINARY, self.settings.upload_bytes)
        job = self.queue.submit(lambda job: self.studio.teach(form, data, job.report))
        return await self._answer(job, form, request, response)

    async def caption(self, request: Request, response: Response):
        """Sentences about the motion that is the body: a BVH file or a motion file (npz)."""
        form = forms.fill(forms.CaptionForm, dict(request.query_params))
        async with self._uploads:
            data = await _body(request, BINARY, self.settings.upload_bytes)
        job = self.queue.submit(lambda job: self.studio.caption(form, data, job.report))
        return await self._answer(job, form, request, response)

    async def look(self, name: str, request: Request, response: Response):
        """A picture of where the motion of a job looks among its words."""
        form = forms.fill(forms.LookForm, await _body(request, JSON, JSON_MOST))
        take = self._take(name)
        self.studio.model.need("attention")
        job = self.queue.submit(lambda job: self.studio.look(take, job.report))
        return await self._answer(job, form, request, response)

    async def _answer(
        self, job: Job, form: forms.Form, request: Request, response: Response
    ) -> replies.JobFacts:
        """The job at once or at its end; it is cancelled where the visitor leaves before that."""
        if not form.wait:
            response.status_code = 202
            return self._facts(job)
        while not job.finished.is_set():
            job.asked = time.monotonic()
            if await request.is_disconnected():
                self.queue.cancel(job)
            await asyncio.sleep(GLANCE)
        if job.state != "done":
            raise job.error or CancelledError("cancelled")
        return self._facts(job, joints=getattr(form, "joints", False))

    async def job(self, name: str):
        """A job as it stands; one that nobody asks for in two minutes is cancelled."""
        return self._facts(self._job(name))

    async def cancel(self, name: str):
        """Cancel a job."""
        job = self._job(name)
        self.queue.cancel(job)
        return self._facts(job)

    def player(self, name: str) -> Response:
        """The page that plays the clips of a job."""
        take = self._take(name)
        several = len(take.motions) > 1
        motions = [
            replace(motion, text=f"{motion.text} (projector {side})") if several else motion
            for motion, side in zip(take.motions, take.projectors, strict=True)
        ]
        page = self._written("player.html", lambda path: write_player(path, motions))
        return HTMLResponse(page, headers={"Content-Security-Policy": PLAYER_POLICY})

    def picture(self, name: str) -> Response:
        """Words against seconds, of a job that looked."""
        panel = self._job(name).result
        if not isinstance(panel, AttentionPanel):
            raise HTTPException(404, "this request has no picture")
        data = self._written("attention.png", lambda path: write_attention(path, [panel]))
        return Response(data, media_type="image/png")

    def clip_file(self, name: str, file: str) -> Response:
        """A file of a clip, such as 0.bvh."""
        take = self._take(name)
        number, _, format = file.partition(".")
        if number not in map(str, range(len(take.motions))) or format not in FORMATS:
            raise HTTPException(404, f"this request has no file {file:.40}")
        motion = take.motions[int(number)]
        data = self._written(file, lambda path: export_motion(motion, path, format))
        return _download(data, replies.download_name(take, int(number), format))

    def word_file(self, file: str) -> Response:
        """The file of a learned word, such as zombie.safetensors."""
        name, _, kind = file.partition(".")
        word = self.studio.words.get(f"<{name}>")
        if word is None or kind != "safetensors":
            raise HTTPException(404, f"no learned word has the file {file:.40}")
        return _download(self._written(file, lambda path: write_word(path, word)), file)

    def close(self, patience: float | int) -> None:
        """Stop working and, for good, writing."""
        self.queue.close(patience)
        self._closed = True
        if self._writing.acquire(timeout=patience):
            self._writing.release()

    def _written(self, name: str, write: Callable[[Path], object]) -> bytes:
        """What ``write`` puts into a file: one at a time, and none of them stays on the disk."""
        with self._writing, tempfile.TemporaryDirectory(dir=self.studio.folder) as folder:
            if self._closed:
                raise CancelledError("the server ends")
            write(Path(folder, name))
            return Path(folder, name).read_bytes()

    def _facts(self, job: Job, *, joints: bool = False) -> replies.JobFacts:
        return replies.job_facts(job, self.queue.place(job), joints=joints)

    def _job(self, name: str) -> Job:
        job = self.queue.find(name)
        if job is None:
            raise HTTPException(404, "this request is unknown or forgotten: send it again")
        return job

    def _take(self, name: str) -> Take:
        result = self._job(name).result
        if not isinstance(result, Take):
            raise HTTPException(404, "this request has no clips")
        return result


def _asked(kind: str, form: type[forms.Form]) -> dict:
    """A route that takes a form, as JSON or in the query beside a file, and answers with a job."""
    schema = form.model_json_schema()
    body = {"required": True, "content": {kind: {"schema": schema if kind == JSON else {}}}}
    query = [
        {
            "in": "query",
            "name": name,
            "required": name in schema.get("required", ()),
            "schema": facts,
        }
        for name, facts in schema["properties"].items()
        if kind != JSON
    ]
    asked = {"methods": ["POST"], "openapi_extra": {"requestBody": body, "parameters": query}}
    return {**asked, "responses": {202: {"model": replies.JobFacts}}, **JOB}


async def _body(request: Request, kind: str, most: int) -> bytes:
    """The body, of a kind that no form of another site can send unasked, and of ``most`` bytes."""
    given = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if given != kind:
        raise HTTPException(415, f"the Content-Type must be {kind}, got '{given:.40}'")
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise HTTPException(415, "a packed body is not taken: send it as it is")
    size, data = int(request.headers.get("Content-Length", 0)), bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS * (1 + most / 1e6)):
            blocks = aiter(request.stream())
            while size <= most and (block := await anext(blocks, b"")):
                data += block
                size = max(size, len(data))
    except TimeoutError as error:
        raise HTTPException(408, "the body does not arrive: send it again") from error
    if size > most:
        much = f"{size / 1e6:.1f} MB are too much: {most / 1e6:g} MB are the most"
        raise HTTPException(413, much)
    if not data:
        raise HTTPException(400, "the body is empty")
    return bytes(data)


def _download(data: bytes, name: str) -> Response:
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}"}
    return Response(data, 200, headers, BINARY)


async def _refuse(request: Request, error: Exception) -> JSONResponse:
    """Whatever ends a request, as one line."""
    headers = None
    if isinstance(error, HTTPException):
        status, headers, reason = error.status_code, error.headers, error.detail
        if reason == HTTPStatus(status).phrase:  # nobody has said more
            reason = f"there is no {request.method:.20} {request.scope['path']:.80} here"
    else:
        reason = error if isinstance(error, LeadError) else mistake(error)
        status = STATUS.get(type(reason), 500)
    if status == 503:
        headers = {"Retry-After": "5"}
    return JSONResponse({"error": one_line(reason)}, status, headers)
