"""How YooKassa says no: a code, a sentence, and the parameter that was wrong."""

from typing import Any
from uuid import uuid4

CODES = {
    400: "invalid_request",
    401: "invalid_credentials",
    403: "forbidden",
    404: "not_found",
    415: "invalid_request",
    429: "too_many_requests",
    500: "internal_server_error",
}


class ApiError(Exception):
    def __init__(
        self, description: str, parameter: str | None = None, *, status: int = 400
    ) -> None:
        super().__init__(description)
        self.description = description
        self.parameter = parameter
        self.status = status

    @property
    def code(self) -> str:
        return CODES[self.status]

    def body(self) -> dict[str, Any]:
        about = {} if self.parameter is None else {"parameter": self.parameter}
        return {
            "type": "error",
            "id": str(uuid4()),
            "code": self.code,
            "description": self.description,
            **about,
        }


def not_found(what: str, parameter: str) -> ApiError:
    return ApiError(f"{what} doesn't exist or access denied", parameter, status=404)
