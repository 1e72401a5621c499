// crosswise.cpp — see crosswise.h. A block is some rows of the last two dimensions and a piece of each; what lies across is
// transposed into scratch memory, a block at a time or, for neighbouring columns, a row's piece of all of them at once.

#include "backend/cpu/crosswise.h"

#include <algorithm>

#include "backend/cpu/copy_transpose.h"
#include "backend/cpu/pool.h"
#include "backend/cpu/scratch.h"
#include "base/dtype.h"

namespace mx::cpu {

namespace {

constexpr int64_t kFewestElems = 32;         // Of a row: shorter ones are not worth a call each.
constexpr int64_t kBlockBytes = 64 << 10;    // Of what was turned, in a cache.
constexpr int64_t kWidest = 1024;
constexpr size_t kFewestColumns = 4;

template <class F>
void with_bits(int64_t itemsize, F&& f) {
  switch (itemsize) {
    case 1: return f(uint8_t());
    case 2: return f(uint16_t());
    case 4: return f(uint32_t());
    default: return f(uint64_t());
  }
}

}  // namespace

Crosswise::Crosswise(const Shape& shape, std::span<const CrossOperand> operands, size_t n_out, bool scalars)
    : operands_(operands), n_in_(operands.size() - n_out), scalars_(scalars) {
  SmallVector<const Strides*, 16> strides;
  for (const CrossOperand& o : operands) strides.push_back(&o.strides);
  all_ = collapse(shape, std::span<const Strides* const>(strides.begin(), strides.size()));
  size_t d = all_.shape.size();
  cols_ = all_.shape[d - 1];
  rows_ = d > 1 ? all_.shape[d - 2] : 1;
  if (cols_ >= kFewestElems) find_ways();
}

void Crosswise::find_ways() {
  size_t d = all_.shape.size();
  auto stride = [&](size_t k, size_t from_end) { return d >= from_end ? all_.strides[k][d - from_end] : 0; };
  auto constant = [&](size_t k) {
    return scalars_ && std::all_of(all_.strides[k].begin(), all_.strides[k].end(), [](int64_t s) { return s == 0; });
  };
  bool turned = false;
  for (size_t k = 0; k < n_in_; ++k) {
    int64_t s = stride(k, 1);
    bool turns = s != 0 && s != 1 && rows_ >= 4 && stride(k, 2) == 1;
    turned |= turns;
    inputs_.push_back({constant(k) ? Way::scalar : s == 1 ? Way::direct : turns ? Way::turned : Way::gathered});
  }
  find_columns();
  pays_ |= turned;
  if (!pays_) return;
  int64_t widest = 1;
  for (size_t k = 0; k < n_in_; ++k) {
    if (inputs_[k].way == Way::turned) widest = std::max(widest, operands_[k].itemsize);
  }
  // A cache line of the source across.
  high_ = turned ? std::min(rows_, 64 / widest) : 1;
  for (const Columns& c : columns_) {
    for (int i = 0; i < c.n; ++i, room_ += operands_[c.first].itemsize) inputs_[members_[c.begin + static_cast<size_t>(i)]].room = room_;
  }
  for (size_t k = 0; k < n_in_; ++k) {
    Input& x = inputs_[k];
    if (x.way != Way::turned && x.way != Way::gathered) continue;
    x.room = room_;
    room_ += operands_[k].itemsize * (x.way == Way::turned ? high_ : 1);
  }
  wide_ = std::min((cols_ + 63) & ~int64_t(63), std::clamp<int64_t>(kBlockBytes / room_ & ~int64_t(63), 64, kWidest));
  outer_.strides.resize(operands_.size());
  for (size_t i = 0; i + 2 < d; ++i) {
    outer_.shape.push_back(all_.shape[i]);
    outer_.size *= all_.shape[i];
    for (size_t k = 0; k < operands_.size(); ++k) outer_.strides[k].push_back(all_.strides[k][i]);
  }
  if (outer_.shape.empty()) {
    outer_.shape.push_back(1);
    for (size_t k = 0; k < operands_.size(); ++k) outer_.strides[k].push_back(0);
  }
}

// Columns of one matrix that lie side by side, in whatever order they come.
void Crosswise::find_columns() {
  size_t d = all_.shape.size();
  SmallVector<size_t, 8> left;
  for (size_t k = 0; k < n_in_; ++k) {
    if (inputs_[k].way == Way::gathered && all_.strides[k][d - 1] != 0) left.push_back(k);
  }
  std::sort(left.begin(), left.end(), [&](size_t a, size_t b) { return operands_[a].base < operands_[b].base; });
  auto follows = [&](size_t a, size_t b) {
    return operands_[a].itemsize == operands_[b].itemsize && all_.strides[a] == all_.strides[b] && operands_[b].base - operands_[a].base == operands_[a].itemsize;
  };
  for (size_t i = 0, end; i < left.size(); i = end) {
    for (end = i + 1; end < left.size() && follows(left[end - 1], left[end]);) ++end;
    if (end - i < kFewestColumns) continue;
    pays_ = true;
    columns_.push_back({left[i], members_.size(), static_cast<int>(end - i)});
    for (size_t q = i; q < end; ++q) {
      inputs_[left[q]].way = Way::column;
      members_.push_back(left[q]);
    }
  }
}

// `cols` lines of `rows` elements, of which the first ones are at `from` and lie an element apart.
void Crosswise::turn(size_t k, const std::byte* from, int64_t rows, int64_t cols, int64_t step, std::byte* to) const {
  with_bits(operands_[k].itemsize, [&](auto bits) {
    using T = decltype(bits);
    transpose_tile(reinterpret_cast<const T*>(from), step, reinterpret_cast<T*>(to), wide_, rows, cols, false);
  });
}

void Crosswise::run_block(int64_t unit, std::byte* room, std::byte** at, const Body& body) const {
  size_t d = all_.shape.size(), n = operands_.size();
  int64_t across = (cols_ - 1) / wide_ + 1, down = (rows_ - 1) / high_ + 1;
  int64_t col = unit % across * wide_, row = unit / across % down * high_;
  int64_t cols = std::min(wide_, cols_ - col), rows = std::min(high_, rows_ - row);
  Walk outer(outer_, unit / across / down);
  auto stride = [&](size_t k, size_t from_end) { return d >= from_end ? all_.strides[k][d - from_end] : 0; };
  auto first = [&](size_t k, int64_t r) {
    return operands_[k].base + (outer.offset(k) + r * stride(k, 2) + col * stride(k, 1)) * operands_[k].itemsize;
  };
  for (size_t k = 0; k < n_in_; ++k) {
    if (inputs_[k].way == Way::turned) turn(k, first(k, row), cols, rows, stride(k, 1), room + inputs_[k].room * wide_);
  }
  for (int64_t r = row; r < row + rows; ++r) {
    for (const Columns& c : columns_) turn(c.first, first(c.first, r), cols, c.n, stride(c.first, 1), room + inputs_[c.first].room * wide_);
    for (size_t k = 0; k < n; ++k) {
      if (k >= n_in_ || inputs_[k].way == Way::direct) {
        at[k] = first(k, r);
        continue;
      }
      const Input& x = inputs_[k];
      if (x.way == Way::scalar) {
        at[k] = operands_[k].base;
        continue;
      }
      int64_t itemsize = operands_[k].itemsize;
      at[k] = room + x.room * wide_ + (x.way == Way::turned ? (r - row) * wide_ * itemsize : 0);
      if (x.way == Way::gathered) {
        with_bits(itemsize, [&](auto bits) {
          using T = decltype(bits);
          gather_run(reinterpret_cast<const T*>(first(k, r)), stride(k, 1), cols, reinterpret_cast<T*>(at[k]));
        });
      }
    }
    body(reinterpret_cast<const void* const*>(at), reinterpret_cast<void* const*>(at + n_in_), cols);
  }
}

void Crosswise::run(int64_t grain, const Body& body, const std::function<void()>& after) const {
  int64_t units = outer_.size * ((rows_ - 1) / high_ + 1) * ((cols_ - 1) / wide_ + 1);
  parallel_for(units, std::max<int64_t>(1, grain / (high_ * wide_)), [&](int64_t begin, int64_t end) {
    size_t n = operands_.size();
    Scratch memory(static_cast<size_t>(room_ * wide_) + n * sizeof(void*) + 64);
    auto** at = reinterpret_cast<std::byte**>(memory.as<std::byte>() + (room_ * wide_ + 63) / 64 * 64);
    for (int64_t unit = begin; unit < end; ++unit) run_block(unit, memory.as<std::byte>(), at, body);
    if (after) after();
  });
}

}  // namespace mx::cpu
