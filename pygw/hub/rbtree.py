"""Owns the red-black tree: nodes ordered by key, equal keys in order of insertion.

It must never know what a key means nor call anything. Invariants: a red node has no red child;
every path from a node down to a leaf passes the same number of black nodes; `first` is the leftmost
node and `last` the rightmost.

Written for speed in CPython, where a call costs ten attribute reads: nodes are intrusive (the timer
is the node), one shared sentinel stands for every missing node, and both ends are cached, because
timers are mostly added near the end and taken from the front (benchmarks/timers.py measures it).
The sentinel is only ever read, so trees in different threads may share it.
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
            child = self.root
            while child is not NIL:
                parent = child
                child = parent.left if key < parent.key else parent.right
            if key < parent.key:
                parent.left = node
            else:
                parent.right = node
        node.parent = parent
        if parent.red:
            self._fix_insert(node, parent)

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
        if left is NIL or right is NIL:
            parent = node.parent
            child = right if left is NIL else left
            if left is NIL and node is self.first:
                self.first = child if child is not NIL else parent
            if right is NIL and node is self.last:
                self.last = child if child is not NIL else parent
            if parent is NIL:
                self.root = child
            elif node is parent.left:
                parent.left = child
            else:
                parent.right = child
            red = node.red
        else:
            child, parent, red = self._put_heir_in_place_of(node)
        self._size -= 1
        node.left = node.right = NIL
        node.parent = UNLINKED
        if child is not NIL:  # an only child is always red, and what was above it black
            child.parent = parent
            child.red = False
        elif not red and parent is not NIL:
            self._fix_remove(parent)

    def _put_heir_in_place_of(self, node: Node) -> tuple[Node, Node, bool]:
        """Move the successor of `node`, which has two children, to where `node` hangs.

        Returns what hangs now where the successor hung, its parent, and the successor's old colour.
        """
        right = node.right
        heir = right
        while heir.left is not NIL:
            heir = heir.left
        child = heir.right
        red = heir.red
        if heir is right:
            parent = heir
        else:
            parent = heir.parent
            parent.left = child
            heir.right = right
            right.parent = heir
        heir.left = left = node.left
        left.parent = heir
        heir.red = node.red
        heir.parent = above = node.parent
        if above is NIL:
            self.root = heir
        elif node is above.left:
            above.left = heir
        else:
            above.right = heir
        return child, parent, red

    def _fix_remove(self, parent: Node) -> None:
        """Make up for the black node that one side of `parent`, where nothing hangs now, lacks."""
        node = NIL
        while True:
            if node is parent.left:
                sibling = parent.right
                if sibling.red:
                    sibling.red = False
                    parent.red = True
                    self._rotate_left(parent)
                    sibling = parent.right
                outer = sibling.right
                if outer.red:
                    sibling.red = parent.red
                    parent.red = outer.red = False
                    self._rotate_left(parent)
                    return
                inner = sibling.left
                if inner.red:
                    inner.red = parent.red
                    parent.red = False
                    self._rotate_right(sibling)
                    self._rotate_left(parent)
                    return
            else:
                sibling = parent.left
                if sibling.red:
                    sibling.red = False
                    parent.red = True
                    self._rotate_right(parent)
                    sibling = parent.left
                outer = sibling.left
                if outer.red:
                    sibling.red = parent.red
                    parent.red = outer.red = False
                    self._rotate_right(parent)
                    return
                inner = sibling.right
                if inner.red:
                    inner.red = parent.red
                    parent.red = False
                    self._rotate_left(sibling)
                    self._rotate_right(parent)
                    return
            sibling.red = True
            if parent.red:
                parent.red = False
                return
            node = parent
            parent = node.parent
            if parent is NIL:
                return

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
