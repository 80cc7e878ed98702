"""How a connection is let in by nats-server: TLS, certificate and key, and what a refusal means."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

from chassis.errors import ConfigurationError
from chassis.identity import Identity
from chassis.nats_py import AuthorizationError, Client, NatsError, UnexpectedEOF

GOODBYE_SECONDS_MAX = 1.0
HUNG_UP = "the server hung up: it may not believe our certificate"


class NotAdmittedError(NatsError):
    """No way in with these keys now; the sentence names the setting that is about it."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence

    def __str__(self) -> str:
        return self.sentence


class AdmittedClient(Client):
    """A connection that shows who it is; the files are read again whenever it is made anew."""

    def __init__(self, identity: Identity) -> None:
        super().__init__()
        self.identity = identity

    @property
    def ssl_context(self) -> ssl.SSLContext:
        """Made anew for every connection: the files may have changed since the last one."""
        if not self.identity.tls_dir:
            return super().ssl_context
        try:
            return self.identity.tls_context()
        except ConfigurationError as error:
            raise NotAdmittedError(str(error)) from None

    def _connect_command(self) -> bytes:
        """Say who we are; never in clear where TLS is configured, whatever the server offers."""
        if self.identity.tls_dir and not self._server_info.get("tls_required"):
            sentence = "nats-server offers no TLS"
            raise NotAdmittedError(self.identity.explain_tls(sentence))
        if (writer := self._tls_writer()) is not None:
            # nats-py does not tell its protocol that it is spoken over TLS: each end would be
            # warned about.
            protocol = writer.transport.get_protocol()
            if protocol is not None:  # else the server has hung up already
                protocol._over_ssl = True  # noqa: SLF001
        if not self.identity.seed_file:
            return super()._connect_command()
        self._auth_configured = True
        self._signature_cb = lambda nonce: self.identity.sign(nonce).encode()
        try:
            self._public_nkey = self.identity.public_key()
            return super()._connect_command()
        except ConfigurationError as error:
            raise NotAdmittedError(str(error)) from None

    async def _process_connect_init(self) -> None:
        """Introduce ourselves; a refusal is an error, also one that comes as a closed socket."""
        try:
            await super()._process_connect_init()
        except ssl.SSLError as error:
            raise NotAdmittedError(self.identity.explain_tls(_reason(error))) from None
        except ConnectionError:
            if self._tls_writer() is None:
                raise
            raise NotAdmittedError(self.identity.explain_tls(HUNG_UP)) from None
        except NatsError as error:
            if _is_refusal(str(error)):
                raise NotAdmittedError(self.identity.explain_refusal()) from None
            raise
        if not self.is_connected:
            # By TLS 1.3 the server looks at our certificate when we think that all is done.
            for task in (self._reading_task, self._ping_interval_task, self._flusher_task):
                if task is not None:
                    task.cancel()
            if not self.identity.tls_dir:
                raise UnexpectedEOF
            raise NotAdmittedError(self.identity.explain_tls(HUNG_UP))

    async def _process_err(self, err_msg: str) -> None:
        """A key that was withdrawn ends the connection: the files may hold the next one by now."""
        if _is_refusal(err_msg):
            await self._process_op_err(AuthorizationError())
        else:
            await super()._process_err(err_msg)

    async def _attempt_reconnect(self) -> None:
        self._hang_up()
        await super()._attempt_reconnect()

    async def _close(self, status: int, do_cbs: bool = True) -> None:
        patience = asyncio.get_running_loop().call_later(GOODBYE_SECONDS_MAX, self._hang_up)
        try:
            await super()._close(status, do_cbs)
        finally:
            patience.cancel()

    def _hang_up(self) -> None:
        """End a TLS connection at once: its goodbye waits half a minute for a dead server."""
        if (writer := self._tls_writer()) is not None:
            writer.transport.abort()

    def _tls_writer(self) -> Any:
        writer = getattr(self._transport, "_io_writer", None)
        if writer is None or writer.get_extra_info("ssl_object") is None:
            return None
        return writer


def _is_refusal(text: str) -> bool:
    """`Authorization Violation`, `User Authentication Revoked` and their kin."""
    lowered = text.lower()
    return "authorization" in lowered or "authentication" in lowered


def _reason(error: ssl.SSLError) -> str:
    verified = getattr(error, "verify_message", "")
    return str(verified or error.reason or error)
