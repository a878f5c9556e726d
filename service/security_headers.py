"""What every answer tells a browser: read nothing into it, show it in no frame, run nothing, keep it to yourself."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["SecurityHeaders"]

ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
}
CDN = "https://cdn.jsdelivr.net"
DOCS = (  # FastAPI's pages of the API load their script from there, and start it inline
    f"default-src 'none'; script-src {CDN} 'unsafe-inline'; style-src {CDN} 'unsafe-inline'; connect-src 'self'; "
    f"img-src 'self' data: https://fastapi.tiangolo.com; worker-src blob:; font-src {CDN} data:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
TLS = "max-age=31536000"


class SecurityHeaders:
    """ASGI middleware. What an answer has set itself stays."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 -- ASGI
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if scope["path"] in ("/docs", "/redoc"):
                    headers.setdefault("Content-Security-Policy", DOCS)
                for name, value in ALWAYS.items():
                    headers.setdefault(name, value)
                if scope.get("scheme") == "https":
                    headers.setdefault("Strict-Transport-Security", TLS)
            await send(message)

        await self._app(scope, receive, guarded if scope["type"] == "http" else send)
