// indexing.cpp — index expressions, by NumPy's rules. A key becomes a Selection: a basic slice of the array, the
// axes it drops and adds, and index arrays for what is left. Reading is slice, reshape, gather; writing the same
// backwards. Nothing is evaluated except boolean masks whose number of true values matters.
// Start at get_item(); parse() is what turns Python objects into Items, select() what gives them their meaning.

#include "bindings/indexing.h"

#include <numeric>
#include <vector>

#include "ops/cast.h"
#include "ops/create.h"
#include "ops/elementwise.h"
#include "ops/index.h"
#include "ops/movement.h"
#include "ops/operators.h"

namespace mx::python {

namespace {

// ---- parsing

struct Item {
  enum Kind : uint8_t { integer, slice, newaxis, ellipsis, places, mask };
  Kind kind;
  int64_t start = 0, stop = 0, step = 1;  // integer: start
  array value = {};                       // places and masks

  bool is_array() const { return kind == places || kind == mask; }
  int n_axes() const { return kind == integer || kind == slice || kind == places ? 1 : kind == mask ? value.ndim() : 0; }
};
using Items = std::vector<Item>;

[[noreturn]] void refuse_type(PyObject* o) {
  throw ValueError(cat("[index] an array cannot be indexed by ", Py_TYPE(o)->tp_name,
                       "; need int, slice, None, ..., or arrays of integers or bools."));
}

Item array_item(array a) {
  if (is_bool(a.dtype())) return {.kind = Item::mask, .value = std::move(a)};
  if (is_integer(a.dtype())) return {.kind = Item::places, .value = std::move(a)};
  throw DtypeError(cat("[index] index arrays must hold integers or bools: dtype is ", a.dtype(), "; convert them with astype."));
}

int64_t index_of(PyObject* o) {
  auto number = py::reinterpret_steal<py::object>(checked(PyNumber_Index(o)));
  int overflow = 0;
  int64_t i = PyLong_AsLongLongAndOverflow(number.ptr(), &overflow);
  if (overflow) throw IndexError(cat("[index] index ", py::cast<std::string>(py::str(number)), " does not fit 64 bits."));
  return i;
}

Item slice_item(PyObject* o) {
  Py_ssize_t start, stop, step;
  PyObject* given = reinterpret_cast<PySliceObject*>(o)->step;
  if (PyLong_Check(given) && PyObject_Not(given) == 1) throw ValueError("[index] the step of a slice is 0; need a step that leads somewhere.");
  if (PySlice_Unpack(o, &start, &stop, &step) < 0) rethrow();
  return {.kind = Item::slice, .start = start, .stop = stop, .step = step};
}

Item parse_one(PyObject* o) {
  if (is_array(o)) return array_item(get_array(o));
  if (PyBool_Check(o)) return array_item(array(o == Py_True));
  if (PyLong_Check(o)) return {.kind = Item::integer, .start = index_of(o)};
  if (PySlice_Check(o)) return slice_item(o);
  if (o == Py_None) return {.kind = Item::newaxis};
  if (o == Py_Ellipsis) return {.kind = Item::ellipsis};
  if (PyFloat_Check(o) || PyComplex_Check(o) || PyUnicode_Check(o) || PyBytes_Check(o) || PyDict_Check(o)) refuse_type(o);
  bool list = PyList_Check(o) || PyTuple_Check(o);
  if (!list && PyIndex_Check(o) && !PyObject_HasAttrString(o, "shape")) return {.kind = Item::integer, .start = index_of(o)};
  if (PyRange_Check(o)) {
    auto elements = py::reinterpret_steal<py::object>(checked(PySequence_List(o)));
    return parse_one(elements.ptr());
  }
  array a;
  try {
    a = to_array(o);
  } catch (const py::builtin_exception&) {
    if (list) throw;
    refuse_type(o);
  }
  // NumPy integers are arrays of shape () to to_array(); their values are at hand, so they index like ints.
  if (!list && a.ndim() == 0 && is_integer(a.dtype()) && PyIndex_Check(o)) return {.kind = Item::integer, .start = index_of(o)};
  // [] says nothing about its dtype.
  if (list && a.size() == 0 && is_floating(a.dtype())) a = astype(a, Dtype::int32);
  return array_item(std::move(a));
}

Items parse(PyObject* key) {
  Items items;
  if (PyTuple_Check(key)) {
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(key); ++i) items.push_back(parse_one(PyTuple_GET_ITEM(key, i)));
  } else {
    items.push_back(parse_one(key));
  }
  return items;
}

// ---- meaning

// What a key selects. `part` is a slice of x; without the axes of integers and with new axes it becomes the `view`,
// some of whose axes index arrays read. Index dimensions stand before the `at`-th of the other axes of the view.
struct Selection {
  Shape starts, stops, steps;  // of the slice, one an axis of x
  Shape part, view;
  bool whole = true;           // the slice is all of x
  Axes dropped;                // axes of part that integers take
  std::vector<bool> added;     // for each axis of the view, whether it is new
  Arrays masks;                // the masks as they came, with the axis of the view at which each begins
  Axes mask_axes;
  Arrays places;               // index arrays; those of masks are found by resolve_masks()
  Axes axes;                   // of the view
  int at = 0;
  bool has_arrays() const { return !places.empty() || !masks.empty(); }
};

void put_whole_axis(Selection& s, int64_t size) {
  s.starts.push_back(0);
  s.stops.push_back(size);
  s.steps.push_back(1);
  s.part.push_back(size);
  s.view.push_back(size);
  s.added.push_back(false);
}

void put_integer(Selection& s, int64_t index, int64_t size, size_t axis) {
  int64_t at = index < 0 ? index + size : index;
  if (at < 0 || at >= size) {
    throw IndexError(cat("[index] index ", index, " is out of bounds for axis ", axis, " with size ", size, "; need ", -size,
                         " <= index < ", size, "."));
  }
  s.starts.push_back(at);
  s.stops.push_back(at + 1);
  s.steps.push_back(1);
  s.dropped.push_back(static_cast<int>(s.part.size()));
  s.part.push_back(1);
  s.whole &= size == 1;
}

void put_slice(Selection& s, const Item& item, int64_t size) {
  Py_ssize_t start = item.start, stop = item.stop;
  int64_t length = PySlice_AdjustIndices(size, &start, &stop, item.step);
  s.starts.push_back(item.start);
  s.stops.push_back(item.stop);
  s.steps.push_back(item.step);
  s.part.push_back(length);
  s.view.push_back(length);
  s.added.push_back(false);
  s.whole &= length == size && (size <= 1 || item.step == 1);
}

Selection select(const Shape& shape, const Items& items) {
  int n_axes = 0, n_ellipses = 0, ndim = static_cast<int>(shape.size());
  for (const Item& item : items) {
    n_axes += item.n_axes();
    n_ellipses += item.kind == Item::ellipsis;
  }
  if (n_ellipses > 1) throw AxisError("[index] an index can have only one ellipsis (...).");
  if (n_axes > ndim) {
    throw AxisError(cat("[index] too many indices for array: array is ", ndim, "-dimensional, but ", n_axes, " were indexed; its shape is ",
                        shape, "."));
  }
  Selection s;
  size_t axis = 0;
  // Where index dimensions go: in place of the first index if all stand side by side, else to the front. Integers
  // count as indices as soon as there is an array.
  int first = -1;
  bool side_by_side = true, ended = false;
  auto met_index = [&] {
    if (first < 0) first = static_cast<int>(s.view.size());
    side_by_side &= !ended;
  };
  for (const Item& item : items) {
    switch (item.kind) {
      case Item::integer:
        met_index();
        put_integer(s, item.start, shape[axis], axis);
        ++axis;
        continue;
      case Item::places:
        met_index();
        s.places.push_back(item.value);
        s.axes.push_back(static_cast<int>(s.view.size()));
        put_whole_axis(s, shape[axis++]);
        continue;
      case Item::mask:
        met_index();
        s.masks.push_back(item.value);
        s.mask_axes.push_back(static_cast<int>(s.view.size()));
        for (int i = 0; i < item.value.ndim(); ++i, ++axis) {
          if (item.value.shape(i) != shape[axis]) {
            throw AxisError(cat("[index] the boolean mask does not fit the array: mask is ", item.value.shape(), ", the array ", shape,
                                "; axis ", i, " of the mask stands for axis ", axis, " of the array."));
          }
          put_whole_axis(s, shape[axis]);
        }
        continue;
      case Item::slice:
        put_slice(s, item, shape[axis++]);
        break;
      case Item::newaxis:
        s.view.push_back(1);
        s.added.push_back(true);
        break;
      case Item::ellipsis:
        for (int n = ndim - n_axes; n > 0; --n) put_whole_axis(s, shape[axis++]);
        break;
    }
    ended = first >= 0;
  }
  while (axis < shape.size()) put_whole_axis(s, shape[axis++]);
  if (s.has_arrays() && side_by_side) {
    s.at = first;  // Every axis of the view before the first index is none itself.
  }
  return s;
}

// Index arrays in place of masks. Evaluates the masks.
void resolve_masks(Selection& s) {
  for (size_t k = 0; k < s.masks.size(); ++k) {
    Arrays found = nonzero(s.masks[k]);
    for (size_t i = 0; i < found.size(); ++i) {
      s.places.push_back(found[i]);
      s.axes.push_back(s.mask_axes[k] + static_cast<int>(i));
    }
  }
  s.masks.clear();
}

// True and False are masks without axes: they add an axis, and take its element or not.
array with_flag_axes(const array& x, Items& items) {
  Axes axes;
  int after = 0, before = 0;
  for (const Item& item : items) after += item.n_axes();
  int rest = std::max(0, x.ndim() - after);
  bool any = false;
  for (Item& item : items) {
    if (item.kind == Item::ellipsis) before += rest;
    before += item.n_axes();
    if (item.kind == Item::mask && item.value.ndim() == 0) {
      any = true;
      axes.push_back(before++);
      item = {.kind = Item::places, .value = nonzero(reshape(item.value, {1}))[0]};
    }
  }
  return any ? expand_dims(x, axes) : x;
}

array part_of(const array& x, const Selection& s) { return s.whole ? x : slice(x, s.starts, s.stops, s.steps); }

array with_shape(const array& x, const Shape& shape) { return x.shape() == shape ? x : reshape(x, shape); }

// ---- writing

array combine(const array& old, const array& value, ScatterMode mode) {
  switch (mode) {
    case ScatterMode::set: return value;
    case ScatterMode::add: return add(old, value);
    case ScatterMode::multiply: return multiply(old, value);
    case ScatterMode::minimum: return minimum(old, value);
    default: return maximum(old, value);
  }
}

array replace_part(const array& x, const Selection& s, const array& part) {
  // Nothing is written, but indices out of bounds must still be found.
  if (part.size() == 0 && s.has_arrays()) return depends({x}, {part})[0];
  return s.whole ? with_shape(part, x.shape()) : slice_update(x, with_shape(part, s.part), s.starts, s.stops, s.steps);
}

// `value` broadcast to what is selected; leading axes of size 1 too many are dropped, as in NumPy.
array fit_value(const array& value, const Shape& selected) {
  Shape shape(value.shape());
  while (shape.size() > selected.size() && shape[0] == 1) shape.erase(shape.begin());
  bool fits = shape.size() <= selected.size();
  for (size_t i = 1; fits && i <= shape.size(); ++i) {
    int64_t size = shape[shape.size() - i];
    fits = size == 1 || size == selected[selected.size() - i];
  }
  if (!fits) {
    throw ValueError(cat("[index] the value does not broadcast to what is assigned to: value is ", value.shape(), ", the selection ", selected,
                         "."));
  }
  return broadcast_to(with_shape(value, shape), selected);
}

// Without new axes: the axes of the view that x has, and the selection on them.
struct Placement {
  Shape view;  // part without dropped axes
  Axes axes;
  int at;
};
Placement without_added(const Selection& s) {
  Placement p{{}, {}, s.at};
  Axes moved(s.view.size());
  int rest = 0;
  for (size_t i = 0; i < s.view.size(); ++i) {
    bool indexed = std::find(s.axes.begin(), s.axes.end(), static_cast<int>(i)) != s.axes.end();
    if (s.added[i]) {
      if (rest < s.at) --p.at;
    } else {
      moved[i] = static_cast<int>(p.view.size());
      p.view.push_back(s.view[i]);
    }
    rest += !indexed;
  }
  for (int axis : s.axes) p.axes.push_back(moved[static_cast<size_t>(axis)]);
  return p;
}

// Assignment through one mask without knowing its values: possible when the same value goes to every true place of
// a row. Undefined if it is not.
array assign_by_where(const array& part, const Selection& s, const array& value, ScatterMode mode) {
  if (s.masks.size() != 1 || !s.places.empty()) return {};
  for (bool added : s.added) {
    if (added) return {};
  }
  const array& mask = s.masks[0];
  int after = static_cast<int>(s.view.size()) - s.mask_axes[0] - mask.ndim();
  Shape shape(value.shape());
  while (static_cast<int>(shape.size()) > after && shape[0] == 1) shape.erase(shape.begin());
  if (static_cast<int>(shape.size()) > after || (!shape.empty() && s.at != s.mask_axes[0])) return {};
  for (size_t i = 1; i <= shape.size(); ++i) {
    int64_t size = shape[shape.size() - i];
    if (size != 1 && size != s.view[s.view.size() - i]) return {};
  }
  Shape spread(mask.shape());
  spread.resize(spread.size() + static_cast<size_t>(after), 1);
  array view = with_shape(part, s.view);
  return where(reshape(mask, spread), combine(view, with_shape(value, shape), mode), view);
}

array update_selection(const array& x, Selection s, const array& value, ScatterMode mode) {
  if (!s.has_arrays()) {
    array new_value = with_shape(fit_value(value, s.view), s.part);
    return replace_part(x, s, mode == ScatterMode::set ? new_value : combine(part_of(x, s), new_value, mode));
  }
  array part = part_of(x, s);
  if (!s.masks.empty()) {
    if (array done = assign_by_where(part, s, value, mode); done.defined()) return replace_part(x, s, done);
    bool leading = s.masks.size() == 1 && s.places.empty() && s.mask_axes[0] == 0 && s.at == 0 &&
                   std::find(s.added.begin(), s.added.end(), true) == s.added.end();
    if (leading && mode == ScatterMode::set) {
      return replace_part(x, s, masked_assign(with_shape(part, s.view), s.masks[0], value));
    }
    resolve_masks(s);
  }
  // The shape that reading would give; new axes are then taken out of value and view alike.
  Shape index_shape;
  for (const array& i : s.places) index_shape = broadcast_shapes(index_shape, i.shape(), "index");
  Shape selected;
  std::vector<bool> keep;
  for (size_t i = 0; i < s.view.size(); ++i) {
    if (std::find(s.axes.begin(), s.axes.end(), static_cast<int>(i)) != s.axes.end()) continue;
    selected.push_back(s.view[i]);
    keep.push_back(!s.added[i]);
  }
  selected.insert(selected.begin() + s.at, index_shape.begin(), index_shape.end());
  keep.insert(keep.begin() + s.at, index_shape.size(), true);
  array updates = fit_value(value, selected);
  Shape kept;
  for (size_t i = 0; i < selected.size(); ++i) {
    if (keep[i]) kept.push_back(selected[i]);
  }
  Placement p = without_added(s);
  return replace_part(x, s, scatter_at(with_shape(part, p.view), s.places, with_shape(updates, kept), p.axes, p.at, mode));
}

}  // namespace

// ---- entry points

array get_item(const array& x, PyObject* key) {
  if (x.ndim() > 0) {
    // The two keys of most loops.
    if (PyLong_CheckExact(key)) {
      Selection s;
      put_integer(s, index_of(key), x.shape()[0], 0);
      return squeeze(slice_along(x, 0, s.starts[0], s.stops[0]), 0);
    }
    if (PySlice_Check(key)) {
      Item item = slice_item(key);
      return slice_along(x, 0, item.start, item.stop, item.step);
    }
  }
  Items items = parse(key);
  array source = with_flag_axes(x, items);
  Selection s = select(source.shape(), items);
  array view = with_shape(part_of(source, s), s.view);
  if (!s.has_arrays()) return view;
  if (s.masks.size() == 1 && s.places.empty() && s.mask_axes[0] == 0 && s.at == 0) return masked_select(view, s.masks[0]);
  resolve_masks(s);
  return gather_at(view, s.places, s.axes, s.at);
}

array update_item(const array& x, PyObject* key, PyObject* value, ScatterMode mode) {
  Items items = parse(key);
  // A number is made in x's dtype at once; anything else is converted first, then cast.
  array v = is_python_number(value) ? to_array(value, x.dtype()) : astype(to_array(value, What("[index] value")), x.dtype());
  array target = with_flag_axes(x, items);
  array result = update_selection(target, select(target.shape(), items), v, mode);
  return with_shape(result, x.shape());
}

array set_item(const array& x, PyObject* key, PyObject* value) { return update_item(x, key, value, ScatterMode::set); }

}  // namespace mx::python
