"""Trees: nested containers of arrays. (Beyond ``mlx.core``; MLX has similar helpers in ``mlx.utils``.)

A container is a list, tuple or dict, or a subclass of one (named tuples, ``OrderedDict``, ``defaultdict``, ...);
``None``, which is empty; a dataclass; or a class registered with :func:`register_tree_node`. All else is a leaf.
The leaves of a dict come by sorted key. Types, and the order of keys, survive.
"""

from . import _core
from ._core import TransformError, TreeDef

__all__ = ["TreeDef", "register_tree_node", "tree_flatten", "tree_leaves", "tree_map", "tree_unflatten"]


def _check_callables(op, is_leaf, fn=callable):
    for name, f in (("fn", fn), ("is_leaf", is_leaf)):
        if not callable(f) and not (name == "is_leaf" and f is None):
            raise TypeError(f"[{op}] {name} must be callable: {type(f).__name__} came.")


def tree_flatten(tree, is_leaf=None):
    """Take a tree apart.

    Args:
        tree: Any nested container.
        is_leaf (callable, optional): Called with each container; a true result makes it a leaf.

    Returns:
        tuple(list, TreeDef): The leaves, and the structure, which compares, hashes and can be put together
        again with :func:`tree_unflatten`.

    Example:
        >>> leaves, structure = mx.tree_flatten({"w": [1, 2], "b": None})
        >>> leaves, structure
        ([1, 2], TreeDef({'b': None, 'w': [*, *]}))
    """
    _check_callables("tree_flatten", is_leaf=is_leaf)
    return _core._tree_flatten(tree, is_leaf)


def tree_unflatten(treedef, leaves):
    """Put leaves together.

    Args:
        treedef (TreeDef): The structure.
        leaves (iterable): One object for each of its leaves.

    Returns:
        The tree.

    Raises:
        TransformError: If the number of leaves is wrong.

    Example:
        >>> leaves, structure = mx.tree_flatten({"w": [1, 2], "b": None})
        >>> mx.tree_unflatten(structure, [x + 1 for x in leaves])
        {'w': [2, 3], 'b': None}
    """
    if not isinstance(treedef, TreeDef):
        raise TypeError(f"[tree_unflatten] treedef must be a TreeDef: {type(treedef).__name__} came. It comes before the leaves.")
    return treedef.unflatten(leaves)


def tree_leaves(tree, is_leaf=None):
    """Return the leaves of a tree as a list.

    Args:
        tree: Any nested container.
        is_leaf (callable, optional): As for :func:`tree_flatten`.

    Returns:
        list: The leaves.

    Example:
        >>> sum(mx.tree_leaves({"a": 1, "b": (2, 3)}))
        6
    """
    _check_callables("tree_leaves", is_leaf=is_leaf)
    return _core._tree_flatten(tree, is_leaf)[0]


def tree_map(fn, tree, *rest, is_leaf=None):
    """Apply a function to each leaf.

    Args:
        fn (callable): Called with a leaf of ``tree``, and with what the other trees hold there.
        tree: Any nested container.
        rest: Trees with the same containers; they may go deeper where ``tree`` has a leaf.
        is_leaf (callable, optional): As for :func:`tree_flatten`.

    Returns:
        A tree like ``tree`` of the results.

    Raises:
        TransformError: If the trees differ; the message says where.

    Example:
        >>> mx.tree_map(lambda p, g: p - 0.1 * g, {"w": 1.0, "b": 2.0}, {"w": 10.0, "b": 0.0})
        {'w': 0.0, 'b': 2.0}
    """
    _check_callables("tree_map", fn=fn, is_leaf=is_leaf)
    return _core._tree_map(fn, tree, is_leaf, *rest)


def register_tree_node(cls, flatten, unflatten):
    """Make a class a container, for every function that takes trees.

    Args:
        cls (type): The class; subclasses are not included.
        flatten (callable): ``flatten(obj)`` returns ``(children, static)``; the static part should compare and
            hash by value.
        unflatten (callable): ``unflatten(static, children)`` makes an object from a tuple of children, which may be
            any objects.

    Returns:
        type: ``cls``.

    Raises:
        TransformError: If the class is known already.

    Example:
        >>> class Pair:
        ...     def __init__(self, a, b):
        ...         self.a, self.b = a, b
        >>> _ = mx.register_tree_node(Pair, lambda p: ((p.a, p.b), None), lambda _, ab: Pair(*ab))
        >>> mx.tree_leaves([Pair(1, 2), 3])
        [1, 2, 3]
    """
    if not isinstance(cls, type):
        raise TypeError(f"[register_tree_node] cls must be a class: {type(cls).__name__} came.")
    if not (callable(flatten) and callable(unflatten)):
        raise TypeError("[register_tree_node] flatten and unflatten must be callable.")
    _core._register_tree_node(cls, flatten, unflatten)
    return cls
