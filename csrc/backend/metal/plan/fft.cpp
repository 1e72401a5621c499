// fft.cpp — Fourier transforms along one axis after another. A size of small primes up to 4096 is done in threadgroup memory by one launch; up to 2^24 as
// columns and rows by two; any other as a convolution of a power of two. Kernels: fft.metal. Start at add_axis().

#include "backend/metal/plan/fft.h"

#include <bit>
#include <cmath>

#include "backend/metal/plan/axis.h"
#include "ops/fft_params.h"

namespace mx::metal {

namespace {

constexpr int64_t kMostInGroup = 4096;  // Elements: 32 KB.
constexpr int kLargestRadix = 13;

// As in fft.metal.
enum Constant : uint32_t { kLoadMode, kStoreMode, kConjugateIn, kConjugateOut, kTwiddled, kAcrossIn, kAcrossOut };
enum Load : uint32_t { kComplexIn, kRealIn, kMirrored };
enum Store : uint32_t { kComplexOut, kRealOut, kHalf };
struct LineParams {
  int64_t in_step, out_step, total;
  uint64_t lines;
  uint32_t n, columns, in_i, in_c, out_i, out_c, per_group, n_passes;
  float scale, interior;
  uint32_t radices[16];
};

// Where transforms are read or written: an array or a temporary.
struct End {
  Binding::Kind kind;
  uint16_t which;
  Strides strides;  ///< Of the batch.
  int64_t step;     ///< Between the elements of a transform.
};

struct Transform {
  Shape batch;
  int64_t n;
  End in, out;
  Load load = kComplexIn;
  Store store = kComplexOut;
  bool inverse = false;
  double scale = 1, interior = 1;
  int64_t count() const { return n_elems(batch); }
};

std::vector<uint32_t> radices_of(int64_t n) {
  std::vector<uint32_t> odd, out;
  int twos = std::countr_zero(static_cast<uint64_t>(n));
  n >>= twos;
  for (int p = 3; p <= kLargestRadix; p += 2) {
    for (; n % p == 0; n /= p) odd.push_back(static_cast<uint32_t>(p));
  }
  for (; twos > 0; twos -= static_cast<int>(std::countr_zero(out.back()))) out.push_back(twos == 2 || twos == 4 ? 4 : 1u << std::min(twos, 3));
  out.insert(out.end(), odd.begin(), odd.end());
  return out;
}

bool smooth(int64_t n) {
  for (int64_t p : {2, 3, 5, 7, 11, 13}) {
    while (n % p == 0) n /= p;
  }
  return n == 1;
}

// The divisor nearest to the root, if both it and the other factor fit a threadgroup.
std::optional<int64_t> split_of(int64_t n) {
  if (n > kMostInGroup * kMostInGroup || !smooth(n)) return std::nullopt;
  for (int64_t d = static_cast<int64_t>(std::sqrt(static_cast<double>(n))); d > 1 && n / d <= kMostInGroup; --d) {
    if (n % d == 0) return d;
  }
  return std::nullopt;
}

void bind(Plan& plan, uint8_t slot, const End& end, bool written) {
  if (end.kind == Binding::input) return plan.input(slot, end.which);
  if (end.kind == Binding::output) return written ? plan.output(slot, end.which) : plan.reads_output(slot, end.which);
  written ? plan.writes(slot, end.which) : plan.reads(slot, end.which);
}

void set_params(Plan& plan, const LineParams& p, const Layout& layout) {
  plan.value(3, p);
  plan.values(4, words(layout));
}

LineParams params_of(const Transform& t) {
  LineParams p{};
  p.in_step = t.in.step;
  p.out_step = t.out.step;
  p.total = t.n;
  p.lines = static_cast<uint64_t>(t.count());
  p.n = static_cast<uint32_t>(t.n);
  p.columns = p.in_i = p.out_i = p.per_group = 1;
  p.scale = static_cast<float>(t.scale);
  p.interior = static_cast<float>(t.interior);
  return p;
}

Layout layout_of(const Transform& t) { return collapse(t.batch, {&t.in.strides, &t.out.strides}); }

// Lines of p.n elements: t's transforms, or the columns or rows that they are split into.
bool add_lines(Plan& plan, const Transform& t, LineParams p, bool twiddled) {
  Layout layout = layout_of(t);
  if (!fits_inline(layout)) return false;
  uint16_t roots = plan.temporary(size_t(p.n) * 8);
  plan.launch("fft_roots", {p.n, 1, 1}, {power_of_2_for(p.n, 256), 1, 1});
  plan.writes(0, roots);
  std::vector<uint32_t> radices = radices_of(p.n);
  p.n_passes = static_cast<uint32_t>(radices.size());
  std::copy(radices.begin(), radices.end(), p.radices);
  bool across_in = p.in_c == 1 || (p.columns == 1 && t.in.step != 1), across_out = p.out_c == 1 || (p.columns == 1 && t.out.step != 1);
  // Lines that lie across need company for whole pieces of memory to be read.
  int64_t elements = across_in || across_out ? kMostInGroup : 1024;
  p.per_group = static_cast<uint32_t>(std::clamp<int64_t>(elements / p.n, 1, static_cast<int64_t>(std::min<uint64_t>(p.lines, 1024))));
  uint32_t at_once = p.per_group * p.n, threads = std::clamp<uint32_t>(static_cast<uint32_t>(ceil_div(at_once, 8 * kSimdWidth)) * kSimdWidth, kSimdWidth, 512);
  Grid grid = group_grid(ceil_div(p.lines, p.per_group), threads);
  plan.launch("fft_lines", grid.threads, grid.group);
  plan.constant(kLoadMode, static_cast<uint32_t>(t.load));
  plan.constant(kStoreMode, static_cast<uint32_t>(t.store));
  plan.constant(kConjugateIn, t.inverse && t.in.kind != Binding::temporary);
  plan.constant(kConjugateOut, t.inverse && t.out.kind != Binding::temporary);
  plan.constant(kTwiddled, twiddled);
  plan.constant(kAcrossIn, across_in);
  plan.constant(kAcrossOut, across_out);
  bind(plan, 0, t.in, false);
  bind(plan, 1, t.out, true);
  plan.reads(2, roots);
  set_params(plan, p, layout);
  plan.threadgroup(0, size_t(at_once) * 8);
  return true;
}

// A temporary for transforms of n complex numbers, one after the other.
End packed(Plan& plan, const Transform& t, int64_t n) {
  End end{Binding::temporary, plan.temporary(static_cast<size_t>(t.count() * n) * 8), row_strides(t.batch), 1};
  for (int64_t& s : end.strides) s *= n;
  return end;
}

bool add_axis(Plan& plan, const Transform& t);

// Transforms of n1 elements that lie n2 apart, factors, transforms of n2 neighbours.
bool add_split(Plan& plan, const Transform& t, int64_t n1) {
  const int64_t n2 = t.n / n1;
  End middle = packed(plan, t, t.n);
  Transform columns = t, rows = t;
  columns.out = rows.in = middle;
  columns.store = kComplexOut;
  columns.scale = 1;
  rows.load = kComplexIn;
  LineParams c = params_of(columns), r = params_of(rows);
  c.n = static_cast<uint32_t>(n1);
  c.columns = c.in_i = c.out_i = static_cast<uint32_t>(n2);
  c.in_c = c.out_c = 1;
  r.n = r.in_c = static_cast<uint32_t>(n2);
  r.columns = r.out_i = static_cast<uint32_t>(n1);
  r.out_c = 1;
  c.lines *= static_cast<uint64_t>(n2);
  r.lines *= static_cast<uint64_t>(n1);
  return add_lines(plan, columns, c, true) && add_lines(plan, rows, r, false);
}

bool add_chirp(Plan& plan, const Transform& t) {
  const int64_t size = static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(2 * t.n - 1)));
  const uint64_t count = static_cast<uint64_t>(t.count());
  Layout user = layout_of(t);
  std::optional<Grid> all = grid_of(static_cast<uint64_t>(size), count), some = grid_of(static_cast<uint64_t>(t.n), count);
  if (size > kMostInGroup * kMostInGroup || !all || !fits_inline(user)) return false;
  const uint32_t n = static_cast<uint32_t>(t.n);
  LineParams p = params_of(t);
  auto constants = [&](bool loads) {
    plan.constant(kLoadMode, static_cast<uint32_t>(t.load));
    plan.constant(kStoreMode, static_cast<uint32_t>(t.store));
    plan.constant(kConjugateIn, t.inverse && loads);
    plan.constant(kConjugateOut, t.inverse && !loads);
  };

  Transform one{{}, size, {}, {}};
  one.in = one.out = packed(plan, one, size);
  Grid line = *grid_of(static_cast<uint64_t>(size));
  plan.launch("fft_chirp", line.threads, line.group);
  plan.writes(0, one.in.which);
  plan.value(1, n);
  if (!add_axis(plan, one)) return false;

  Transform many{t.batch, size, {}, {}};
  many.in = many.out = packed(plan, many, size);
  plan.launch("fft_chirp_in", all->threads, all->group);
  constants(true);
  bind(plan, 0, t.in, false);
  bind(plan, 1, many.in, true);
  set_params(plan, p, user);
  if (!add_axis(plan, many)) return false;

  plan.launch("fft_chirp_product", all->threads, all->group);
  plan.writes(0, many.in.which);
  plan.reads(1, one.out.which);
  if (!add_axis(plan, many)) return false;

  plan.launch("fft_chirp_out", some->threads, some->group);
  constants(false);
  bind(plan, 0, many.out, false);
  bind(plan, 1, t.out, true);
  plan.value(2, static_cast<uint32_t>(size));
  set_params(plan, p, user);
  return true;
}

bool add_axis(Plan& plan, const Transform& t) {
  if (t.count() == 0 || t.n == 0) return true;
  if (t.n <= kMostInGroup && smooth(t.n)) return add_lines(plan, t, params_of(t), false);
  if (std::optional<int64_t> n1 = split_of(t.n)) return add_split(plan, t, *n1);
  return add_chirp(plan, t);
}

// The transform along an axis of `in`, n elements long as a complex one.
Transform along(const AroundAxis& in, Binding::Kind kind, const AroundAxis& out, int64_t n) {
  return {in.rows_shape(), n, {kind, 0, in.rows(), in.step}, {Binding::output, 0, out.rows(), out.step}};
}

}  // namespace

bool plan_fft(const Task& task, Plan& plan) {
  const auto& p = task.params.get<FftParams>();
  const array &x = task.in[0], &out = task.out[0];
  if (out.size() == 0) return true;
  const Strides rows = row_strides(out.shape());
  for (size_t i = p.axes.size(); i-- > 0;) {
    bool first = i + 1 == p.axes.size();
    AroundAxis to(out.shape(), rows, p.axes[i]), from(out.shape(), first ? x.strides() : rows, p.axes[i]);
    Transform t = along(from, first ? Binding::input : Binding::output, to, to.n);
    t.inverse = p.inverse;
    t.scale = i == 0 ? p.scale : 1;
    if (!add_axis(plan, t)) return false;
  }
  return !p.axes.empty();
}

bool plan_rfft(const Task& task, Plan& plan) {
  const auto& p = task.params.get<RfftParams>();
  const array &x = task.in[0], &out = task.out[0];
  if (out.size() == 0) return true;
  AroundAxis from(x.shape(), x.strides(), p.axis), to(out.shape(), row_strides(out.shape()), p.axis);
  Transform t = along(from, Binding::input, to, from.n);
  t.load = kRealIn;
  t.store = kHalf;
  t.scale = p.scale;
  t.interior = p.interior;
  return add_axis(plan, t);
}

bool plan_irfft(const Task& task, Plan& plan) {
  const auto& p = task.params.get<IrfftParams>();
  const array &x = task.in[0], &out = task.out[0];
  if (out.size() == 0) return true;
  AroundAxis from(x.shape(), x.strides(), p.axis), to(out.shape(), row_strides(out.shape()), p.axis);
  Transform t = along(from, Binding::input, to, p.n);
  t.load = kMirrored;
  t.store = kRealOut;
  t.inverse = true;
  t.scale = p.scale;
  t.interior = p.interior;
  return add_axis(plan, t);
}

}  // namespace mx::metal
