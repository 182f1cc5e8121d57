"""What rings for an address, or below it, is stopped. The Signal decides when. RFC 3261 §16.10."""

from __future__ import annotations

from pbx.signal.branch import Branch, BranchState
from pbx.signal.node import Node, NodeState
from pbx.signal.port import SignalPort


def cancel_below(port: SignalPort, node: Node, reason: str | None) -> list[Branch]:
    """End an address; returns the branches whose finals are still to come. `reason` is a Reason header's value."""
    owed = cancel_children(port, node, reason)
    node.stop_timers()
    node.state = NodeState.DONE
    return owed


def cancel_children(port: SignalPort, node: Node, reason: str | None) -> list[Branch]:
    """The same, but the address itself lives on."""
    ringing, children = list(node.branches), list(node.nodes)
    owed = ringing + node.end_drain()
    node.branches.clear()
    node.nodes.clear()
    for branch in ringing:
        cancel(port, branch, reason)
    for child in children:
        owed += cancel_below(port, child, reason)
    return owed


def cancel(port: SignalPort, branch: Branch, reason: str | None) -> None:
    """Stop one."""
    branch.state = BranchState.CANCELLED
    branch.stop_timer()
    port.cancel_branch(branch, reason)
