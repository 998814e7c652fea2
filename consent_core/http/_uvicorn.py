"""The one module that names uvicorn's private interface: what the protocols of this package override, call and set.

`check_internals` runs on import and refuses a uvicorn that lacks one of the names, or that makes a cycle otherwise.
"""

from collections.abc import Callable, Mapping
from types import CodeType
from typing import Any

import httptools
from uvicorn import Server
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

__all__ = ["STATUS_LINE", "HttpToolsProtocol", "RequestResponseCycle", "check_internals"]

# What each function must mention. A name that went away was renamed, or what it was for is done elsewhere.
MENTIONED: Mapping[str, tuple[Callable[..., Any], tuple[str, ...]]] = {
    "protocol": (HttpToolsProtocol.__init__, ("pipeline", "transport", "scope", "headers", "cycle", "loop")),
    "connection_lost": (HttpToolsProtocol.connection_lost, ("cycle", "disconnected", "parser")),
    "data_received": (HttpToolsProtocol.data_received, ("parser", "feed_data", "HttpParserError", "send_400_response")),
    "send_400_response": (HttpToolsProtocol.send_400_response, ("transport", "close")),
    "_start_asgi_task": (HttpToolsProtocol._start_asgi_task, ("create_task", "run_asgi")),
    "on_message_begin": (HttpToolsProtocol.on_message_begin, ("url", "headers", "scope")),
    "on_header": (HttpToolsProtocol.on_header, ("headers", "append")),
    "on_headers_complete": (HttpToolsProtocol.on_headers_complete, ("cycle", "scope", "get_http_version")),
    "on_body": (HttpToolsProtocol.on_body, ("cycle", "body")),
    "on_message_complete": (HttpToolsProtocol.on_message_complete, ("cycle", "more_body")),
    "on_response_complete": (
        HttpToolsProtocol.on_response_complete,
        ("pipeline", "_start_asgi_task", "timeout_keep_alive_task"),
    ),
    "cycle": (
        RequestResponseCycle.__init__,
        (
            *("scope", "transport", "flow", "default_headers", "message_event", "on_response"),
            *("disconnected", "keep_alive", "response_started", "response_complete"),
        ),
    ),
    "flow": (FlowControl.__init__, ("write_paused",)),
    "server": (Server.startup, ("servers", "started", "lifespan", "http_protocol_class", "server_state")),
}


def check_internals(mentioned: Mapping[str, tuple[Callable[..., Any], tuple[str, ...]]] = MENTIONED) -> None:
    """Compare the installed uvicorn with what this package was written against. Raises: RuntimeError."""
    lost = {
        where: missing
        for where, (function, names) in mentioned.items()
        if (missing := [name for name in names if name not in _names(function.__code__)])
    }
    if STATUS_LINE.get(200) != b"HTTP/1.1 200 OK\r\n":
        lost["STATUS_LINE"] = ["200"]
    if not issubclass(httptools.HttpParserCallbackError, httptools.HttpParserError):
        lost["httptools"] = ["HttpParserCallbackError"]
    if lost:
        raise RuntimeError(f"this uvicorn works otherwise than the listeners expect; it lacks {lost}")


def _names(code: CodeType) -> set[str]:
    """Attributes and names of a function, and of those within it."""
    inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return {*code.co_names, *code.co_freevars, *(name for each in inner for name in _names(each))}


check_internals()
