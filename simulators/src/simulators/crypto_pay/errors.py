"""How Crypto Pay says no: a code that is also the HTTP status, and a name in capitals."""

from typing import Any


class ApiError(Exception):
    def __init__(self, name: str, code: int = 400, **more: Any) -> None:
        super().__init__(name)
        self.name = name
        self.code = code
        self.more = more

    def body(self) -> dict[str, Any]:
        return {"ok": False, "error": {"code": self.code, "name": self.name, **self.more}}


def invalid(param: str, **more: Any) -> ApiError:
    return ApiError(f"{param.upper()}_INVALID", **more)


def required(param: str) -> ApiError:
    return ApiError(f"{param.upper()}_REQUIRED")


def unauthorized() -> ApiError:
    return ApiError("UNAUTHORIZED", 401)


def method_disabled() -> ApiError:
    """The method must first be enabled in the app's security settings."""
    return ApiError("METHOD_DISABLED", 403)


def method_not_found() -> ApiError:
    return ApiError("METHOD_NOT_FOUND", 405)
