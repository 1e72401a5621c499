// quantized_matmul.cpp — products with quantized matrices. A task is a list of items: places of x, of a quantized matrix
// and of the result. Items that share a matrix are done together, so that it is read once. With few rows of x, codes are
// multiplied as they are unpacked; else blocks of the matrix are unpacked and given to gemm.h. Sums never depend on
// the number of threads. Start at run_all().

#include "backend/cpu/quantized.h"

#include <algorithm>
#include <vector>

#include "backend/cpu/gemm.h"
#include "backend/cpu/gemm_pack.h"
#include "backend/cpu/pool.h"
#include "backend/cpu/quantized_formats.h"
#include "backend/cpu/quantized_loops.h"
#include "backend/cpu/scratch.h"
#include "backend/cpu/strided.h"
#include "ops/quantized_params.h"

namespace mx::cpu {

namespace {

constexpr int64_t kMaxAddRows = 16;           // Rows of x without transposition; for more, unpacking into memory pays.
constexpr int64_t kXBytes = 512 << 10;        // Of x, for which the matrix is read once.
constexpr int64_t kAddColumns = 1024;         // Sums of so many columns stay in the first cache.
constexpr int64_t kTaskElems = 64 << 10;      // Of the matrix: worth a thread.
constexpr int64_t kBlockBytes = 1 << 20;      // Of the matrix, unpacked at a time.
constexpr int64_t kSharedElems = 2 << 20;     // A product worth sharing between threads.

// Offsets in elements of one product's operands.
struct Item {
  int64_t x = 0, w = 0, scales = 0, biases = 0, out = 0;
};

bool same_matrix(const Item& a, const Item& b) { return a.w == b.w && a.scales == b.scales && a.biases == b.biases; }

template <class T>
class Products {
  // What sums are kept in, and scales.
  using A = Accumulator<T>;

 public:
  Products(const Task& task, const QuantizedMatmulParams& p)
      : format_(p.format), transpose_(p.transpose), x_(task.in[0]), w_(task.in[1]), scales_(task.in[2]), out_(task.out[0]) {
    if (format_.affine()) biases_ = task.in[3];
    m_ = x_.shape(-2);
    k_ = x_.shape(-1);
    rows_ = w_.shape(-2);
    columns_ = format_.elements(w_.shape(-1));
    groups_ = columns_ / format_.group_size;
    n_ = transpose_ ? rows_ : columns_;
  }

  void run_all(std::vector<Item> items) const {
    if (m_ == 0 || n_ == 0) return;
    std::stable_sort(items.begin(), items.end(), [](const Item& a, const Item& b) {
      return std::tie(a.w, a.scales, a.biases) < std::tie(b.w, b.scales, b.biases);
    });
    std::vector<std::span<const Item>> runs;
    for (size_t i = 0, j; i < items.size(); i = j) {
      for (j = i + 1; j < items.size() && same_matrix(items[i], items[j]);) ++j;
      runs.push_back(std::span(items).subspan(i, j - i));
    }
    auto n_runs = static_cast<int64_t>(runs.size());
    int64_t elems = rows_ * columns_ + 1;
    // Small products run side by side, each on one thread.
    int64_t grain = elems >= kSharedElems ? n_runs : std::max<int64_t>(1, kTaskElems / elems);
    if (n_runs == 0) return;
    parallel_for(n_runs, grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) run(runs[static_cast<size_t>(i)]);
    });
  }

 private:
  // ---- the matrix

  // Groups [first, first + n) of a row of scales or biases as numbers.
  const A* numbers(const array& from, int64_t offset, int64_t row, int64_t first, int64_t n, A* to) const {
    int64_t stride = from.strides().end()[-1], at = offset + row * from.strides().end()[-2] + first * stride;
    if (format_.affine()) {
      const T* p = from.template data<T>() + at;
      if constexpr (std::is_same_v<A, T>) {
        if (stride == 1) return p;
      }
      for (int64_t i = 0; i < n && stride != 1; ++i) to[i] = static_cast<A>(p[i * stride]);
      if (stride == 1) widen(p, to, n);
      return to;
    }
    const uint8_t* p = from.template data<uint8_t>() + at;
    if (format_.mode != QuantMode::nvfp4) {
      for (int64_t i = 0; i < n; ++i) to[i] = static_cast<A>(from_e8m0(p[i * stride]));
      return to;
    }
    int64_t i = 0;
    if constexpr (std::is_same_v<A, float>) {
      if (stride == 1) {
        i = n / kCodeStep * kCodeStep;
        quant_loops().unpack[static_cast<size_t>(Codes::e4m3)](p, i, to);
      }
    }
    for (; i < n; ++i) to[i] = static_cast<A>(from_e4m3(p[i * stride]));
    return to;
  }

  int64_t words_per_group() const { return format_.group_size * format_.bits / 32; }

  // The codes of groups [first, first + n) of a row.
  const uint8_t* codes(const Item& item, int64_t row, int64_t first, int64_t n, uint32_t* scratch) const {
    int64_t stride = w_.strides().end()[-1];
    const uint32_t* p = w_.template data<uint32_t>() + item.w + row * w_.strides().end()[-2] + first * words_per_group() * stride;
    if (stride != 1) {
      gather_run(p, stride, n * words_per_group(), scratch);
      p = scratch;
    }
    return reinterpret_cast<const uint8_t*>(p);
  }

  // Elements of groups [first, first + n) of a row, rounded once.
  void unpack(const Item& item, int64_t row, int64_t first, int64_t n, T* to) const {
    constexpr int64_t kPiece = 1024;
    int size = format_.group_size;
    auto loop = quant_loops().unpack[static_cast<size_t>(codes_of(format_))];
    for (int64_t end = first + n; first < end;) {
      int64_t some = std::min(end - first, kPiece / size);
      uint32_t words[kPiece / 4];
      float raw[kPiece];
      A scale_buffer[kPiece / 16], bias_buffer[kPiece / 16], narrow_buffer[kPiece];
      loop(codes(item, row, first, some, words), some * size, raw);
      const A* scale = numbers(scales_, item.scales, row, first, some, scale_buffer);
      const A* bias = biases_.defined() ? numbers(biases_, item.biases, row, first, some, bias_buffer) : nullptr;
      A* wide = narrow_buffer;
      if constexpr (std::is_same_v<A, T>) wide = to;
      for (int64_t g = 0, p = 0; g < some; ++g, p += size) {
        A s = scale[g], b = bias ? bias[g] : A(0);
        for (int q = 0; q < size; ++q) wide[p + q] = static_cast<A>(raw[p + q]) * s + b;
      }
      if constexpr (!std::is_same_v<A, T>) narrow(wide, to, some * size);
      to += some * size;
      first += some;
    }
  }

  // ---- products with one matrix

  const T* x_row(const Item& item, int64_t i) const { return x_.template data<T>() + item.x + i * x_.strides().end()[-2]; }
  T* out_row(const Item& item, int64_t i) const { return out_.template data<T>() + item.out + i * n_; }

  void run(std::span<const Item> items) const {
    auto n_items = static_cast<int64_t>(items.size());
    if constexpr (std::is_same_v<A, float>) {
      if (transpose_ && n_items * m_ <= quant_loops().most_rows) return run_dots(items);
      if (!transpose_ && n_items * m_ <= kMaxAddRows) return run_adds(items);
    }
    int64_t x_col = x_.strides().end()[-1];
    if (n_items == 1) return run_blocks(items[0], m_, x_row(items[0], 0), x_.strides().end()[-2], x_col, out_row(items[0], 0));
    // Rows of all items, one below the other.
    Scratch memory(static_cast<size_t>(n_items * m_ * (k_ + n_)) * sizeof(T));
    T *x = memory.as<T>(), *out = x + n_items * m_ * k_;
    auto for_rows = [&](auto f) {
      parallel_for(n_items * m_, std::max<int64_t>(1, 32768 / (k_ + n_)), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) f(items[static_cast<size_t>(i / m_)], i % m_, i);
      });
    };
    for_rows([&](const Item& item, int64_t row, int64_t i) { gather_run(x_row(item, row), x_col, k_, x + i * k_); });
    run_blocks(items[0], n_items * m_, x, k_, 1, out);
    for_rows([&](const Item& item, int64_t row, int64_t i) { std::copy_n(out + i * n_, n_, out_row(item, row)); });
  }

  // ---- few rows of x

  // Groups [first, first + n) of `count` rows from r on, in memory or copied to a buffer of so many floats.
  size_t buffer_floats(int count, int64_t n) const { return static_cast<size_t>(count * n * (2 + words_per_group())); }
  QuantRows rows_at(const Item& item, int64_t r, int count, int64_t first, int64_t n, float* buffer) const {
    QuantRows q{n, format_.group_size, nullptr, 0, nullptr, nullptr, n};
    bool apart = w_.strides().end()[-1] != 1;
    auto* words = reinterpret_cast<uint32_t*>(buffer + 2 * count * n);
    for (int j = 0; j < count; ++j) {
      const uint8_t* row = codes(item, r + j, first, n, words + j * n * words_per_group());
      if (j == 0) q.codes = row;
    }
    q.codes_row = 4 * (apart ? n * words_per_group() : w_.strides().end()[-2]);
    const Strides &of_scales = scales_.strides(), &of_biases = (biases_.defined() ? biases_ : scales_).strides();
    bool alike = of_scales.end()[-1] == 1 && of_biases.end()[-1] == 1 && of_scales.end()[-2] == of_biases.end()[-2];
    auto floats = [&](const array& from, int64_t offset, float* to) -> const float* {
      for (int j = 0; j < count; ++j) {
        const float* at = numbers(from, offset, r + j, first, n, to + j * n);
        if (std::is_same_v<T, float> && format_.affine() && alike) {  // Read where they lie.
          q.scales_row = of_scales.end()[-2];
          return at;
        }
        if (at != to + j * n) std::copy_n(at, n, to + j * n);
      }
      return to;
    };
    q.scales = floats(scales_, item.scales, buffer);
    if (biases_.defined()) q.biases = floats(biases_, item.biases, buffer + count * n);
    return q;
  }

  // Row i of the rows of x of all items.
  void read_x(std::span<const Item> items, int64_t i, float* to) const {
    const T* from = x_row(items[static_cast<size_t>(i / m_)], i % m_);
    int64_t stride = x_.strides().end()[-1];
    if (stride == 1) return widen(from, to, k_);
    for (int64_t p = 0; p < k_; ++p) to[p] = static_cast<float>(from[p * stride]);
  }
  T* write_out(std::span<const Item> items, int64_t i) const { return out_row(items[static_cast<size_t>(i / m_)], i % m_); }

  // Dot products of rows of x with rows of the matrix.
  void run_dots(std::span<const Item> items) const {
    int64_t n_x = static_cast<int64_t>(items.size()) * m_;
    const QuantLoops& loops = quant_loops();
    auto kind = static_cast<size_t>(codes_of(format_));
    Scratch memory(static_cast<size_t>((n_x + 1) * k_) * sizeof(float));
    float *x = memory.as<float>(), *line = x + n_x * k_;
    for (int64_t i = 0; i < n_x; ++i) {
      bool pairs = loops.pairs && format_.bits == 4;
      read_x(items, i, pairs ? line : x + i * k_);
      if (pairs) deinterleave(line, loops.pairs, x + i * k_);
    }
    // A short matrix is one row at a time, several times over; the last rows of others may overlap those before.
    bool repeated = rows_ < kQuantTile;
    int64_t step = repeated ? 1 : kQuantTile, n_tiles = (rows_ + step - 1) / step;
    int64_t block = std::clamp<int64_t>(kXBytes / (4 * (k_ + 1)) / kMaxQuantRows * kMaxQuantRows, kMaxQuantRows, n_x + kMaxQuantRows);
    for (int64_t from = 0; from < n_x; from += block) {
      int64_t until = std::min(n_x, from + block);
      parallel_for(n_tiles, std::max<int64_t>(1, kTaskElems / (step * (until - from) * (k_ + 1))), [&](int64_t begin, int64_t end) {
        Scratch buffer(buffer_floats(kQuantTile, groups_) * sizeof(float) + 4);
        for (int64_t t = begin; t < end; ++t) {
          int64_t r = std::min(t * step, rows_ - step);
          QuantRows q = rows_at(items[0], r, repeated ? 1 : kQuantTile, 0, groups_, buffer.as<float>());
          if (repeated) q.codes_row = q.scales_row = 0;
          for (int64_t i = from; i < until; i += kMaxQuantRows) {
            int64_t some = std::min<int64_t>(kMaxQuantRows, until - i);
            float out[kQuantTile * kMaxQuantRows];
            loops.dots[kind][some](q, x + i * k_, k_, out);
            for (int64_t l = 0; l < some; ++l) {
              T* to = write_out(items, i + l);
              for (int64_t j = t * step - r; j < step; ++j) to[r + j] = static_cast<T>(out[j * kMaxQuantRows + l]);
            }
          }
        }
      });
    }
  }

  // Of every 2 * pairs elements the even ones first; what is left over stays in order.
  void deinterleave(const float* from, int pairs, float* to) const {
    int64_t p = 0;
    for (; p + 2 * pairs <= k_; p += 2 * pairs) {
      for (int i = 0; i < pairs; ++i) {
        to[p + i] = from[p + 2 * i];
        to[p + pairs + i] = from[p + 2 * i + 1];
      }
    }
    std::copy(from + p, from + k_, to + p);
  }

  // Without transposition: multiples of the rows of the matrix are added to the results, some columns at a time.
  void run_adds(std::span<const Item> items) const {
    int64_t n_x = static_cast<int64_t>(items.size()) * m_;
    int size = format_.group_size;
    const QuantLoops& loops = quant_loops();
    auto kind = static_cast<size_t>(codes_of(format_));
    Scratch memory(static_cast<size_t>(n_x * k_ + 1) * sizeof(float));
    float* x = memory.as<float>();
    for (int64_t i = 0; i < n_x; ++i) read_x(items, i, x + i * k_);
    int64_t most = std::clamp<int64_t>((groups_ + 3) / 4, 1, kAddColumns / size);
    int64_t sums_row = most * size + 16;  // Not a multiple of a page.
    parallel_for((groups_ + most - 1) / most, std::max<int64_t>(1, kTaskElems / (most * size * (rows_ + 1))), [&](int64_t begin, int64_t end) {
      Scratch buffers((buffer_floats(kQuantTile, most) + static_cast<size_t>(n_x * sums_row)) * sizeof(float));
      float *sums = buffers.as<float>(), *buffer = sums + n_x * sums_row;
      for (int64_t first = begin * most; first < std::min(groups_, end * most); first += most) {
        int64_t some = std::min(most, groups_ - first);
        std::fill_n(sums, n_x * sums_row, 0.0f);
        for (int64_t r = 0; r < rows_;) {
          bool whole = r + kQuantTile <= rows_;
          QuantRows q = rows_at(items[0], r, whole ? kQuantTile : 1, first, some, buffer);
          for (int64_t i = 0; i < n_x; i += kMaxQuantRows) {
            auto n = static_cast<size_t>(std::min<int64_t>(kMaxQuantRows, n_x - i));
            (whole ? loops.add : loops.add_one)[kind][n](q, x + i * k_ + r, k_, sums + i * sums_row, sums_row);
          }
          r += whole ? kQuantTile : 1;
        }
        for (int64_t i = 0; i < n_x; ++i) narrow(sums + i * sums_row, write_out(items, i) + first * size, some * size);
      }
    });
  }

  // ---- many rows of x

  // out (m, n), row after row.
  void run_blocks(const Item& item, int64_t m, const T* x, int64_t x_row, int64_t x_col, T* out) const {
    int size = format_.group_size;
    // Whole rows of the matrix, or whole columns of groups.
    int64_t unit = transpose_ ? columns_ : rows_ * size, units = transpose_ ? rows_ : groups_;
    int64_t block = std::clamp<int64_t>(kBlockBytes / static_cast<int64_t>(sizeof(T)) / std::max<int64_t>(1, unit), 1, units);
    if (transpose_) block = std::min(units, (block + 63) / 64 * 64);
    int64_t width = transpose_ ? columns_ : block * size;
    Scratch memory(static_cast<size_t>(std::max<int64_t>(1, block * unit)) * sizeof(T));
    T* b = memory.as<T>();
    for (int64_t first = 0; first < units; first += block) {
      int64_t some = std::min(block, units - first), n_rows = transpose_ ? some : rows_;
      parallel_for(n_rows, std::max<int64_t>(1, 16384 / (width + 1)), [&](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r) {
          transpose_ ? unpack(item, first + r, 0, groups_, b + r * width) : unpack(item, r, first, some, b + r * width);
        }
      });
      Gemm<T> g{.m = m, .n = transpose_ ? some : some * size, .k = k_, .a = x, .a_row = x_row, .a_col = x_col, .b = b};
      g.b_row = transpose_ ? 1 : width;
      g.b_col = transpose_ ? width : 1;
      g.out = out + (transpose_ ? first : first * size);
      g.out_row = n_;
      gemm(g);
    }
  }

  QuantFormat format_;
  bool transpose_;
  array x_, w_, scales_, biases_, out_;
  int64_t m_, k_, n_;
  int64_t rows_, columns_, groups_;  // Of the matrix.
};

template <class F>
void dispatch_products(const Task& task, F f) {
  const auto& p = task.params.get<QuantizedMatmulParams>();
  switch (task.out[0].dtype()) {
    case Dtype::float16: return f(Products<float16_t>(task, p));
    case Dtype::bfloat16: return f(Products<bfloat16_t>(task, p));
    case Dtype::float64: return f(Products<double>(task, p));
    default: return f(Products<float>(task, p));
  }
}

Strides front(const array& x, int64_t without) { return {x.strides().begin(), x.strides().end() - without}; }

int64_t checked_index(int64_t index, int64_t size, const char* what) {
  int64_t at = index < 0 ? index + size : index;
  if (at >= 0 && at < size) return at;
  throw IndexError(cat("[gather_qmm] index ", index, " of ", what, " is out of bounds for ", size, " matrices; need ", -size, " <= index < ", size,
                       "."));
}

}  // namespace

void quantized_matmul_kernel(const Task& task) {
  const array &x = task.in[0], &out = task.out[0], &last = task.in[task.in.size() - 1];
  Shape batch(x.shape().begin(), x.shape().end() - 2);
  Strides of_x = front(x, 2), of_w = front(task.in[1], 2), of_scales = front(task.in[2], 2), of_biases = front(last, 2);
  Strides of_out = front(out, 2);
  Layout layout = collapse(batch, {&of_x, &of_w, &of_scales, &of_biases, &of_out});
  std::vector<Item> items;
  for (Walk w(layout); w.index < layout.size; w.advance(1)) {
    items.push_back({w.offset(0), w.offset(1), w.offset(2), w.offset(3), w.offset(4)});
  }
  dispatch_products(task, [&](const auto& products) { products.run_all(std::move(items)); });
}

void gather_qmm_kernel(const Task& task) {
  size_t n_in = task.in.size();
  const array &x = task.in[0], &w = task.in[1], &scales = task.in[2], &biases = task.in[n_in - 3], &lhs = task.in[n_in - 2],
              &rhs = task.in[n_in - 1], &out = task.out[0];
  Shape batch(x.shape().begin(), x.shape().end() - 3);
  Strides strides[] = {front(x, 3), front(w, 3), front(scales, 3), front(biases, 3), front(lhs, 1), front(rhs, 1), front(out, 3)};
  Layout layout = collapse(batch, {&strides[0], &strides[1], &strides[2], &strides[3], &strides[4], &strides[5], &strides[6]});
  int64_t n_pairs = lhs.shape(-1), lhs_stride = lhs.strides().back(), rhs_stride = rhs.strides().back();
  auto step = [](const array& a) { return a.strides().end()[-3]; };
  std::vector<Item> items;
  for (Walk at(layout); at.index < layout.size; at.advance(1)) {
    const int64_t *left = lhs.data<int64_t>() + at.offset(4), *right = rhs.data<int64_t>() + at.offset(5);
    for (int64_t i = 0; i < n_pairs; ++i) {
      int64_t a = checked_index(left[i * lhs_stride], x.shape(-3), "lhs_indices");
      int64_t b = checked_index(right[i * rhs_stride], w.shape(-3), "rhs_indices");
      items.push_back({at.offset(0) + a * step(x), at.offset(1) + b * step(w), at.offset(2) + b * step(scales), at.offset(3) + b * step(biases),
                       at.offset(6) + i * step(out)});
    }
  }
  dispatch_products(task, [&](const auto& products) { products.run_all(std::move(items)); });
}

}  // namespace mx::cpu
