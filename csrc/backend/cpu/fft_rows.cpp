// fft_rows.cpp — carries out plans: loads blocks of transforms into planes, runs the passes, stores them. The inverse is the
// forward transform with real and imaginary parts exchanged before and after. Start at transform_rows().

#include "backend/cpu/fft_rows.h"

#include <algorithm>
#include <utility>

#include "backend/cpu/clones.h"
#include "backend/cpu/fft_lanes.h"
#include "backend/cpu/pool.h"
#include "backend/cpu/scratch.h"

namespace mx::cpu::fft {

namespace {

constexpr int64_t kShareFrom = 1 << 14;  // A single transform this long is shared among threads.

Planes turned(Planes p, bool inverse) { return inverse ? Planes{p.im, p.re} : p; }

// Memory for one block of transforms of up to `n` elements, and for its passes.
struct Block {
  Block(int64_t n, float* memory) {
    int64_t lanes = lane_kernels().lanes, plane = (n + lanes - 1) / lanes * lanes * lanes;
    x = {memory, memory + plane};
    y = {memory + 2 * plane, memory + 3 * plane};
  }
  static int64_t floats(int64_t n) {
    int64_t lanes = lane_kernels().lanes;
    return 4 * ((n + lanes - 1) / lanes * lanes * lanes);
  }
  Planes x, y;
};

// All passes on block.x; returns where the result is.
Planes run(const Series& series, const Block& block) {
  const LaneKernels& k = lane_kernels();
  Planes x = block.x, y = block.y;
  for (const Series::Stage& stage : series.stages) {
    const float* twiddles = series.table.data() + stage.twiddles;
    PassFn pass = stage.radix <= kMaxRadix ? k.pass[stage.radix] : nullptr;
    if (pass) {
      pass(x, y, twiddles, stage.m, stage.s);
    } else {
      k.odd_pass(x, y, twiddles, stage.m, stage.s, stage.radix, series.table.data() + stage.roots);
    }
    std::swap(x, y);
  }
  return x;
}

// Fewer transforms than lanes: element j of lane l is at 2 (l * lane_step + j * step).
void load_some(const float* src, int64_t lane_step, int64_t step, int64_t count, int64_t n, Planes to) {
  int64_t lanes = lane_kernels().lanes;
  for (int64_t j = 0; j < n; ++j) {
    for (int64_t l = 0; l < lanes; ++l) {
      const float* p = src + 2 * (l * lane_step + j * step);
      to.re[j * lanes + l] = l < count ? p[0] : 0.0f;
      to.im[j * lanes + l] = l < count ? p[1] : 0.0f;
    }
  }
}
void store_some(Planes from, int64_t lane_step, int64_t step, int64_t count, int64_t n, float* dst, float scale) {
  int64_t lanes = lane_kernels().lanes;
  for (int64_t j = 0; j < n; ++j) {
    for (int64_t l = 0; l < count; ++l) {
      float* p = dst + 2 * (l * lane_step + j * step);
      p[0] = from.re[j * lanes + l] * scale;
      p[1] = from.im[j * lanes + l] * scale;
    }
  }
}

void block_of_rows(const Series& series, const float* in, int64_t in_step, float* out, int64_t out_step, int64_t count, bool inverse,
                   float scale, const Block& block) {
  const LaneKernels& k = lane_kernels();
  Planes to = turned(block.x, inverse);
  if (count == k.lanes) {
    k.load_rows(in, in_step, series.n, to);
    k.store_rows(turned(run(series, block), inverse), series.n, out, out_step, scale);
  } else {
    load_some(in, in_step, 1, count, series.n, to);
    store_some(turned(run(series, block), inverse), out_step, 1, count, series.n, out, scale);
  }
}

// ---- one long transform, as n1 x n2

struct Middle {
  Middle(const Plan& p, float* memory) : step(stride(p)), planes{memory, memory + rows(p) * step} {}
  static int64_t floats(const Plan& p) { return 2 * rows(p) * stride(p); }
  int64_t step;
  Planes planes;

 private:
  static int64_t rows(const Plan& p) { return p.first->n; }
  // Not a power of 2, which would put all rows into the same sets of the cache; and whole vectors may be read.
  static int64_t stride(const Plan& p) {
    int64_t lanes = lane_kernels().lanes;
    return (p.second->n + lanes - 1) / lanes * lanes + 16;
  }
};

int64_t split_floats(const Plan& p) {
  int64_t factors = p.twiddles.empty() ? 2 * p.first->n * lane_kernels().lanes : 0;
  return Block::floats(std::max(p.first->n, p.second->n)) + factors;
}

// Blocks [begin, end) of columns of in, seen as (n1, n2): transformed along n1 and multiplied by w^(k1 j2).
void split_columns(const Plan& p, const float* in, const Middle& middle, bool inverse, int64_t begin, int64_t end, float* memory) {
  const LaneKernels& k = lane_kernels();
  int64_t n1 = p.first->n, n2 = p.second->n;
  Block block(n1, memory);
  float* made = memory + Block::floats(std::max(n1, n2));
  for (int64_t b = begin; b < end; ++b) {
    int64_t column = std::min(b * k.lanes, n2 - k.lanes);
    k.load_columns(in + 2 * column, n2, n1, turned(block.x, inverse));
    const float* factors = p.twiddles.data() + b * 2 * n1 * k.lanes;
    if (p.twiddles.empty()) {
      fill_twiddles(p, column, made);
      factors = made;
    }
    Planes to{middle.planes.re + column, middle.planes.im + column};
    k.store_twiddled(run(*p.first, block), n1, factors, to, middle.step);
  }
}

// Blocks of rows: transformed along n2, and stored as columns of out, seen as (n2, n1).
void split_rows(const Plan& p, const Middle& middle, float* out, bool inverse, float scale, int64_t begin, int64_t end, float* memory) {
  const LaneKernels& k = lane_kernels();
  int64_t n1 = p.first->n, n2 = p.second->n;
  Block block(n2, memory);
  for (int64_t b = begin; b < end; ++b) {
    int64_t row = std::min(b * k.lanes, n1 - k.lanes);
    Planes from{middle.planes.re + row * middle.step, middle.planes.im + row * middle.step};
    k.load_turned(from, middle.step, n2, block.x);
    k.store_columns(turned(run(*p.second, block), inverse), n2, out + 2 * row, n1, scale);
  }
}

int64_t blocks(int64_t n) { return (n + lane_kernels().lanes - 1) / lane_kernels().lanes; }

// ---- one transform of any kind; `memory` has floats_for_row() floats

int64_t floats_for_row(const Plan& p) {
  switch (p.kind) {
    case Plan::series: return Block::floats(p.n);
    case Plan::split: return Middle::floats(p) + split_floats(p);
    default: return 2 * p.inner->n + floats_for_row(*p.inner);
  }
}

// dst = a * b, complex; a, b and dst may be the same.
MX_CLONES void multiply(const float* a, const float* b, float* dst, int64_t n, bool conjugate, float scale) {
  float sign = conjugate ? -1.0f : 1.0f;
  MX_INDEPENDENT
  for (int64_t i = 0; i < n; ++i) {
    float re = a[2 * i], im = a[2 * i + 1] * sign, c = b[2 * i], d = b[2 * i + 1];
    dst[2 * i] = (re * c - im * d) * scale;
    dst[2 * i + 1] = (re * d + im * c) * scale;
  }
}

void one_row(const Plan& p, const float* in, float* out, bool inverse, float scale, float* memory);

// The inverse is the conjugate of the transform of the conjugate.
void chirp_row(const Plan& p, const float* in, float* out, bool inverse, float scale, float* memory) {
  float* x = memory;
  float* rest = memory + 2 * p.inner->n;
  multiply(in, p.chirps.data(), x, p.n, inverse, 1);
  std::fill(x + 2 * p.n, x + 2 * p.inner->n, 0.0f);
  one_row(*p.inner, x, x, false, 1, rest);
  multiply(x, p.spectrum.data(), x, p.inner->n, false, 1);
  one_row(*p.inner, x, x, true, 1, rest);
  multiply(x, p.chirps.data(), out, p.n, false, scale);
  if (inverse) {
    for (int64_t i = 0; i < p.n; ++i) out[2 * i + 1] = -out[2 * i + 1];
  }
}

void one_row(const Plan& p, const float* in, float* out, bool inverse, float scale, float* memory) {
  if (p.kind == Plan::series) return block_of_rows(*p.whole, in, 0, out, 0, 1, inverse, scale, Block(p.n, memory));
  if (p.kind == Plan::chirp) return chirp_row(p, in, out, inverse, scale, memory);
  Middle middle(p, memory);
  float* rest = memory + Middle::floats(p);
  if (p.n < kShareFrom) {
    split_columns(p, in, middle, inverse, 0, blocks(p.second->n), rest);
    split_rows(p, middle, out, inverse, scale, 0, blocks(p.first->n), rest);
    return;
  }
  // Pieces on other threads need memory of their own. The last block of columns may write what the one before it
  // writes: they stay together, in the last piece.
  auto shared = [&](int64_t n, int64_t width, auto&& work) {
    int64_t whole = n / lane_kernels().lanes;
    parallel_for(whole, std::max<int64_t>(1, kShareFrom / (4 * width)), [&](int64_t begin, int64_t end) {
      Scratch own(static_cast<size_t>(split_floats(p)) * sizeof(float));
      work(begin, end == whole ? blocks(n) : end, own.as<float>());
    });
  };
  shared(p.second->n, p.first->n * lane_kernels().lanes, [&](int64_t begin, int64_t end, float* own) {
    split_columns(p, in, middle, inverse, begin, end, own);
  });
  shared(p.first->n, p.second->n * lane_kernels().lanes, [&](int64_t begin, int64_t end, float* own) {
    split_rows(p, middle, out, inverse, scale, begin, end, own);
  });
}

}  // namespace

int64_t rows_per_piece(int64_t n) { return std::max<int64_t>(1, 16384 / n); }

void transform_rows(const Plan& plan, const float* in, int64_t in_step, float* out, int64_t out_step, int64_t count, bool inverse, float scale) {
  int64_t lanes = lane_kernels().lanes;
  if (plan.kind == Plan::series) {
    parallel_for((count + lanes - 1) / lanes, std::max<int64_t>(1, rows_per_piece(plan.n) / lanes), [&](int64_t begin, int64_t end) {
      Scratch memory(static_cast<size_t>(Block::floats(plan.n)) * sizeof(float));
      Block block(plan.n, memory.as<float>());
      for (int64_t b = begin; b < end; ++b) {
        int64_t row = b * lanes;
        block_of_rows(*plan.whole, in + 2 * row * in_step, in_step, out + 2 * row * out_step, out_step, std::min(lanes, count - row),
                      inverse, scale, block);
      }
    });
    return;
  }
  auto rows = [&](int64_t begin, int64_t end) {
    Scratch memory(static_cast<size_t>(floats_for_row(plan)) * sizeof(float));
    for (int64_t r = begin; r < end; ++r) one_row(plan, in + 2 * r * in_step, out + 2 * r * out_step, inverse, scale, memory.as<float>());
  };
  if (plan.n >= kShareFrom && count < n_threads()) return rows(0, count);
  parallel_for(count, rows_per_piece(plan.n), rows);
}

void transform_columns(const Plan& plan, const float* in, float* out, int64_t outer, int64_t inner, bool inverse, float scale) {
  const LaneKernels& k = lane_kernels();
  const Series& series = *plan.whole;
  int64_t n = plan.n, per_row = blocks(inner);
  parallel_for(outer * per_row, std::max<int64_t>(1, rows_per_piece(n) / k.lanes), [&](int64_t begin, int64_t end) {
    Scratch memory(static_cast<size_t>(Block::floats(n)) * sizeof(float));
    Block block(n, memory.as<float>());
    Planes to = turned(block.x, inverse);
    for (int64_t b = begin; b < end; ++b) {
      int64_t column = b % per_row * k.lanes, at = 2 * (b / per_row * n * inner + column), count = std::min<int64_t>(k.lanes, inner - column);
      if (count == k.lanes) {
        k.load_columns(in + at, inner, n, to);
        k.store_columns(turned(run(series, block), inverse), n, out + at, inner, scale);
      } else {
        load_some(in + at, 1, inner, count, n, to);
        store_some(turned(run(series, block), inverse), 1, inner, count, n, out + at, scale);
      }
    }
  });
}

}  // namespace mx::cpu::fft
