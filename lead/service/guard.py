"""Who may ask: pages of this server and programs, never another site in the visitor's browser."""

import ipaddress
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from urllib.parse import unquote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lead.core.errors import one_line

ALWAYS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]\s/@]+)(?::[0-9]{1,5})?")


class Guard:
    """An ASGI application that passes welcome requests on to another; HEAD as the GET it is."""

    def __init__(self, app: ASGIApp, names: Sequence[str]) -> None:
        self.app, self.names = app, names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on or refuse it; every answer gets the headers that guard browsers."""

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(ALWAYS)
                headers.setdefault("Content-Security-Policy", PAGE_POLICY)
            await send(message)

        if scope["method"] == "HEAD":  # the server leaves the body out by itself
            scope = {**scope, "method": "GET"}
        try:
            scope, host = _with_path(scope)
            status, reason = 403, refusal(Headers(scope=scope), self.names, scope["path"], host)
        except ValueError as error:
            status, reason = 400, f"the address is broken ({error})"
        answer = self.app if reason is None else JSONResponse({"error": one_line(reason)}, status)
        await answer(scope, receive, send_guarded)


def _with_path(scope: Scope) -> tuple[Scope, str | None]:
    """The request with a path alone as its target, and the host that a whole address names."""
    raw = scope["raw_path"].decode("ascii", "replace")
    if raw.startswith("/"):
        return scope, None
    address = urlsplit(raw)
    if not address.netloc:
        raise ValueError(f"{raw:.80} is no path")
    return {**scope, "path": unquote(address.path) or "/"}, address.netloc


def refusal(
    headers: Mapping[str, str], names: Sequence[str], path: str, named: str | None = None
) -> str | None:
    """Why a request is refused, or None where it is welcome.

    The Host, and the host ``named`` in a whole address, have to be localhost, an address of
    numbers or one of ``names``: a foreign page whose name was pointed at this machine (DNS
    rebinding) still calls it by that name. Where a browser says which site asks, it has to be this
    one, but for following a link to the page itself.
    """
    host = headers.get("Host", "")
    for given in (host, named or host):
        if not _is_served(given, names):
            return f"the host '{given:.80}' is not served here: start lead demo with names=[HOST]"
    origin = headers.get("Origin")
    if origin is not None and origin.partition("://")[2].lower() != host.lower():
        return f"requests of another site ({origin:.80}) are refused"
    site = headers.get("Sec-Fetch-Site", "none")
    link = path == "/" and headers.get("Sec-Fetch-Mode") == "navigate"
    if site not in ("none", "same-origin") and not link:
        return f"requests of another site ({site:.20}) are refused"
    return None


def _is_served(host: str, names: Sequence[str]) -> bool:
    found = _HOST.fullmatch(host)
    name = found[1].strip("[]").lower().rstrip(".") if found else ""
    with suppress(ValueError):
        return bool(ipaddress.ip_address(name))
    return name in ("localhost", *names)
