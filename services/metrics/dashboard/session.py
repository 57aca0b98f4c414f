"""Signing in to the dashboard: a session cookie made from a token.

The cookie holds the token itself, so a session ends when the token does, or when the issuer's keys change; nothing
is stored. It is HttpOnly, SameSite=Lax and, on https, Secure under the `__Host-` prefix. What changes anything is
a POST, and a POST from another site is refused, so that nobody is signed in or out by a page of somebody else's.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from shared.errors import Forbidden, Unauthenticated
from shared.http import Authenticator, Caller
from shared.http.auth import ACT_AS_HEADER

LONGEST_TOKEN = 3_500
"""Browsers keep cookies up to 4,096 bytes, name and attributes included."""


class Sessions:
    """Reads and writes the session cookie.

    Args:
        public_url: where browsers reach the service; on https the cookie is for https alone.
    """

    def __init__(self, public_url: str) -> None:
        self._secure = public_url.startswith("https://")
        self._name = "__Host-onbelay" if self._secure else "onbelay"

    async def caller(self, request: Request, authenticator: Authenticator) -> Caller | None:
        """Who is signed in, by the cookie or by a bearer token, or whom they act as; None: nobody, or not any more.

        Raises:
            Forbidden: they may act as nobody.
            Unprocessable: whom they act as is no person's id.
        """
        authorization = request.headers.get("authorization")
        token = request.cookies.get(self._name)
        if authorization is None and token is not None:
            authorization = f"Bearer {token}"
        try:
            return await authenticator.caller(authorization, request.headers.get(ACT_AS_HEADER))
        except Unauthenticated:
            return None

    async def begin(self, token: str, response: Response, authenticator: Authenticator) -> None:
        """Sign in with a token.

        Raises:
            Unauthenticated: it does not hold, or is too long for a cookie.
            Unavailable: the issuer's keys cannot be had.
        """
        await authenticator.verify(token)
        if len(token) > LONGEST_TOKEN:
            raise Unauthenticated("The token is too long for a session.")
        response.set_cookie(self._name, token, path="/", secure=self._secure, httponly=True, samesite="lax")

    def end(self, response: Response) -> None:
        """Sign out."""
        response.delete_cookie(self._name, path="/", secure=self._secure, httponly=True, samesite="lax")


def require_same_origin(request: Request) -> None:
    """Refuse a POST that a page of another site makes a browser send.

    Browsers tell by `Sec-Fetch-Site`, older ones by `Origin`; clients that are no browsers send neither, and have
    no cookie that somebody else could make use of.

    Raises:
        Forbidden: it comes from another site.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        allowed = site in ("same-origin", "none")
    else:
        origin = request.headers.get("origin")
        allowed = origin is None or urlsplit(origin).netloc == request.headers.get("host")
    if not allowed:
        raise Forbidden("This form belongs to another site.")
