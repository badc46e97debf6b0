"""What a client is told when a request is not answered: a status, a code to act on, a sentence, when to come back.

The body is that of OpenAI's API: {"error": {"message", "type", "param", "code"}}.
"""

from __future__ import annotations

import errno

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}

RETRY_AFTER_S = 5
"""For what passes by itself: a full queue, a model that is being loaded."""


class Refusal(HTTPException):
    """A request that is not answered. `param` names the part of the request that is wrong.

    An HTTPException, because that is the one kind that passes through what reads the body of a request.
    """

    def __init__(
        self, status: int, code: str, message: str, *, param: str | None = None, retry_after_s: int | None = None
    ) -> None:
        if retry_after_s is None and status in (429, 503):
            retry_after_s = RETRY_AFTER_S
        headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
        super().__init__(status, message, headers | ({"WWW-Authenticate": "Bearer"} if status == 401 else {}))
        self.status, self.code, self.message, self.param = status, code, message, param

    @property
    def body(self) -> dict[str, dict[str, str | None]]:
        kind = TYPES.get(self.status, "invalid_request_error" if self.status < 500 else "server_error")
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}

    def response(self) -> JSONResponse:
        return JSONResponse(self.body, self.status, self.headers)


def interrupted() -> Refusal:
    return Refusal(503, "interrupted", "the model was started again while it answered this; send the request again")


def stopping() -> Refusal:
    return Refusal(503, "stopping", "the service is being stopped; send the request again later", retry_after_s=30)


FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Of an OSError that says that there is no room for a file."""


def no_room(error: BaseException | None) -> bool:
    """Whether an exception, or one that it came of, says that a file has no room on this machine."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in FULL:
            return True
        error = error.__cause__ or error.__context__
    return False


def disk_full() -> Refusal:
    return Refusal(507, "disk_full", "this machine has no room for the file now; send the request again later")
