"""Who may ask: pages of this server and programs, never another site in the visitor's browser."""

import ipaddress
import re
from collections.abc import Mapping, Sequence
from email.message import Message

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]\s/@]+)(?::[0-9]{1,5})?")


def refusal(headers: Mapping[str, str] | Message, names: Sequence[str], path: str) -> str | None:
    """Why a request is refused, or None where it is welcome.

    The Host has to be localhost, an address of numbers or one of ``names``: a foreign page whose
    name was pointed at this machine (DNS rebinding) still calls it by that name. Where a browser
    says which site asks, it has to be this one, but for following a link to the page itself.
    """
    host = headers.get("Host", "")
    name = host_name(host)
    if name is None or not (name == "localhost" or _is_address(name) or name in names):
        return f"the host '{host:.80}' is not served here: start lead demo with names=[HOST]"
    origin = headers.get("Origin")
    if origin is not None and origin.partition("://")[2].lower() != host.lower():
        return f"requests of another site ({origin:.80}) are refused"
    site = headers.get("Sec-Fetch-Site", "none")
    link = path == "/" and headers.get("Sec-Fetch-Mode") == "navigate"
    if site not in ("none", "same-origin") and not link:
        return f"requests of another site ({site:.20}) are refused"
    return None


def host_name(host: str) -> str | None:
    """The name in a Host header, lower case, without port and brackets; None where it has none."""
    found = _HOST.fullmatch(host)
    return found[1].strip("[]").lower().rstrip(".") if found else None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
