"""What a starting (or recovered) server finds: its own orders go on, strays are stopped."""

from __future__ import annotations

from collections.abc import Container

from chassis import logs
from generator.domain import claims
from generator.domain.claims import TERMINAL
from generator.handlers.claim import Claim
from generator.handlers.tools import Tools
from generator.ports import RevisionConflictError, StoredRecord

log = logs.get("generator.adopt")


async def adopt_jobs(tools: Tools) -> list[Claim]:
    """Take the orders this server held under the next epoch: an older pod of it is fenced off."""
    name = tools.server.name
    adopted = []
    for order_id in await tools.claims.held(name):
        stored = await tools.claims.read(order_id)
        if stored is None or stored.record.server != name or stored.record.state in TERMINAL:
            continue
        record = claims.adopted(stored.record, name, tools.clock.now(), counted=tools.fresh_process)
        try:
            revision = await tools.claims.write(order_id, record, stored.revision)
        except RevisionConflictError:
            log.info("not_adopted", order_id=str(order_id))
            continue
        log.info("job_adopted", order_id=str(order_id), epoch=record.epoch)
        fresh = StoredRecord(record=record, revision=revision)
        adopted.append(Claim(tools.claims, order_id, fresh))
    return adopted


async def stop_strays(tools: Tools, ours: Container[str]) -> None:
    """Stop prompts this server's pods posted and nobody follows. Others' prompts stay."""
    queue = await tools.server.queue()
    for prompt in (*queue.pending, *queue.running):
        if prompt.note.get("server") == tools.server.name and prompt.prompt_id not in ours:
            log.warning("stray_prompt_stopped", prompt_id=prompt.prompt_id)
            await tools.server.delete(prompt.prompt_id)
            await tools.server.interrupt(prompt.prompt_id)
