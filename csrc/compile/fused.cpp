// fused.cpp — the record of fused programs, and what can be said of a program without running it. Groups of steps become
// programs in fuse.cpp.

#include "compile/program.h"
#include "ops/cast.h"
#include "ops/matmul_params.h"
#include "ops/movement.h"
#include "ops/reduce.h"

namespace mx {

namespace {

Level operator|(Level a, Level b) { return static_cast<Level>(static_cast<uint8_t>(a) | static_cast<uint8_t>(b)); }

// The shape of values of a level, with ones for what is missing.
Shape shape_of(Level level, const Shape& whole, int row_axes) {
  Shape s(whole);
  size_t first_of_row = s.size() - static_cast<size_t>(row_axes);
  for (size_t i = 0; i < s.size(); ++i) {
    Level differs = i < first_of_row ? Level::per_row : Level::per_column;
    if ((level | differs) != level) s[i] = 1;
  }
  return s;
}

// The axes that values of a level do not have.
Axes axes_missing(Level level, int ndim, int row_axes) {
  Axes axes;
  bool rows = level == Level::per_row;
  for (int i = rows ? ndim - row_axes : 0; i < (rows ? ndim : ndim - row_axes); ++i) axes.push_back(i);
  return axes;
}

array reduced(const array& x, const Instr& i, const Axes& axes) {
  auto apply = [&](const array& a) {
    switch (i.reduce) {
      case Reduce::sum: return sum(a, axes, true);
      case Reduce::prod: return prod(a, axes, true);
      case Reduce::max: return max(a, axes, true);
      default: return min(a, axes, true);
    }
  };
  array y = apply(x);
  return y.dtype() == i.out ? y : apply(astype(x, i.out));
}

// The operations again: transformations of a compiled function go through here.
Outs opened(const Program& program, std::span<const array> in) {
  const Shape& whole = program.shape(in);
  int k = program.row_axes;
  std::vector<Level> levels = program.levels();
  if (k == 0) levels.assign(levels.size(), Level::full);
  auto at = [&](const array& x, Level level) { return broadcast_to(x, shape_of(level, whole, k)); };
  Arrays values;
  for (size_t i = 0; i < program.inputs.size(); ++i) {
    const array& x = in[i];
    Level level = program.input_level(i);
    // Without the ones, or with others than stand there.
    values.push_back(level == Level::full || x.ndim() == static_cast<int>(whole.size()) ? x : reshape(x, shape_of(level, whole, k)));
    if (k == 0) values.back() = broadcast_to(values.back(), whole);
  }
  for (const Constant& constant : program.constants) {
    array value = array::copy_of(&constant.bits, constant.dtype, {});
    values.push_back(at(value, levels[values.size()]));
  }
  for (const Instr& i : program.code) {
    size_t number = static_cast<size_t>(&i - program.code.data());
    OriginScope origin(program.origins.empty() ? nullptr : program.origins[number]);
    Level level = levels[values.size()];
    if (i.cast) {
      values.push_back(astype(values[i.a], i.out));
    } else if (i.reduce != Reduce::none) {
      values.push_back(reduced(at(values[i.a], Level::full), i, axes_missing(level, static_cast<int>(whole.size()), k)));
    } else {
      SmallVector<array, 3> operands;
      for (int n = 0; n < i.n_operands(); ++n) operands.push_back(at(values[i.operand(n)], level));
      values.push_back(make_node(elementwise_primitive(i.code), {}, std::move(operands), {i.out, shape_of(level, whole, k)}));
    }
  }
  Outs outs;
  for (size_t n = 0; n < program.outputs.size(); ++n) {
    size_t v = program.outputs[n];
    array value = at(values[v], levels[v] == Level::single ? Level::per_row : levels[v]);
    Shape shape = program.output_type(n, whole).shape;
    outs.push_back(value.shape() == shape ? value : reshape(value, shape));
  }
  return outs;
}

// The product that a call begins with.
array product_of(const FusedMatmulParams& p, const Call& c) {
  const Primitive& primitive = p.addend ? addmm_p : matmul_p;
  Params params = p.addend ? Params(AddmmParams{p.alpha, p.beta}) : Params();
  SmallVector<array, 3> in(c.inputs().begin(), c.inputs().begin() + p.first_input());
  return make_nodes(primitive, std::move(params), std::move(in))[0];
}

Type product_type(const Call& c) {
  Shape s = c.in(0).shape();
  s.back() = c.in(1).shape().back();
  return {c.in(0).dtype(), std::move(s)};
}

}  // namespace

const Program* program_in(const Primitive& p, const Params& params) {
  if (&p == &fused_p) return params.get<FusedParams>().program.get();
  return &p == &fused_matmul_p ? params.get<FusedMatmulParams>().program.get() : nullptr;
}

std::vector<Level> Program::levels() const {
  std::vector<Level> all;
  all.reserve(n_values());
  for (size_t i = 0; i < inputs.size(); ++i) all.push_back(input_level(i));
  all.resize(inputs.size() + constants.size(), Level::single);
  for (const Instr& i : code) {
    Level level = all[i.a];
    for (int k = 1; k < i.n_operands(); ++k) level = level | all[i.operand(k)];
    if (i.reduce != Reduce::none) level = i.columns ? Level::per_column : Level::per_row;
    all.push_back(level);
  }
  return all;
}

const Shape& Program::shape(std::span<const array> in) const {
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (input_level(i) == Level::full) return in[i].shape();
  }
  return in[0].shape();
}

Type Program::output_type(size_t k, const Shape& whole) const {
  Dtype t = dtype(outputs[k]);
  Level l = row_axes == 0 ? Level::full : level(outputs[k]);
  if (l == Level::single) l = Level::per_row;
  if (squeezed.empty() || !squeezed[k] || l == Level::full) return {t, shape_of(l, whole, row_axes)};
  auto first_of_row = whole.end() - row_axes;
  return {t, l == Level::per_row ? Shape(whole.begin(), first_of_row) : Shape(first_of_row, whole.end())};
}

const Primitive fused_p = define<FusedParams>({
    .name = "fused",
    .infer =
        [](auto& p, const Call& c) -> Inferred {
          const Shape& whole = p.program->shape({c.inputs().begin(), c.inputs().size()});
          Types types;
          for (size_t k = 0; k < p.program->outputs.size(); ++k) types.push_back(p.program->output_type(k, whole));
          return types;
        },
    .expand = [](auto& p, const Call& c) { return opened(*p.program, {c.inputs().begin(), c.inputs().size()}); },
    .kind = Kind::elementwise,
});

const Primitive fused_matmul_p = define<FusedMatmulParams>({
    .name = "fused_matmul",
    .infer =
        [](auto& p, const Call& c) -> Inferred {
          Type product = product_type(c);
          Types types;
          if (p.kept) types.push_back(product);
          for (size_t k = 0; k < p.program->outputs.size(); ++k) types.push_back(p.program->output_type(k, product.shape));
          return types;
        },
    .expand =
        [](auto& p, const Call& c) {
          Arrays in{product_of(p, c)};
          in.insert(in.end(), c.inputs().begin() + p.first_input(), c.inputs().end());
          Outs outs = opened(*p.program, in);
          if (!p.kept) return outs;
          Arrays all{in[0]};
          all.insert(all.end(), outs.begin(), outs.end());
          return Outs(all);
        },
});

}  // namespace mx
