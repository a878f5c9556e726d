"""Who asks: the key of a request, what it may do and what it may see."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBasic, HTTPBearer, SecurityScopes
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from service import keys
from service.keys import Key, KeyRing
from service.problem_answers import DATABASE_AWAY, answer_of, database_away
from service.problems import Problem
from service.rooms import Rooms, RoomsOf
from service.same_origin import check_origin
from service.settings import Settings
from service.store_asks import Terms

__all__ = ["Admin", "Asker", "Caller", "KeyGuard", "Reader", "Writer", "find_key"]

LOOKING = ("GET", "HEAD")
CHALLENGE = {"WWW-Authenticate": 'Bearer realm="vi3nr"'}
PAGE_CHALLENGE = {"WWW-Authenticate": 'Basic realm="vi3nr: any name, and an API key as the password", charset="UTF-8"'}
bearer = HTTPBearer(
    scheme_name="key", auto_error=False, description="an API key of `vi3nr key create`: vi3nr_ID_SECRET"
)
basic = HTTPBasic(
    scheme_name="browser", auto_error=False, description="for looking with a browser: any name, the key as password"
)


@dataclass(frozen=True)
class Caller:
    """The owner of a request. ``owner`` is the id of the key, empty where keys are off."""

    owner: str
    scope: keys.Scope
    max_queued: int
    max_studies: int
    per_minute: int

    @property
    def listed(self) -> str | None:
        """Whose things lists show; None: everybody's."""
        return None if self.scope is keys.Scope.ADMIN else self.owner

    def sees(self, owner: str) -> bool:
        """Whether something of this owner exists for the caller."""
        return self.scope is keys.Scope.ADMIN or owner == self.owner

    def terms(self) -> Terms:
        """Under which it may ask for a study."""
        return Terms(self.owner, self.max_queued, self.max_studies)


def find_key(ring: KeyRing, headers: Headers, method: str) -> Key:
    """The key that came with a request: as a bearer token, or for looking as a browser's password.

    A browser sends its password along with whatever another site makes it send, so it counts for GET and HEAD alone.

    Raises:
        Problem: 401; what was sent is never repeated.
    """
    page = method in LOOKING and "text/html" in headers.get("accept", "")
    challenge = PAGE_CHALLENGE if page else CHALLENGE
    scheme, _, word = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic" and method in LOOKING:
        word = _password(word)
    elif scheme.lower() != "bearer":
        sentence = "an API key is required: send it as 'Authorization: Bearer vi3nr_...'"
        raise Problem(401, sentence, headers=challenge)
    key = ring.find(word.strip())
    if key is None:
        raise Problem(401, "there is no such API key, or it was revoked", headers=challenge)
    return key


def _password(word: str) -> str:
    try:
        return base64.b64decode(word, validate=True).decode().partition(":")[2]
    except (binascii.Error, ValueError):
        return ""


def _caller_of(key: Key | None, settings: Settings) -> Caller:
    if key is None:  # keys are off: whoever reaches this machine's loopback is its owner
        return Caller("", keys.Scope.ADMIN, settings.max_queued, settings.max_studies, settings.requests_per_minute)
    return Caller(
        owner=key.id,
        scope=key.scope,
        max_queued=key.max_queued or settings.max_queued,
        max_studies=key.max_studies or settings.max_studies,
        per_minute=key.per_minute or settings.requests_per_minute,
    )


def _identify(rooms: Rooms, headers: Headers, method: str) -> Caller:
    """Who asks, counted against its rate. Raises Problem: 401, 429."""
    if not rooms.settings.require_keys:
        return _caller_of(None, rooms.settings)
    caller = _caller_of(find_key(rooms.keys, headers, method), rooms.settings)
    seconds = rooms.rate_limit.wait(caller.owner, caller.per_minute)
    if seconds:
        more, message = f"more than {caller.per_minute}", f"is too many for this key: wait {seconds} s"
        later = {"Retry-After": str(seconds)}
        raise Problem.of_field("requests_per_minute", more, message, 429, headers=later, kind="rate-limited")
    return caller


class KeyGuard:
    """ASGI middleware: with keys on, the body of a request is read only after its key was found good; with keys off,
    what another site's page makes a browser send is refused.
    """

    def __init__(self, app: ASGIApp, rooms: Rooms) -> None:
        self._app, self._rooms = app, rooms

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 -- ASGI
        if scope["type"] == "http":
            try:
                await self._check(scope)
            except Problem as error:
                await answer_of(error)(scope, receive, send)
                return
            except DATABASE_AWAY as error:  # the handlers of the application are further in
                await database_away(error)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        if not self._rooms.settings.require_keys:
            check_origin(headers)
        elif scope["method"] not in (*LOOKING, "OPTIONS"):
            caller = await run_in_threadpool(_identify, self._rooms, headers, scope["method"])
            scope.setdefault("state", {})["caller"] = caller


def _caller(request: Request, rooms: RoomsOf, scopes: SecurityScopes) -> Caller:
    caller: Caller | None = getattr(request.state, "caller", None)
    if caller is None:
        caller = request.state.caller = _identify(rooms, request.headers, request.method)
    needed = keys.Scope(scopes.scopes[0])
    if not caller.scope.includes(needed):
        raise Problem(403, f"this needs the scope {needed.value!r}, the key has {caller.scope.value!r}")
    return caller


def _asker(request: Request, rooms: RoomsOf, scopes: SecurityScopes, _: Annotated[object, Depends(bearer)]) -> Caller:
    return _caller(request, rooms, scopes)


def _reader(
    request: Request,
    rooms: RoomsOf,
    scopes: SecurityScopes,
    _: Annotated[object, Depends(bearer)],
    __: Annotated[object, Depends(basic)],
) -> Caller:
    return _caller(request, rooms, scopes)


Reader = Annotated[Caller, Security(_reader, scopes=[keys.Scope.READ.value])]  # of GET
Asker = Annotated[Caller, Security(_asker, scopes=[keys.Scope.READ.value])]  # of POST that changes nothing
Writer = Annotated[Caller, Security(_asker, scopes=[keys.Scope.WRITE.value])]
Admin = Annotated[Caller, Security(_reader, scopes=[keys.Scope.ADMIN.value])]
