from __future__ import annotations

from chassis import logs
from chassis.outbox import UnitOfWork
from contracts.vpn import SetNode
from vpn.ports import Books
from vpn.ports.registry import STATES

log = logs.get("vpn.nodes")


async def set_node(command: SetNode, uow: UnitOfWork, *, books: Books) -> None:
    if not await uow.is_last_word(f"node:{command.node}"):
        log.warning("node_word_overtaken", node=command.node, state=command.state)
        return
    known = command.state in STATES and await books.nodes.set_state(
        uow.connection, command.node, command.state, command.actor, command.reason, uow.now
    )
    if not known:
        log.warning("node_not_set", node=command.node, state=command.state)
        return
    log.info("node_set", node=command.node, state=command.state, actor=command.actor)
    uow.after_commit(books.wake)
