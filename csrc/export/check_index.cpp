// Gathers, scatters and random bits. The values of indices are checked by the kernels, their dtypes here.

#include "export/check.h"
#include "ops/index_params.h"
#include "ops/random_params.h"

namespace mx::exporting {

namespace {

// Index arrays from input `first` on: one an axis, of one shape. Returns the shape that is indexed.
Shape indexed(const Call& c, int first, const Axes& axes, int at) {
  require(!axes.empty() && c.n_in() == first + static_cast<int>(axes.size()), "a wrong number of index arrays");
  const array& a = c.in(0);
  distinct_axes(axes, a.ndim());
  require(at >= 0 && at <= a.ndim() - static_cast<int>(axes.size()), "index axes at a wrong place");
  for (int i = first; i < c.n_in(); ++i) {
    integers(c.in(i));
    same_shape(c.in(i), c.in(first));
  }
  Shape out;
  for (int i = 0; i < a.ndim(); ++i) {
    if (std::find(axes.begin(), axes.end(), i) == axes.end()) out.push_back(a.shape(i));
  }
  const Shape& index = c.in(first).shape();
  out.insert(out.begin() + at, index.begin(), index.end());
  sizes(out);
  return out;
}

bool linear(ScatterMode mode) { return mode == ScatterMode::set || mode == ScatterMode::add; }

void scatter(const ScatterParams& p, const Call& c) {
  some_inputs(c, 2);
  shape_is(c.in(1), indexed(c, 2, p.axes, p.at));
  same_dtype(c.in(0), c.in(1));
  require(linear(p.mode) == (&c.primitive() == &scatter_p), "a scatter of another mode");
}

// `a` and `indices` are of equal shape but for `axis`.
void along(const array& a, const array& indices, int axis) {
  axis_of(axis, a);
  integers(indices);
  require(indices.ndim() == a.ndim() && without_axis(indices.shape(), axis) == without_axis(a.shape(), axis), "indices of a wrong shape");
}

void keys(const array& k) {
  dtype_is(k, Dtype::uint32);
  require(k.ndim() >= 1 && k.shape(-1) == 2, "keys of a wrong shape");
}

}  // namespace

Checks index_checks() {
  return {
      check_of<GatherParams>(gather_p, [](auto& p, const Call& c) {
        some_inputs(c, 1);
        indexed(c, 1, p.axes, p.at);
      }),
      check_of<ScatterParams>(scatter_p, scatter),
      check_of<ScatterParams>(scatter_reduce_p, scatter),
      check_of<GatherAxisParams>(gather_axis_p, [](auto& p, const Call& c) {
        n_inputs(c, 2);
        along(c.in(0), c.in(1), p.axis);
      }),
      check_of<ScatterAxisParams>(scatter_axis_p, [](auto& p, const Call& c) {
        n_inputs(c, 3);
        along(c.in(0), c.in(2), p.axis);
        same_shape(c.in(1), c.in(2));
        same_dtype(c.in(0), c.in(1));
        require(linear(p.mode), "a scatter of another mode");
      }),
      check_of<RandomBitsParams>(random_bits_p, [](auto& p, const Call& c) {
        n_inputs(c, 1);
        keys(c.in(0));
        sizes(p.shape);
        require(p.width == 1 || p.width == 2 || p.width == 4 || p.width == 8, "random bits of a wrong width");
      }),
      check_of<RandomDrawParams>(random_draw_p, [](auto& p, const Call& c) {
        n_inputs(c, 1);
        keys(c.in(0));
        sizes(p.shape);
        require(p.from <= Distribution::gumbel, "random numbers of no known distribution");
      }),
      check_of<NoParams>(fold_in_p, [](auto&, const Call& c) {
        n_inputs(c, 2);
        keys(c.in(0));
        dtype_is(c.in(1), Dtype::int64);
        shape_is(c.in(1), leading(c.in(0), 1));
      }),
  };
}

}  // namespace mx::exporting
