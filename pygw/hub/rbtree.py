"""Owns the red-black tree: nodes ordered by key, equal keys in order of insertion.

It must never know what a key means nor call anything. Invariants: a red node has no red child;
every path from a node down to a leaf passes the same number of black nodes; `first` is the leftmost
node and `last` the rightmost.

Written for speed in CPython, where an attribute access costs as much as a comparison: nodes are
intrusive (the timer is the node), one shared sentinel stands for every missing node, rotations are
written out where they happen, and both ends are cached, because timers are mostly added near the
end and taken from the front. The sentinel is only ever read, so trees in different threads may
share it.
"""

from collections.abc import Iterator

_INFINITY = float("inf")


class Node:
    """What a tree holds. Subclass it (with `__slots__`) to carry a payload.

    key: the order; must not change while the node is in a tree, and must not be NaN.
    """

    __slots__ = ("key", "left", "parent", "red", "right")

    left: "Node"
    right: "Node"
    parent: "Node"
    red: bool

    def __init__(self, key: float) -> None:
        self.key = key
        self.parent = UNLINKED


def _sentinel(key: float) -> Node:
    node = Node.__new__(Node)
    node.key = key
    node.left = node.right = node.parent = node
    node.red = False
    return node


#: Stands for every missing child and for the parent of the root. Its key is later than any other's.
NIL = _sentinel(_INFINITY)
#: The parent of a node that is in no tree.
UNLINKED = _sentinel(_INFINITY)


class RedBlackTree:
    """first, last: the nodes with the smallest and the largest key; NIL when empty, as is root."""

    __slots__ = ("_size", "first", "last", "root")

    def __init__(self) -> None:
        self.root: Node = NIL
        self.first: Node = NIL
        self.last: Node = NIL
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Node]:
        """Yield the nodes in order. The tree must not change meanwhile."""
        node = self.first
        while node is not NIL:
            yield node
            node = successor(node)

    def insert(self, node: Node) -> None:
        """Add a node that is in no tree, behind all whose key is not greater. O(log n)."""
        key = node.key
        node.left = node.right = NIL
        self._size += 1
        parent = self.last
        if parent is NIL:
            node.parent = NIL
            node.red = False
            self.root = self.first = self.last = node
            return
        node.red = True
        if key >= parent.key:
            parent.right = self.last = node
        elif key < self.first.key:
            parent = self.first
            parent.left = self.first = node
        else:
            parent = self._descend(key, node)
        node.parent = parent
        if parent.red:
            self._fix_insert(node, parent)

    def _descend(self, key: float, node: Node) -> Node:
        child = self.root
        while True:
            parent = child
            if key < parent.key:
                child = parent.left
                if child is NIL:
                    parent.left = node
                    return parent
            else:
                child = parent.right
                if child is NIL:
                    parent.right = node
                    return parent

    def _fix_insert(self, node: Node, parent: Node) -> None:
        """Both `node` and its parent are red: push one of them up, or rotate."""
        while parent.red:
            grand = parent.parent
            if parent is grand.left:
                uncle = grand.right
                if uncle.red:
                    parent.red = uncle.red = False
                    grand.red = True
                    node = grand
                    parent = node.parent
                    continue
                if node is parent.right:
                    self._rotate_left(parent)
                    parent = node
                parent.red = False
                grand.red = True
                self._rotate_right(grand)
                return
            uncle = grand.left
            if uncle.red:
                parent.red = uncle.red = False
                grand.red = True
                node = grand
                parent = node.parent
                continue
            if node is parent.left:
                self._rotate_right(parent)
                parent = node
            parent.red = False
            grand.red = True
            self._rotate_left(grand)
            return
        self.root.red = False

    def remove(self, node: Node) -> None:
        """Take out a node that is in this tree. O(log n), O(1) on average over many."""
        left = node.left
        right = node.right
        if node is self.first:
            # The first has no left child, so its right one is a lone red leaf if there is any.
            self.first = right if right is not NIL else node.parent
        if node is self.last:
            self.last = left if left is not NIL else node.parent
        if left is NIL:
            child, parent, black = right, node.parent, not node.red
            self._replace(node, child)
        elif right is NIL:
            child, parent, black = left, node.parent, not node.red
            self._replace(node, child)
        else:
            child, parent, black = self._lift_successor(node)
        self._size -= 1
        node.left = node.right = NIL
        node.parent = UNLINKED
        if black:
            if child.red:
                child.red = False
            elif parent is not NIL:
                self._fix_remove(child, parent)

    def _replace(self, node: Node, child: Node) -> None:
        """Hang `child` (or NIL) where `node` hangs."""
        parent = node.parent
        if parent is NIL:
            self.root = child
        elif node is parent.left:
            parent.left = child
        else:
            parent.right = child
        if child is not NIL:
            child.parent = parent

    def _lift_successor(self, node: Node) -> tuple[Node, Node, bool]:
        """Put the successor of `node` (which has two children) in its place.

        Returns what hangs where the successor hung, its parent, and whether a black node is missing
        there.
        """
        heir = node.right
        while heir.left is not NIL:
            heir = heir.left
        child = heir.right
        black = not heir.red
        if heir.parent is node:
            parent = heir
        else:
            parent = heir.parent
            parent.left = child
            if child is not NIL:
                child.parent = parent
            heir.right = node.right
            heir.right.parent = heir
        self._replace(node, heir)
        heir.left = node.left
        heir.left.parent = heir
        heir.red = node.red
        return child, parent, black

    def _fix_remove(self, node: Node, parent: Node) -> None:
        """Make up for the black node that the paths through `node`, a child of `parent`, lack."""
        root = self.root
        while node is not root and not node.red:
            if node is parent.left:
                sibling = parent.right
                if sibling.red:
                    sibling.red = False
                    parent.red = True
                    self._rotate_left(parent)
                    sibling = parent.right
                if not sibling.left.red and not sibling.right.red:
                    sibling.red = True
                    node = parent
                    parent = node.parent
                    root = self.root
                    continue
                if not sibling.right.red:
                    sibling.left.red = False
                    sibling.red = True
                    self._rotate_right(sibling)
                    sibling = parent.right
                sibling.red = parent.red
                parent.red = sibling.right.red = False
                self._rotate_left(parent)
                return
            sibling = parent.left
            if sibling.red:
                sibling.red = False
                parent.red = True
                self._rotate_right(parent)
                sibling = parent.left
            if not sibling.left.red and not sibling.right.red:
                sibling.red = True
                node = parent
                parent = node.parent
                root = self.root
                continue
            if not sibling.left.red:
                sibling.right.red = False
                sibling.red = True
                self._rotate_left(sibling)
                sibling = parent.left
            sibling.red = parent.red
            parent.red = sibling.left.red = False
            self._rotate_right(parent)
            return
        node.red = False

    def _rotate_left(self, node: Node) -> None:
        pivot = node.right
        node.right = inner = pivot.left
        if inner is not NIL:
            inner.parent = node
        pivot.parent = parent = node.parent
        if parent is NIL:
            self.root = pivot
        elif node is parent.left:
            parent.left = pivot
        else:
            parent.right = pivot
        pivot.left = node
        node.parent = pivot

    def _rotate_right(self, node: Node) -> None:
        pivot = node.left
        node.left = inner = pivot.right
        if inner is not NIL:
            inner.parent = node
        pivot.parent = parent = node.parent
        if parent is NIL:
            self.root = pivot
        elif node is parent.left:
            parent.left = pivot
        else:
            parent.right = pivot
        pivot.right = node
        node.parent = pivot


def successor(node: Node) -> Node:
    """Return the node behind this one, or NIL. O(log n), O(1) on average over a walk."""
    if node.right is not NIL:
        node = node.right
        while node.left is not NIL:
            node = node.left
        return node
    parent = node.parent
    while parent is not NIL and node is parent.right:
        node = parent
        parent = node.parent
    return parent
