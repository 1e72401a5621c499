#include "export/function_trace.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "export/steps.h"
#include "ops/cast.h"
#include "ops/movement_params.h"
#include "runtime/eval.h"

namespace mx::exporting {

namespace {

// A slice of one element has no step, one of none no start either: as the library writes them.
Params tidy(const Primitive& p, Params params) {
  if (&p != &slice_p && &p != &slice_update_p) return params;
  SliceParams s = params.get<SliceParams>();
  if (s.starts.size() != s.sizes.size() || s.steps.size() != s.sizes.size()) return params;
  for (size_t i = 0; i < s.sizes.size(); ++i) {
    if (s.sizes[i] < 2) s.steps[i] = 1;
    if (s.sizes[i] < 1) s.starts[i] = 0;
  }
  return s;
}

}  // namespace

bool FunctionTrace::takes(const Types& inputs, std::string* why) const {
  auto no = [&](auto&&... text) {
    if (why) *why = cat(text...);
    return false;
  };
  auto input = [&](size_t i) {
    return i < static_cast<size_t>(n_positional) ? cat("input ", i) : cat("input '", names[i - static_cast<size_t>(n_positional)], "'");
  };
  const Types& mine = graph.input_types;
  if (inputs.size() != mine.size()) return no(inputs.size(), " inputs; need ", mine.size());
  std::vector<int64_t> chosen(sizes ? sizes->symbols.size() : 0, -1);
  std::vector<std::string> by(chosen.size());
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Type &t = inputs[i], &m = mine[i];
    if (t.dtype != m.dtype) return no(input(i), " has dtype ", t.dtype, "; need ", m.dtype);
    if (!sizes && t.shape != m.shape) return no(input(i), " has shape ", t.shape, "; need ", m.shape);
    if (t.shape.size() != m.shape.size()) return no(input(i), " has shape ", t.shape, "; need ", m.shape.size(), " dimensions");
    for (size_t k = 0; k < m.shape.size(); ++k) {
      int s = sizes ? sizes->axes[i][k] : -1;
      if (s < 0) {
        if (t.shape[k] != m.shape[k]) return no(input(i), " has size ", t.shape[k], " along axis ", k, ", which is fixed; need ", m.shape[k]);
        continue;
      }
      const Sizes::Symbol& symbol = sizes->symbols[static_cast<size_t>(s)];
      int64_t& size = chosen[static_cast<size_t>(s)];
      if (t.shape[k] < symbol.least) return no(input(i), " has size ", t.shape[k], " along axis ", k, "; need at least ", symbol.least);
      if (t.shape[k] > symbol.most) return no(input(i), " has size ", t.shape[k], " along axis ", k, "; need at most ", symbol.most);
      if (size >= 0 && size != t.shape[k]) {
        return no(input(i), " has size ", t.shape[k], " along axis ", k, ", ", by[static_cast<size_t>(s)], " has size ", size, "; need equal sizes");
      }
      size = t.shape[k];
      by[static_cast<size_t>(s)] = cat("axis ", k, " of ", input(i));
    }
  }
  return true;
}

uint64_t element_bits(double x, Dtype t) {
  uint64_t bits = 0;
  dispatch(t, [&](auto tag) {
    using T = typename decltype(tag)::type;
    T value{};
    if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
      // The largest of 64 bits is rounded up to what does not fit.
      if (!(x >= static_cast<double>(std::numeric_limits<T>::min()) && x <= static_cast<double>(std::numeric_limits<T>::max())) || std::abs(x) > 0x1p62) {
        throw ValueError("[import_function] the sizes of the inputs give a constant out of range.");
      }
      value = static_cast<T>(x);
    } else if constexpr (std::is_same_v<T, bool>) {
      value = x != 0;
    } else {
      value = T(static_cast<float>(x));
      if constexpr (std::is_same_v<T, double>) value = x;
    }
    std::memcpy(&bits, &value, sizeof value);
  });
  return bits;
}

Arrays constants_at(const Sizes& sizes, const Arrays& captured, const std::vector<Shape>& slots) {
  Arrays out(captured);
  for (size_t k = 0; k < sizes.constants.size();) {
    size_t i = static_cast<size_t>(sizes.constants[k].captured);
    array plain = contiguous(captured[i]).eval();
    array fresh = array::copy_of(plain.bytes(), plain.dtype(), plain.shape());
    for (; k < sizes.constants.size() && sizes.constants[k].captured == static_cast<int>(i); ++k) {
      uint64_t bits = element_bits(evaluate(sizes.constants[k].value, slots), plain.dtype());
      std::memcpy(fresh.bytes() + static_cast<size_t>(sizes.constants[k].element) * plain.itemsize(), &bits, plain.itemsize());
    }
    out[i] = std::move(fresh);
  }
  return out;
}

Concrete at(const FunctionTrace& t, const Types& inputs) {
  Concrete c{t.graph, t.captured};
  Subgraph& g = c.graph;
  g.input_types = inputs;
  Arrays slots;
  std::vector<Shape> shapes;
  auto add = [&](const Type& type) {
    slots.push_back(array::placeholder(type, "import_function"));
    shapes.push_back(type.shape);
  };
  for (const Type& type : inputs) add(type);
  for (const Type& type : g.captured_types) add(type);
  c.captured = constants_at(*t.sizes, t.captured, shapes);
  auto hole = t.sizes->holes.begin(), last = t.sizes->holes.end();
  for (size_t k = 0; k < g.steps.size(); ++k) {
    Step& s = g.steps[k];
    try {
      if (hole != last && hole->step == static_cast<int>(k)) {
        Field f = params_field(*s.primitive, s.params);
        int number = 0;
        auto end = std::find_if(hole, last, [&](const Sizes::Hole& h) { return h.step != static_cast<int>(k); });
        visit_numbers(f, [&](Field& n) {
          auto mine = std::find_if(hole, end, [&](const Sizes::Hole& h) { return h.number == number; });
          ++number;
          if (mine == end) return;
          if (n.kind == Field::integer) n.number = evaluate(mine->value.x, shapes);
          if (n.kind == Field::real) n.value = evaluate(mine->value, shapes);
        });
        hole = end;
        s.params = tidy(*s.primitive, params_of(*s.primitive, f));
      }
      SmallVector<array, 3> in;
      for (int i : s.in) in.push_back(slots[static_cast<size_t>(i)]);
      Types types = checked_types(*s.primitive, s.params, in);
      if (types.size() != s.types.size()) throw ValueError("another number of results");
      for (size_t i = 0; i < types.size(); ++i) {
        if (types[i].shape.size() != s.types[i].shape.size() || types[i].dtype != s.types[i].dtype) throw ValueError("results of another kind");
      }
      s.types = std::move(types);
      for (const Type& type : s.types) add(type);
    } catch (const std::exception& e) {
      throw ValueError(cat("[import_function] the operation ", s.primitive->name, " does not fit inputs of these shapes: ", e.what()));
    }
  }
  return c;
}

}  // namespace mx::exporting
