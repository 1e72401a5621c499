// matmul.cpp — matrix products of arrays: batches, dtypes and addends, around gemm.h.
// Complex products are four real ones on strided views of the parts; integers have a plain loop.
// Start at multiply().

#include "backend/cpu/matmul.h"

#include <algorithm>
#include <optional>

#include "backend/cpu/gemm.h"
#include "backend/cpu/pool.h"
#include "backend/cpu/scratch.h"
#include "backend/cpu/strided.h"
#include "ops/matmul_params.h"

namespace mx::cpu {

namespace {

constexpr double kTaskFlops = 5e5;    // Worth a thread.
constexpr double kSharedFlops = 2e7;  // Worth sharing one product between threads.
constexpr double kProductCost = 5e3;  // What a product costs whatever its size, in flops.

struct Matrix {
  std::byte* data;
  int64_t row, col;
};

// One product of a batch.
struct Item {
  int64_t m, n, k;
  Matrix a, b, c, out;  // c.data is null without an addend; rows of out are contiguous.
  double alpha, beta;
  Epilogue epilogue = {};
};

template <class S>
void run_gemm(const Item& i) {
  gemm(Gemm<S>{.m = i.m,
               .n = i.n,
               .k = i.k,
               .a = reinterpret_cast<const S*>(i.a.data),
               .a_row = i.a.row,
               .a_col = i.a.col,
               .b = reinterpret_cast<const S*>(i.b.data),
               .b_row = i.b.row,
               .b_col = i.b.col,
               .out = reinterpret_cast<S*>(i.out.data),
               .out_row = i.out.row,
               .alpha = static_cast<Accumulator<S>>(i.alpha),
               .beta = static_cast<Accumulator<S>>(i.beta),
               .c = reinterpret_cast<const S*>(i.c.data),
               .c_row = i.c.row,
               .c_col = i.c.col,
               .epilogue = i.epilogue});
}

void run_complex(const Item& item) {
  size_t n = static_cast<size_t>(item.m * item.n);
  Scratch memory(3 * n * sizeof(float));
  float *re = memory.as<float>(), *im = re + n, *cross = im + n;
  Gemm<float> g{.m = item.m, .n = item.n, .k = item.k, .a_row = 2 * item.a.row, .a_col = 2 * item.a.col,
                .b_row = 2 * item.b.row, .b_col = 2 * item.b.col, .out_row = item.n, .c_row = item.n, .c_col = 1};
  const float *a = reinterpret_cast<const float*>(item.a.data), *b = reinterpret_cast<const float*>(item.b.data);
  // out = sign * cross + (part of a) * (part of b)
  auto product = [&](const float* x, const float* y, float* out, float sign) {
    g.a = x;
    g.b = y;
    g.out = out;
    g.c = sign != 0 ? cross : nullptr;
    g.beta = sign;
    gemm(g);
  };
  product(a + 1, b + 1, cross, 0);
  product(a, b, re, -1);
  product(a + 1, b, cross, 0);
  product(a, b + 1, im, 1);
  auto* out = reinterpret_cast<complex64_t*>(item.out.data);
  auto* c = reinterpret_cast<const complex64_t*>(item.c.data);
  float alpha = static_cast<float>(item.alpha), beta = static_cast<float>(item.beta);
  for (int64_t i = 0; i < item.m; ++i) {
    for (int64_t j = 0; j < item.n; ++j) {
      complex64_t x(re[i * item.n + j], im[i * item.n + j]);
      out[i * item.out.row + j] = c ? alpha * x + beta * c[i * item.c.row + j * item.c.col] : alpha * x;
    }
  }
}

// Integers wrap around, so signed and unsigned ones of a size are the same.
template <class T>
void run_integer(const Item& item) {
  const T *a = reinterpret_cast<const T*>(item.a.data), *b = reinterpret_cast<const T*>(item.b.data);
  T* out = reinterpret_cast<T*>(item.out.data);
  int64_t row_work = item.n * std::max<int64_t>(item.k, 1);
  parallel_for(item.m, std::max<int64_t>(1, 20000 / row_work), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      T* to = out + i * item.out.row;
      std::fill(to, to + item.n, T(0));
      for (int64_t p = 0; p < item.k; ++p) {
        uint64_t x = a[i * item.a.row + p * item.a.col];
        const T* row = b + p * item.b.row;
        if (item.b.col == 1) {
          for (int64_t j = 0; j < item.n; ++j) to[j] = static_cast<T>(to[j] + static_cast<T>(x * row[j]));
        } else {
          for (int64_t j = 0; j < item.n; ++j) to[j] = static_cast<T>(to[j] + static_cast<T>(x * row[j * item.b.col]));
        }
      }
    }
  });
}

using RunItem = void (*)(const Item&);

RunItem runner(Dtype t) {
  switch (t) {
    case Dtype::float16: return run_gemm<float16_t>;
    case Dtype::bfloat16: return run_gemm<bfloat16_t>;
    case Dtype::float32: return run_gemm<float>;
    case Dtype::float64: return run_gemm<double>;
    case Dtype::complex64: return run_complex;
    default: return dispatch_bits(t, [](auto tag) -> RunItem { return run_integer<typename decltype(tag)::type>; });
  }
}

Matrix last_two(const array& x) {
  size_t d = x.shape().size();
  return {x.bytes(), x.strides()[d - 2], x.strides()[d - 1]};
}

Strides batch_strides(const array& x) { return {x.strides().begin(), x.strides().end() - 2}; }

enum Operand : size_t { kA, kB, kC, kOut };

}  // namespace

bool matmul_takes_epilogue(Dtype t) { return is_floating(t); }

void multiply(const array& a, const array& b, const array* c, array& out, double alpha, double beta, const Epilogue& epilogue) {
  if (out.size() == 0) return;
  const Shape& shape = out.shape();
  size_t d = shape.size();
  Item first{shape[d - 2], shape[d - 1], a.shape()[d - 1], last_two(a), last_two(b), {}, last_two(out), alpha, beta, epilogue};
  // A size of 1 leaves the stride open; the plain one spares a copy.
  if (first.k == 1) first.a.col = 1;
  if (first.n == 1) first.b.col = 1;
  first.out = {out.bytes(), first.n, 1};
  if (c) first.c = last_two(*c);
  Strides of_a = batch_strides(a), of_b = batch_strides(b), of_c = batch_strides(c ? *c : out), of_out = batch_strides(out);
  Layout batch = collapse(Shape(shape.begin(), shape.end() - 2), {&of_a, &of_b, &of_c, &of_out});

  // With one b for all, the rows of the whole batch are rows of one product.
  if (batch.shape.size() == 1 && batch.strides[kB][0] == 0 && batch.size > 1) {
    int64_t m = first.m, step_a = batch.strides[kA][0], step_c = batch.strides[kC][0];
    bool a_joins = m == 1 || step_a == m * first.a.row;
    bool c_joins = !c || m == 1 || step_c == m * first.c.row;
    if (a_joins && c_joins) {
      if (m == 1) {
        first.a.row = step_a;
        first.c.row = step_c;
      }
      first.m *= batch.size;
      batch = collapse({}, {&of_a, &of_b, &of_c, &of_out});
    }
  }

  RunItem run = runner(out.dtype());
  auto itemsize = static_cast<int64_t>(out.itemsize());
  auto run_range = [&](int64_t begin, int64_t end) {
    for (Walk w(batch, begin); w.index < end; w.advance(1)) {
      Item item = first;
      item.a.data += w.offset(kA) * itemsize;
      item.b.data += w.offset(kB) * itemsize;
      if (c) item.c.data += w.offset(kC) * itemsize;
      item.out.data += w.offset(kOut) * itemsize;
      item.epilogue.first_row += w.index * first.m;
      run(item);
    }
  };
  double flops = 2.0 * static_cast<double>(first.m) * static_cast<double>(first.n) * static_cast<double>(first.k) + kProductCost;
  if (batch.size == 1 || (flops > kSharedFlops && batch.size < 4 * n_threads())) {
    run_range(0, batch.size);
  } else {
    parallel_for(batch.size, std::max<int64_t>(1, static_cast<int64_t>(kTaskFlops / flops)), run_range);
  }
}

void matmul_kernel(const Task& task) { multiply(task.in[0], task.in[1], nullptr, task.out[0], 1, 0); }

void addmm_kernel(const Task& task) {
  const auto& p = task.params.get<AddmmParams>();
  multiply(task.in[0], task.in[1], &task.in[2], task.out[0], p.alpha, p.beta);
}

}  // namespace mx::cpu
