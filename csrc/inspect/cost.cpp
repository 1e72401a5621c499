#include "inspect/cost.h"

#include <algorithm>
#include <cmath>

#include "compile/compiled_body.h"
#include "compile/program.h"
#include "control/scan.h"
#include "control/switch.h"
#include "control/while_loop.h"
#include "graph/marker.h"
#include "ops/cast_params.h"
#include "ops/composite_params.h"
#include "ops/conv_params.h"
#include "ops/create_params.h"
#include "ops/effects_params.h"
#include "ops/fast_params.h"
#include "ops/fft_params.h"
#include "ops/gather_matmul_params.h"
#include "ops/hadamard_params.h"
#include "ops/index_params.h"
#include "ops/linalg_params.h"
#include "ops/linalg_spectral_params.h"
#include "ops/matmul_params.h"
#include "ops/movement_params.h"
#include "ops/quantized_params.h"
#include "ops/random_params.h"
#include "ops/reduce_params.h"
#include "ops/scan_params.h"
#include "ops/sort_params.h"
#include "transforms/checkpoint.h"
#include "transforms/custom.h"

namespace mx {

namespace {

// One call, seen by a formula.
struct Seen {
  const Params& params;
  const Types& in;
  const Types& out;

  int64_t size_in(size_t i) const { return n_elems(in[i].shape); }
  int64_t size_out(size_t k = 0) const { return n_elems(out[k].shape); }
  int64_t in_axis(size_t i, int axis) const { return at(in[i].shape, axis); }
  int64_t out_axis(int axis) const { return at(out[0].shape, axis); }
  static int64_t at(const Shape& s, int axis) { return axis < 0 ? s[s.size() - static_cast<size_t>(-axis)] : s[static_cast<size_t>(axis)]; }
};

double log2_of(int64_t n) { return n > 1 ? std::log2(static_cast<double>(n)) : 0.0; }
int64_t rounded(double x) { return static_cast<int64_t>(std::llround(x)); }

// Flops for each element of the first input, or of the output.
auto per_input(int64_t n) {
  return [n](const Seen& s) { return n * s.size_in(0); };
}
auto per_output(int64_t n) {
  return [n](const Seen& s) { return n * s.size_out(); };
}

// factor * m * n^2 for each (..., m, n) matrix of the first input, with n the smaller size.
auto per_matrix(double factor) {
  return [factor](const Seen& s) {
    int64_t small = std::min(s.in_axis(0, -1), s.in_axis(0, -2));
    return rounded(factor * static_cast<double>(s.size_in(0)) * static_cast<double>(small));
  };
}

int64_t sort_flops(const Seen& s, int axis) { return rounded(static_cast<double>(s.size_in(0)) * log2_of(s.in_axis(0, axis))); }

// Pairs of query and key: with a causal mask, those up to the diagonal that ends in the last corner.
double attention_pairs(const Seen& s, bool causal) {
  double tq = static_cast<double>(s.in_axis(0, -2)), tk = static_cast<double>(s.in_axis(1, -2));
  double pairs = tq * tk;
  if (causal) {
    double seen = std::min(tq, tk);
    pairs = seen * (seen + 1) / 2 + (tk > tq ? tq * (tk - tq) : 0);
  }
  double rows = static_cast<double>(s.size_in(0)) / std::max(1.0, tq * static_cast<double>(s.in_axis(0, -1)));
  return rows * pairs;
}

// Both products, and the softmax between.
int64_t attention_flops(const Seen& s) {
  double d = static_cast<double>(s.in_axis(0, -1)), e = static_cast<double>(s.in_axis(2, -1));
  return rounded(attention_pairs(s, s.params.get<fast::AttentionParams>().causal) * (2 * d + 2 * e + 5));
}

// The scores again, and the four products of the backward pass.
int64_t attention_vjp_flops(const Seen& s) {
  double d = static_cast<double>(s.in_axis(0, -1)), e = static_cast<double>(s.in_axis(2, -1));
  return rounded(attention_pairs(s, s.params.get<fast::AttentionVjpParams>().of.causal) * (6 * d + 4 * e + 10));
}

// 5 n log2 n for each complex transform of size n (Cooley and Tukey, radix 2); half of it for real data.
int64_t fft_flops(const Seen& s) {
  double each = 0;
  for (int axis : s.params.get<FftParams>().axes) each += 5 * log2_of(s.in_axis(0, axis));
  return rounded(each * static_cast<double>(s.size_in(0)));
}

// A step of y = g * S + b * (v - S k) k', then y q, for each entry of the state.
int64_t delta_flops(const Seen& s) { return 7 * s.size_in(2) * s.in_axis(0, -1); }

using Formula = std::function<int64_t(const Seen&)>;

const std::vector<Formula>& formulas() {
  static const std::vector<Formula> table = [] {
    std::vector<std::pair<const Primitive*, Formula>> list;
    auto add = [&](std::initializer_list<const Primitive*> ps, const Formula& f) {
      for (const Primitive* p : ps) list.emplace_back(p, f);
    };
    // nothing computed
    add({&astype_p, &view_p, &contiguous_p, &reshape_p, &concatenate_p, &slice_update_p, &dynamic_slice_p, &dynamic_slice_update_p, &arange_p,
         &gather_p, &gather_axis_p, &to_fp8_p, &from_fp8_p, &with_effects_p, &depends_p, &custom_p, &debug_print_p, &marker_p, &stop_gradient_p},
        [](const Seen&) { return int64_t{0}; });
    add({&as_strided_add_p}, per_input(1));
    add({&scatter_p, &scatter_reduce_p}, [](const Seen& s) { return s.params.get<ScatterParams>().mode == ScatterMode::set ? 0 : s.size_in(1); });
    add({&scatter_axis_p}, [](const Seen& s) { return s.params.get<ScatterAxisParams>().mode == ScatterMode::set ? 0 : s.size_in(1); });
    // reductions and scans
    add({&sum_p, &prod_p, &max_p, &min_p, &all_p, &any_p, &argmax_p, &argmin_p, &cumsum_p, &cumprod_p, &cummax_p, &cummin_p, &cumargmax_p,
         &cumargmin_p}, per_input(1));
    add({&linear_recurrence_p}, per_input(2));
    add({&logsumexp_p, &logcumsumexp_p}, per_input(4));
    add({&softmax_p}, per_input(5));
    // sorting
    add({&sort_p, &argsort_p}, [](const Seen& s) { return sort_flops(s, s.params.get<SortParams>().axis); });
    add({&partition_p, &argpartition_p}, per_input(2));
    add({&searchsorted_p}, [](const Seen& s) { return rounded(static_cast<double>(s.size_out()) * std::ceil(log2_of(s.in_axis(0, -1) + 1))); });
    // products
    add({&matmul_p, &block_masked_mm_p}, [](const Seen& s) { return 2 * s.size_out() * s.in_axis(0, -1); });
    add({&addmm_p}, [](const Seen& s) { return 2 * s.size_out() * (s.in_axis(0, -1) + 1); });
    add({&gather_mm_p}, [](const Seen& s) {
      int64_t products = s.in_axis(2, -1), n = s.in_axis(1, -1), m = s.in_axis(0, -2), k = s.in_axis(0, -1);
      int64_t batch = s.size_in(2) / std::max<int64_t>(1, products);
      return 2 * batch * products * m * n * k;
    });
    // As if the segments covered the axis once.
    add({&segmented_mm_p}, [](const Seen& s) { return 2 * s.size_in(0) * s.in_axis(1, -1); });
    add({&segment_sum_mm_p}, [](const Seen& s) { return 2 * s.size_out() * s.in_axis(1, -2); });
    add({&quantized_matmul_p, &gather_qmm_p}, [](const Seen& s) { return 2 * s.size_out() * s.in_axis(0, -1); });
    add({&quantize_p, &dequantize_p}, [](const Seen& s) { return 2 * std::max(s.size_in(0), s.size_out()); });
    add({&requantize_p}, per_output(4));
    // Every tap of the kernel at every position, those on padding too.
    add({&conv_p}, [](const Seen& s) { return 2 * s.size_out() * (s.size_in(1) / std::max<int64_t>(1, s.in_axis(1, 0))); });
    add({&conv_weight_p}, [](const Seen& s) { return 2 * s.size_in(1) * (s.size_out() / std::max<int64_t>(1, s.out_axis(0))); });
    // spectra
    add({&fft_p}, fft_flops);
    add({&rfft_p}, [](const Seen& s) {
      return rounded(2.5 * static_cast<double>(s.size_in(0)) * log2_of(s.in_axis(0, s.params.get<RfftParams>().axis)));
    });
    add({&irfft_p}, [](const Seen& s) {
      return rounded(2.5 * static_cast<double>(s.size_out()) * log2_of(s.params.get<IrfftParams>().n));
    });
    add({&hadamard_p}, [](const Seen& s) { return rounded(static_cast<double>(s.size_in(0)) * (log2_of(s.in_axis(0, -1)) + 1)); });
    // factorisations: the leading terms (Golub and Van Loan, Matrix Computations)
    add({&cholesky_p, &triangular_inverse_p}, per_matrix(1.0 / 3));
    add({&inverse_p}, per_matrix(2));
    add({&lu_factor_p}, [](const Seen& s) {
      double m = static_cast<double>(s.in_axis(0, -2)), n = static_cast<double>(s.in_axis(0, -1)), k = std::min(m, n);
      return m * n == 0 ? int64_t{0} : rounded(static_cast<double>(s.size_in(0)) / (m * n) * (2 * m * n * k - (m + n) * k * k + 2 * k * k * k / 3));
    });
    add({&solve_triangular_p}, [](const Seen& s) { return s.size_out() * s.in_axis(0, -1); });
    add({&lu_solve_p}, [](const Seen& s) { return 2 * s.size_out() * s.in_axis(0, -1); });
    add({&det_p, &slogdet_p}, [](const Seen& s) { return 2 * s.size_in(0) / std::max<int64_t>(1, s.in_axis(0, -1)); });
    add({&qr_p}, per_matrix(4));
    add({&singular_values_p}, per_matrix(4));
    add({&svd_p, &pinv_p}, per_matrix(14));
    add({&eigvalsh_p}, per_matrix(4.0 / 3));
    add({&eigh_p, &psd_sqrt_p}, per_matrix(9));
    add({&eigvals_p}, per_matrix(10));
    add({&eig_p}, per_matrix(25));
    add({&lyapunov_p}, per_matrix(17));
    add({&adjugate_p, &adjugate_slope_p}, per_matrix(2));
    // networks
    add({&fast::rms_norm_p}, per_input(4));
    add({&fast::layer_norm_p}, per_input(7));
    add({&fast::rms_norm_vjp_p}, per_input(8));
    add({&fast::layer_norm_vjp_p}, per_input(14));
    add({&fast::rope_p}, [](const Seen& s) {
      int64_t d = s.in_axis(0, -1);
      return d == 0 ? 0 : 3 * (s.size_in(0) / d) * s.params.get<fast::RopeParams>().dims;
    });
    add({&fast::cross_entropy_p}, per_input(4));
    add({&fast::cross_entropy_vjp_p}, per_input(5));
    add({&fast::attention_p}, attention_flops);
    add({&fast::attention_vjp_p}, attention_vjp_flops);
    add({&fast::gated_delta_update_p}, delta_flops);
    add({&fast::gated_delta_update_vjp_p}, [](const Seen& s) { return 3 * delta_flops(s); });
    std::vector<Formula> by_id;
    for (auto& [p, f] : list) {
      auto id = static_cast<size_t>(p->id);
      if (by_id.size() <= id) by_id.resize(id + 1);
      by_id[id] = std::move(f);
    }
    return by_id;
  }();
  return table;
}

int64_t bytes_of(const Types& types) {
  int64_t n = 0;
  for (const Type& t : types) n += n_elems(t.shape) * static_cast<int64_t>(size_of(t.dtype));
  return n;
}

bool computes_complex(const Types& in, const Types& out) {
  auto complex = [](const Type& t) { return is_complex(t.dtype); };
  return std::any_of(in.begin(), in.end(), complex) || std::any_of(out.begin(), out.end(), complex);
}

int64_t flops_of(const Primitive& p, const Seen& s) {
  if (&p == &fused_p) {
    // An operation for each element of its result; a reduction for each element it reads.
    const Program& program = *s.params.get<FusedParams>().program;
    std::vector<Level> levels = program.levels();
    size_t whole = 0;
    while (program.input_level(whole) != Level::full) ++whole;
    const Shape& shape = s.in[whole].shape;
    int64_t size = n_elems(shape), length = 1, n = 0;
    for (size_t i = shape.size() - static_cast<size_t>(program.row_axes); i < shape.size(); ++i) length *= shape[i];
    for (size_t k = 0; k < program.code.size(); ++k) {
      const Instr& i = program.code[k];
      bool full = program.row_axes == 0 || i.reduce != Reduce::none || levels[levels.size() - program.code.size() + k] == Level::full;
      n += (i.cast ? 0 : is_complex(i.in) ? 4 : 1) * (full ? size : size / std::max<int64_t>(length, 1));
    }
    return n;
  }
  if (&p == &fused_matmul_p) {
    const auto& f = s.params.get<FusedMatmulParams>();
    auto n_code = std::count_if(f.program->code.begin(), f.program->code.end(), [](const Instr& i) { return !i.cast; });
    return flops_of(f.addend ? addmm_p : matmul_p, s) + n_code * n_elems(s.out[0].shape);
  }
  auto id = static_cast<size_t>(p.id);
  if (id < formulas().size() && formulas()[id]) {
    int64_t n = formulas()[id](s);
    // The transforms' own formulas are of complex numbers.
    bool counted = &p == &fft_p || &p == &rfft_p || &p == &irfft_p;
    return counted || !computes_complex(s.in, s.out) ? n : 4 * n;
  }
  // Elementwise, or not known: one for each element that comes out.
  int64_t n = 0;
  for (size_t k = 0; k < s.out.size(); ++k) n = std::max(n, s.size_out(k));
  return computes_complex(s.in, s.out) ? 4 * n : n;
}

// What calls with graphs inside cost; nothing for others.
std::optional<Cost> cost_within(const Primitive& p, const Params& params) {
  if (&p == &compiled_p) return cost_of(params.get<CompiledParams>().body->graph());
  if (&p == &checkpoint_p) return cost_of(*params.get<CheckpointParams>().graph);
  if (&p == &scan_p) return cost_of(*params.get<ScanLoopParams>().body.graph) * params.get<ScanLoopParams>().length;
  if (&p == &while_p) {
    const auto& w = params.get<WhileParams>();
    Cost step = cost_of(*w.cond.graph);
    step += cost_of(*w.body.graph);
    return step * (w.max_steps < 0 ? 1 : w.max_steps);
  }
  if (&p == &switch_p) {
    Cost most;
    for (const Body& b : params.get<SwitchParams>().branches) {
      Cost c = cost_of(*b.graph);
      if (c.flops > most.flops || (c.flops == most.flops && c.bytes > most.bytes)) most = c;
    }
    return most;
  }
  return std::nullopt;
}

bool moves_nothing(const Primitive& p) {
  return p.view || &p == &depends_p || &p == &with_effects_p || &p == &custom_p || &p == &stop_gradient_p || &p == &debug_print_p;
}

}  // namespace

std::vector<Cost> step_costs(const Subgraph& g) {
  Types types = slot_types(g);
  std::vector<int64_t> behind;  // bytes of memory that a slot shows
  for (const Type& t : types) behind.push_back(bytes_of({t}));
  std::vector<Cost> costs;
  for (const Step& s : g.steps) {
    const Primitive& p = *s.primitive;
    Types in;
    int64_t read = 0;
    for (int i : s.in) {
      in.push_back(types[static_cast<size_t>(i)]);
      read += behind[static_cast<size_t>(i)];
    }
    auto of_first = [&] { return behind[static_cast<size_t>(s.in[0])]; };
    if (p.view) {
      int64_t& shown = behind[static_cast<size_t>(s.out[0])];
      shown = std::min(shown, of_first());
    }
    if (std::optional<Cost> within = cost_within(p, s.params)) {
      costs.push_back(*within);
      continue;
    }
    if (moves_nothing(p)) {
      costs.emplace_back();
      continue;
    }
    // Of what is indexed only the chosen elements are read, and lu_solve does not read its matrix.
    if (&p == &gather_p || &p == &gather_axis_p || &p == &dynamic_slice_p) read += bytes_of(s.types) - of_first();
    if (&p == &lu_solve_p) read -= of_first();
    costs.push_back({flops_of(p, {s.params, in, s.types}), read + bytes_of(s.types)});
  }
  return costs;
}

Cost cost_of(const Subgraph& g) {
  Cost total;
  for (const Cost& c : step_costs(g)) total += c;
  return total;
}

Types slot_types(const Subgraph& g) {
  Types types(static_cast<size_t>(g.n_slots), Type{Dtype::float32, {}});
  size_t slot = 0;
  for (const Type& t : g.input_types) types[slot++] = t;
  for (const Type& t : g.captured_types) types[slot++] = t;
  for (const Step& s : g.steps) {
    for (size_t k = 0; k < s.out.size(); ++k) types[static_cast<size_t>(s.out[k])] = s.types[k];
  }
  return types;
}

}  // namespace mx
