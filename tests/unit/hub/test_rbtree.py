"""The red-black tree against sortedcontainers; its invariants after every step."""

from hypothesis import given, settings
from hypothesis import strategies as st
from sortedcontainers import SortedKeyList

from pygw.hub.rbtree import NIL, UNLINKED, Node, RedBlackTree, successor


def black_height(node: Node) -> int:
    """The number of black nodes on every path down; asserts the invariants on the way."""
    if node is NIL:
        return 0
    for child in (node.left, node.right):
        assert child is NIL or child.parent is node
        assert not (node.red and child.red), "a red node has a red child"
    left, right = black_height(node.left), black_height(node.right)
    assert left == right, "paths with different numbers of black nodes"
    return left + (not node.red)


def check(tree: RedBlackTree, model: list[Node]) -> None:
    black_height(tree.root)
    assert not tree.root.red
    assert tree.root.parent is NIL
    assert [id(node) for node in tree] == [id(node) for node in model]
    assert len(tree) == len(model)
    assert tree.first is (model[0] if model else NIL)
    assert tree.last is (model[-1] if model else NIL)
    # The sentinels are shared by all trees and must never be written.
    for sentinel in (NIL, UNLINKED):
        assert not sentinel.red
        assert sentinel.left is sentinel.right is sentinel.parent is sentinel


# Few keys make many equal ones; the wide range makes few.
KEYS = st.one_of(st.integers(0, 5), st.floats(allow_nan=False, allow_infinity=False))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), KEYS),
        st.tuples(st.just("remove"), st.integers(0, 10_000)),
        st.tuples(st.just("pop"), st.just(0)),
    ),
    max_size=120,
)


@given(STEPS)
@settings(max_examples=300, deadline=None)
def test_it_behaves_as_a_sorted_list_and_keeps_its_invariants(
    steps: list[tuple[str, float]],
) -> None:
    tree, model, order = RedBlackTree(), SortedKeyList(key=lambda pair: pair[0]), 0
    for action, value in steps:
        if action == "insert":
            node = Node(value)
            tree.insert(node)
            model.add(((value, order), node))
            order += 1
        elif model:
            index = int(value) % len(model) if action == "remove" else 0
            node = model.pop(index)[1]
            tree.remove(node)
            assert node.parent is UNLINKED
            assert node.left is node.right is NIL, "a removed node holds on to others"
        check(tree, [node for _, node in model])


@given(st.permutations(range(24)), st.permutations(range(24)))
@settings(max_examples=200, deadline=None)
def test_any_order_of_removal_keeps_the_invariants(added: list[int], taken: list[int]) -> None:
    tree = RedBlackTree()
    nodes = {key: Node(key) for key in added}
    for key in added:
        tree.insert(nodes[key])
    left = sorted(added)
    for key in taken:
        tree.remove(nodes[key])
        left.remove(key)
        check(tree, [nodes[k] for k in left])


def test_equal_keys_stay_in_order_of_insertion() -> None:
    tree = RedBlackTree()
    nodes = [Node(key) for key in (2, 1, 2, 1, 2, 1, 1, 2)]
    for node in nodes:
        tree.insert(node)
    assert list(tree) == [n for n in nodes if n.key == 1] + [n for n in nodes if n.key == 2]


def test_a_removed_node_can_be_inserted_again() -> None:
    tree = RedBlackTree()
    node, other = Node(1), Node(2)
    tree.insert(node)
    tree.insert(other)
    tree.remove(node)
    node.key = 3
    tree.insert(node)
    check(tree, [other, node])


def test_its_height_is_logarithmic_when_keys_come_in_order() -> None:
    tree = RedBlackTree()
    for key in range(4096):
        tree.insert(Node(key))

    def height(node: Node) -> int:
        return 0 if node is NIL else 1 + max(height(node.left), height(node.right))

    assert height(tree.root) <= 2 * 12 + 1


def test_the_successor_of_the_last_is_nil() -> None:
    tree = RedBlackTree()
    node = Node(1)
    tree.insert(node)
    assert successor(node) is NIL
