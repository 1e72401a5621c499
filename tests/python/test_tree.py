"""Trees: taking apart, putting together, errors that name the place."""

import collections
import dataclasses
import gc
import weakref

import pytest

import mxform as mx

Point = collections.namedtuple("Point", "x y")


class MyList(list):
    pass


class MyDict(dict):
    pass


class MyTuple(tuple):
    pass


@dataclasses.dataclass
class Layer:
    weight: object
    bias: object = None


@dataclasses.dataclass(frozen=True)
class Frozen:
    a: object
    b: object = dataclasses.field(default=2, kw_only=True)


@dataclasses.dataclass(slots=True)
class Slotted:
    a: object


class Box:
    def __init__(self, value, label):
        self.value, self.label = value, label

    def __repr__(self):
        return f"Box({self.value!r}, {self.label!r})"

    def __eq__(self, other):
        return type(other) is Box and (self.value, self.label) == (other.value, other.label)


mx.register_tree_node(Box, lambda b: ((b.value,), b.label), lambda label, children: Box(children[0], label))


def round_trip(tree):
    leaves, structure = mx.tree_flatten(tree)
    return mx.tree_unflatten(structure, leaves)


@pytest.mark.parametrize(
    "tree",
    [
        1,
        None,
        "text",
        [],
        (),
        {},
        [1, (2, [3, {"a": 4, "b": None}])],
        {"z": 1, "a": 2, "m": [3]},
        Point(1, [2, 3]),
        MyList([1, 2]),
        MyDict(b=1, a=2),
        MyTuple((1, 2)),
        collections.OrderedDict([("b", 1), ("a", 2)]),
        collections.defaultdict(list, {"b": 1, "a": 2}),
        collections.Counter("hello"),
        Layer(1, {"k": 2}),
        Frozen(1, b=[3]),
        Slotted((1, 2)),
        Box([1, 2], "label"),
        {1: "int", "1": "str", (2,): "tuple", None: "none"},
        {3: 0, 1: 1, 2: 2},
    ],
    ids=repr,
)
def test_a_tree_survives_a_round_trip(tree):
    again = round_trip(tree)
    assert again == tree
    assert type(again) is type(tree)
    if isinstance(tree, dict):
        assert list(again) == list(tree)


def test_any_tree_survives_a_round_trip():
    hypothesis = pytest.importorskip("hypothesis")
    st = hypothesis.strategies
    keys = st.one_of(st.text(max_size=2), st.integers(-3, 3), st.none(), st.tuples(st.integers(0, 1)))
    trees = st.recursive(
        st.one_of(st.none(), st.integers(), st.text(max_size=2)),
        lambda t: st.one_of(
            st.lists(t, max_size=3),
            st.lists(t, max_size=3).map(tuple),
            st.dictionaries(keys, t, max_size=4),
            st.dictionaries(keys, t, max_size=4).map(collections.OrderedDict),
            st.builds(Point, t, t),
            st.builds(Layer, t, t),
            st.builds(Box, t, st.text(max_size=1)),
        ),
        max_leaves=12,
    )

    @hypothesis.given(trees, trees)
    def check(a, b):
        assert repr(round_trip(a)) == repr(a)
        leaves, structure = mx.tree_flatten(a)
        assert len(structure.paths()) == len(leaves) == len(structure)
        numbered = structure.unflatten(range(len(leaves)))
        assert mx.tree_leaves(numbered) == list(range(len(leaves)))
        assert mx.tree_flatten(numbered)[1] == structure
        other = mx.tree_flatten(b)[1]
        if other == structure:
            assert hash(other) == hash(structure) and repr(other) == repr(structure)
        else:
            assert repr(other) != repr(structure)

    check()


def test_leaves_of_a_dict_come_by_sorted_key():
    assert mx.tree_leaves({"b": 1, "a": 2, "c": 0}) == [2, 1, 0]
    assert mx.tree_leaves({10: "x", 9: "y"}) == ["y", "x"]


def test_a_rebuilt_dict_keeps_the_order_of_its_keys():
    tree = {"b": 1, "a": {"d": 2, "c": 3}}
    again = mx.tree_map(lambda x: x + 1, tree)
    assert repr(again) == "{'b': 2, 'a': {'d': 3, 'c': 4}}"


def test_subclasses_keep_what_they_carry():
    d = collections.defaultdict(lambda: 7, a=1)
    assert round_trip(d)["missing"] == 7
    m = MyDict(a=1)
    m.note = "kept"
    assert round_trip(m).note == "kept"
    ordered = collections.OrderedDict([("b", 1), ("a", 2)])
    again = round_trip(ordered)
    again.move_to_end("b")
    assert list(again) == ["a", "b"]


def test_rebuilding_a_dataclass_does_not_run_its_init():
    @dataclasses.dataclass
    class Counted:
        made = 0
        a: int

        def __post_init__(self):
            Counted.made += 1

    tree = Counted(1)
    assert round_trip(tree) == tree
    assert Counted.made == 1


def test_structures_compare_and_hash():
    def structure(tree):
        return mx.tree_flatten(tree)[1]

    same = [({"a": 1, "b": 2}, {"b": 0, "a": 0}), ([1, (2,)], [0, (0,)]), (Point(1, 2), Point(3, 4)), (None, None)]
    for a, b in same:
        assert structure(a) == structure(b)
        assert hash(structure(a)) == hash(structure(b))
    different = [1, None, [], (), {}, [1], (1,), [1, 2], [[1, 2]], [[1], 2], {"a": 1}, {"b": 1}, Point(1, 2), (1, 2), MyList([1]),
                 Box(1, "x"), Box(1, "y"), Layer(1, 2), Frozen(1), collections.OrderedDict(a=1)]
    for i, a in enumerate(different):
        for j, b in enumerate(different):
            assert (structure(a) == structure(b)) == (i == j), (a, b)
    assert structure([1]) != [1]
    assert len({structure(a) for a in different}) == len(different)


def test_a_structure_prints_its_containers():
    _, structure = mx.tree_flatten({"b": (1,), "a": [None, Point(1, 2)], "c": Layer(1, {})})
    assert repr(structure) == "TreeDef({'a': [None, Point(*, *)], 'b': (*,), 'c': Layer(weight=*, bias={})})"
    assert structure.n_leaves == 4


def test_paths_are_python_text():
    tree = {"layers": [0, {"w": 1}], "p": Point(2, 3), "d": Layer(4), "box": Box(5, "x"), 7: 8}
    _, structure = mx.tree_flatten(tree)
    assert set(structure.paths()) == {
        "['layers'][0]", "['layers'][1]['w']", "['p'].x", "['p'].y", "['d'].weight", "['box'][0]", "[7]",
    }
    assert mx.tree_flatten(3)[1].paths() == [""]


def test_map_takes_several_trees_and_deeper_ones():
    assert mx.tree_map(lambda x, y: x * y, {"a": 2, "b": [3]}, {"b": [5], "a": 7}) == {"a": 14, "b": [15]}
    assert mx.tree_map(lambda p, s: (p, s["m"]), [1, 2], [{"m": 3}, {"m": 4}]) == [(1, 3), (2, 4)]


def test_map_names_the_place_where_trees_differ():
    with pytest.raises(mx.TransformError, match=r"trees differ at \['a'\]\[1\]: the first has a list of 1, the other a tuple of 1"):
        mx.tree_map(lambda x, y: x, {"a": [1, [2]]}, {"a": [1, (2,)]})
    with pytest.raises(mx.TransformError, match="the first has a dict with keys"):
        mx.tree_map(lambda x, y: x, {"a": 1}, {"b": 1})
    with pytest.raises(mx.TransformError, match="the first has a list of 2, the other a list of 3"):
        mx.tree_map(lambda x, y: x, [1, 2], [1, 2, 3])


def test_is_leaf_stops_at_containers():
    leaves, structure = mx.tree_flatten([(1, 2), [3]], is_leaf=lambda x: isinstance(x, tuple))
    assert leaves == [(1, 2), 3]
    assert mx.tree_map(len, {"a": [1, 2], "b": [3]}, is_leaf=lambda x: isinstance(x, list)) == {"a": 2, "b": 1}


def test_a_wrong_number_of_leaves_is_an_error():
    _, structure = mx.tree_flatten([1, 2])
    with pytest.raises(mx.TransformError, match="3 leaves for a tree with 2"):
        structure.unflatten([1, 2, 3])
    with pytest.raises(TypeError, match="It comes before the leaves"):
        mx.tree_unflatten([1, 2], structure)


def test_registering_is_checked():
    with pytest.raises(mx.TransformError, match="already registered"):
        mx.register_tree_node(Box, lambda b: ((), None), lambda _, c: None)
    with pytest.raises(mx.TransformError, match="already known"):
        mx.register_tree_node(dict, lambda b: ((), None), lambda _, c: None)
    with pytest.raises(TypeError, match="must be a class"):
        mx.register_tree_node(3, len, len)

    class Bad:
        pass

    mx.register_tree_node(Bad, lambda b: 5, lambda _, c: None)
    with pytest.raises(mx.TransformError, match=r"returned int 5; need a tuple \(children, static data\)"):
        mx.tree_leaves(Bad())


def test_a_container_within_itself_is_an_error_not_a_crash():
    loop = []
    loop.append(loop)
    with pytest.raises(RecursionError):
        mx.tree_flatten(loop)
    with pytest.raises(RecursionError):
        mx.eval(loop)
    deep = None
    for _ in range(100000):
        deep = [deep]
    with pytest.raises(RecursionError):
        mx.tree_flatten(deep)
    while deep:  # takes it apart without recursion
        deep = deep[0]


def test_containers_that_change_while_read_are_safe():
    class Nasty:
        pass

    victims = []

    def flatten(_):
        victims[0].clear()
        return (1,), None

    mx.register_tree_node(Nasty, flatten, lambda _, c: None)
    victims.append([Nasty(), 2, 3])
    with pytest.raises(ValueError, match="changed while it was being read"):
        mx.tree_flatten(victims[0])
    victims[0] = {"a": Nasty(), "b": [1, 2]}
    assert mx.tree_leaves(victims[0]) == [1, 1, 2]


def test_eval_finds_arrays_in_trees():
    xs = [mx.array([1.0]) + i for i in range(5)]
    mx.eval({"a": xs[0], "b": [xs[1], (xs[2], "text", 3)]}, Layer(xs[3]), Box(xs[4], "label"))
    assert [x.item() for x in xs] == [1, 2, 3, 4, 5]


def test_a_dataclass_can_be_collected():
    @dataclasses.dataclass
    class Local:
        a: int

    round_trip(Local(1))
    ref = weakref.ref(Local)
    del Local
    gc.collect()
    assert ref() is None


def test_errors_in_user_functions_pass_untouched():
    class Trouble:
        pass

    def fail(_):
        raise KeyError("mine")

    mx.register_tree_node(Trouble, fail, lambda _, c: None)
    with pytest.raises(KeyError, match="mine"):
        mx.tree_leaves([Trouble()])
    with pytest.raises(ZeroDivisionError):
        mx.tree_map(lambda x: x / 0, [1])
