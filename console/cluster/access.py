"""Nodes belong to the installation: every member sees them, platform administrators change them."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from console.accounts.access import Access
from console.cluster.models import Node
from console.common.errors import Forbidden, NotFound


def find_node(name: str) -> Node:
    """The node of this name or id."""
    node = Node.objects.filter(name=name).first() or Node.objects.filter(pk=name).first()
    if node is None:
        raise NotFound(_("There is no such node."))
    return node


def require_administrator(access: Access) -> None:
    if not access.administrator:
        raise Forbidden(_("Only a platform administrator may change nodes."))
