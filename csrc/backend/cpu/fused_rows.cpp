// fused_rows.cpp — see fused_rows.h. How work is cut depends on sizes alone, so results do not depend on threads:
// rows are independent, pieces of long rows have a fixed size and are combined in order, and so are the columns' partial
// results, which belong to fixed ranges of rows. Start at run_rows().

#include "backend/cpu/fused_rows.h"

#include <algorithm>
#include <optional>

#include "backend/cpu/loops.h"
#include "backend/cpu/pool.h"
#include "backend/cpu/scratch.h"
#include "backend/cpu/stream.h"
#include "backend/cpu/strided.h"

namespace mx::cpu {

namespace {

constexpr int64_t kSpan = 2048;            // Elements that one call of a body reduces.
constexpr int64_t kPieceElems = 8192;      // Of a long row.
constexpr int64_t kMostRows = 256;         // In a block.
constexpr int64_t kBlockBytes = 192 << 10; // Of all arrays' rows in a block.
constexpr int64_t kTinyElems = 1024;       // In a block of short rows.
constexpr int64_t kMostChunks = 64;        // Ranges of rows with column sums of their own.
constexpr int64_t kTinyRow = 32;           // Rows shorter than this are run many at a time.
constexpr int64_t kLongRow = 1 << 18;      // Rows longer than this are cut into pieces,
constexpr int64_t kFewRows = 16;           // and long ones too if there are fewer than this.
constexpr int64_t kSumRows = 64;           // Rows that column sums add one after another.
constexpr double kWorth = 4000;            // Nanoseconds worth a thread.

int64_t up(int64_t n_bytes) { return (n_bytes + 63) & ~int64_t(63); }
int64_t size(Dtype t) { return static_cast<int64_t>(size_of(t)); }

// Where an operand is, for the rows at work.
struct At {
  std::byte* first;
  int64_t step;  // Bytes to the next row.
};

// An input as passes or phases see it.
struct Source {
  std::byte* base = nullptr;
  int64_t itemsize = 0;
  bool by_row = false;      // One element a row: a vector over rows.
  int64_t step = 0;         // Bytes between rows, where they are read in place.
  bool direct = false;
  std::optional<Reader> reader;
  int64_t room = 0;         // In the scratch memory, for what is gathered.
};

class Rows {
 public:
  explicit Rows(const RowCall& c) : c_(c), plan_(c.plan) {
    for (size_t i = 0; i < c.program.inputs.size(); ++i) sources_.push_back(source(i));
    choose_block();
    lay_out();
  }

  void run() {
    if (c_.mode == RowMode::pieces) {
      run_pieces();
    } else if (!plan_.columns.empty()) {
      run_columns();
    } else {
      double row = plan_.cost * static_cast<double>(c_.length) + 4;
      int64_t grain = std::max(block_, (static_cast<int64_t>(kWorth / row) / block_) * block_);
      parallel_for(c_.n_rows, grain, [&](int64_t begin, int64_t end) {
        Scratch memory(static_cast<size_t>(room_));
        for (int64_t r = begin; r < end; r += block_) run_block(memory.as<std::byte>(), r, std::min(block_, end - r), nullptr);
        stream_fence();
      });
    }
  }

 private:
  // ---- preparing

  Source source(size_t i) {
    const array& x = c_.in[i];
    Source s;
    s.base = x.bytes();
    s.itemsize = static_cast<int64_t>(x.itemsize());
    Level declared = c_.program.input_level(i), level = c_.levels[i];
    s.by_row = level == Level::per_row;
    if (level == Level::single) {
      s.direct = true;
      return s;
    }
    if (declared == level && x.row_contiguous() && (c_.mode != RowMode::tiny || level != Level::per_column)) {
      s.direct = true;
      s.step = s.by_row ? s.itemsize : level == Level::full ? c_.length * s.itemsize : 0;
      return s;
    }
    int k = c_.program.row_axes;
    Strides strides = whole_strides(x, declared, c_.whole, k);
    auto first_of_row = static_cast<ptrdiff_t>(c_.whole.size()) - k;
    Shape lead(c_.whole.begin(), c_.whole.begin() + first_of_row), row(c_.whole.begin() + first_of_row, c_.whole.end());
    Strides across(strides.begin(), strides.begin() + first_of_row), along(strides.begin() + first_of_row, strides.end());
    if (s.by_row) {
      s.reader.emplace(s.base, x.itemsize(), lead, across);
      s.direct = s.reader->contiguous();
      s.step = s.itemsize;
    } else {
      Layout rows = collapse(lead, {&across}), within = collapse(row, {&along});
      bool even = rows.shape.size() == 1;
      s.direct = within.contiguous(0) && even;
      s.step = even ? rows.inner_stride(0) * s.itemsize : 0;
      if (c_.mode == RowMode::tiny) s.direct &= s.step == c_.length * s.itemsize || c_.n_rows == 1;
      if (!s.direct) s.reader.emplace(s.base, x.itemsize(), c_.whole, strides), s.step = c_.length * s.itemsize;
    }
    return s;
  }

  void choose_block() {
    if (c_.mode == RowMode::tiny) {
      block_ = std::max<int64_t>(1, kTinyElems / std::max<int64_t>(c_.length, 1));
    } else if (c_.mode == RowMode::blocks) {
      int64_t bytes = 1;
      for (size_t i = 0; i < sources_.size(); ++i) bytes += c_.levels[i] == Level::full ? sources_[i].itemsize : 0;
      for (Dtype t : plan_.kept) bytes += size(t);
      for (const array& out : c_.task.out) bytes += static_cast<int64_t>(out.itemsize());
      block_ = std::clamp<int64_t>(kBlockBytes / (bytes * std::max<int64_t>(c_.length, 1)), 1, kMostRows);
    } else {
      block_ = 1;
    }
  }

  int64_t take(int64_t n_bytes) {
    int64_t at = room_;
    room_ += up(n_bytes);
    return at;
  }

  // Scratch memory of a worker. In pieces mode values per row are of all rows, and shared.
  void lay_out() {
    bool pieces = c_.mode == RowMode::pieces;
    int64_t elements = pieces ? std::min(c_.length, kPieceElems) : block_ * c_.length, rows = pieces ? c_.n_rows : block_;
    lists_ = take(3 * plan_.most_operands * static_cast<int64_t>(sizeof(void*)));
    steps_ = take(3 * plan_.most_operands * static_cast<int64_t>(sizeof(int64_t)));
    found_ = take(static_cast<int64_t>(sources_.size() * sizeof(void*)));
    for (Source& s : sources_) {
      if (!s.direct && !(pieces && s.by_row)) s.room = take((s.by_row ? rows : elements) * s.itemsize);
    }
    if (!pieces) {
      for (const RowPlan::Slot& s : plan_.slots) slot_at_.push_back(s.home >= 0 ? -1 : take(rows * size(s.dtype)));
      for (Dtype t : plan_.kept) kept_at_.push_back(take(elements * size(t)));
    }
    if (c_.mode == RowMode::tiny) {
      repeated_ = room_;
      take(plan_.most_operands * up(elements * 8));
      staged_ = room_;
      take(plan_.most_operands * up(elements * 8));
      tiny_stride_ = up(elements * 8);
    }
  }

  // ---- a block of rows through all passes

  void run_block(std::byte* memory, int64_t r, int64_t m, std::byte* const* columns) const {
    auto** found = reinterpret_cast<std::byte**>(memory + found_);
    for (size_t i = 0; i < sources_.size(); ++i) {
      const Source& s = sources_[i];
      std::byte* room = memory + s.room;
      if (s.direct) {
        found[i] = s.base + r * s.step;
      } else {
        int64_t per_row = s.by_row ? 1 : c_.length;
        found[i] = static_cast<std::byte*>(const_cast<void*>(s.reader->read(r * per_row, m * per_row, static_cast<void*>(room))));
      }
    }
    for (size_t q = 0;; ++q) {
      if (!plan_.phases[q].empty()) run_phase(plan_.phases[q], memory, r, m, found);
      if (q == plan_.passes.size()) break;
      const Pass& pass = plan_.passes[q];
      if (pass.empty()) continue;
      if (c_.mode == RowMode::tiny) {
        run_tiny(pass, memory, r, m, found);
      } else {
        run_pass(pass, memory, r, m, found, columns);
      }
    }
  }

  At slot(uint16_t s, std::byte* memory, int64_t r) const {
    const RowPlan::Slot& slot = plan_.slots[s];
    int64_t itemsize = size(slot.dtype);
    return {slot.home >= 0 ? c_.task.out[static_cast<size_t>(slot.home)].bytes() + r * itemsize : memory + slot_at_[s], itemsize};
  }

  At place(PlanPlace p, std::byte* memory, int64_t r, std::byte* const* found, std::byte* const* columns) const {
    switch (p.kind) {
      case PlanPlace::input: return {found[p.index], sources_[p.index].step};
      case PlanPlace::slot: return slot(p.index, memory, r);
      case PlanPlace::kept: return {memory + kept_at_[p.index], c_.length * size(plan_.kept[p.index])};
      case PlanPlace::column: return {columns[p.index], 0};
      default: {
        array& out = c_.task.out[p.index];
        int64_t step = c_.length * static_cast<int64_t>(out.itemsize());
        return {out.bytes() + r * step, step};
      }
    }
  }

  void run_phase(const Pass& phase, std::byte* memory, int64_t r, int64_t m, std::byte* const* found) const {
    auto** in = reinterpret_cast<const void**>(memory + lists_);
    auto** out = reinterpret_cast<void**>(memory + lists_) + plan_.most_operands;
    for (size_t k = 0; k < phase.in.size(); ++k) in[k] = place(phase.in[k], memory, r, found, nullptr).first;
    for (size_t k = 0; k < phase.out.size(); ++k) {
      PlanPlace p = phase.out[k];
      if (p.kind == PlanPlace::output) {
        array& y = c_.task.out[p.index];
        out[k] = y.bytes() + r * static_cast<int64_t>(y.itemsize());
      } else {
        out[k] = place(p, memory, r, found, nullptr).first;
      }
    }
    phase.code->run(in, out, nullptr, m);
  }

  void run_pass(const Pass& pass, std::byte* memory, int64_t r, int64_t m, std::byte* const* found, std::byte* const* columns) const {
    auto** in = reinterpret_cast<const void**>(memory + lists_);
    auto** out = reinterpret_cast<void**>(memory + lists_) + plan_.most_operands;
    void** reduced = out + plan_.most_operands;
    auto* step = reinterpret_cast<int64_t*>(memory + steps_);
    size_t n_in = pass.in.size(), n_out = pass.out.size(), n_reduced = pass.reduced.size();
    bool whole = n_reduced == 0;
    size_t s = 0;
    for (size_t k = 0; k < n_in; ++k) {
      At at = place(pass.in[k], memory, r, found, columns);
      in[k] = at.first;
      step[s++] = at.step;
      const LoopBody::Input& input = pass.body.inputs[k];
      whole &= input.scalar ? at.step == 0 : at.step == c_.length * size(input.dtype);
    }
    for (size_t k = 0; k < n_out; ++k) {
      At at = place(pass.out[k], memory, r, found, columns);
      out[k] = at.first;
      step[s++] = at.step;
      whole &= at.step != 0;
    }
    for (size_t k = 0; k < n_reduced; ++k) {
      At at = slot(pass.reduced[k], memory, r);
      reduced[k] = at.first;
      step[s++] = at.step;
    }
    if (whole || m == 1) {
      run_row(pass, in, out, reduced, m * c_.length);
      return;
    }
    auto move = [](auto*& p, int64_t n_bytes) { p = const_cast<std::byte*>(static_cast<const std::byte*>(p)) + n_bytes; };
    for (int64_t j = 0; j < m; ++j) {
      run_row(pass, in, out, reduced, c_.length);
      s = 0;
      for (size_t k = 0; k < n_in; ++k) move(in[k], step[s++]);
      for (size_t k = 0; k < n_out; ++k) move(out[k], step[s++]);
      for (size_t k = 0; k < n_reduced; ++k) move(reduced[k], step[s++]);
    }
  }

  // Elements that lie side by side; reductions span by span, so that rounding errors stay those of a tree.
  static void run_row(const Pass& pass, const void* const* in, void* const* out, void* const* reduced, int64_t n) {
    const LoopBody& body = pass.body;
    if (pass.reduced.empty() || n <= kSpan) {
      if (n > 0) {
        pass.code->run(in, out, reduced, n);
      } else {
        for (size_t k = 0; k < body.reduced.size(); ++k) loops(pass, k).identity(reduced[k], 1);
      }
      return;
    }
    size_t n_in = pass.in.size(), n_out = pass.out.size(), n_reduced = pass.reduced.size();
    constexpr int64_t kMost = 16;
    int64_t n_spans = (n - 1) / kSpan + 1;
    alignas(64) std::byte few[8 * kMost * 8];
    void* lists[48];
    size_t n_lists = n_in + n_out + n_reduced;
    bool fits = n_spans <= kMost && n_reduced <= 8 && n_lists <= std::size(lists);
    Scratch more(fits ? 0 : n_reduced * static_cast<size_t>(n_spans) * 8 + n_lists * sizeof(void*));
    std::byte* parts = fits ? few : more.as<std::byte>();
    void** list = fits ? lists : reinterpret_cast<void**>(parts + n_reduced * static_cast<size_t>(n_spans) * 8);
    for (int64_t j = 0; j < n_spans; ++j) {
      size_t s = 0;
      for (size_t k = 0; k < n_in; ++k) {
        const LoopBody::Input& input = body.inputs[k];
        list[s++] = const_cast<std::byte*>(static_cast<const std::byte*>(in[k])) + (input.scalar ? 0 : j * kSpan * size(input.dtype));
      }
      for (size_t k = 0; k < n_out; ++k) list[s++] = static_cast<std::byte*>(out[k]) + j * kSpan * size(dtype(body, body.outputs[k].value));
      for (size_t k = 0; k < n_reduced; ++k) {
        list[s++] = parts + static_cast<int64_t>(k) * n_spans * 8 + j * static_cast<int64_t>(loops(pass, k).size);
      }
      pass.code->run(list, list + n_in, list + n_in + n_out, std::min(kSpan, n - j * kSpan));
    }
    for (size_t k = 0; k < n_reduced; ++k) {
      const ReduceLoops& l = loops(pass, k);
      l.row(parts + static_cast<int64_t>(k) * n_spans * 8, n_spans, reduced[k]);
    }
  }

  static Dtype dtype(const LoopBody& body, size_t value) {
    if (value < body.inputs.size()) return body.inputs[value].dtype;
    value -= body.inputs.size();
    return value < body.constants.size() ? body.constants[value].dtype : body.code[value - body.constants.size()].out;
  }
  static const ReduceLoops& loops(const Pass& pass, size_t k) {
    Dtype t = dtype(pass.body, pass.body.reduced[k].value);
    return reduce_loops(pass.body.reduced[k].op, t == Dtype::float16 || t == Dtype::bfloat16 ? Dtype::float32 : t);
  }

  // ---- short rows: values per row repeated, reductions made from what the pass wrote

  void run_tiny(const Pass& pass, std::byte* memory, int64_t r, int64_t m, std::byte* const* found) const {
    auto** in = reinterpret_cast<const void**>(memory + lists_);
    auto** out = reinterpret_cast<void**>(memory + lists_) + plan_.most_operands;
    for (size_t k = 0; k < pass.in.size(); ++k) {
      PlanPlace p = pass.in[k];
      At at = place(p, memory, r, found, nullptr);
      in[k] = at.first;
      bool by_row = p.kind == PlanPlace::slot || (p.kind == PlanPlace::input && sources_[p.index].by_row);
      if (!by_row) continue;
      std::byte* room = memory + repeated_ + static_cast<int64_t>(k) * tiny_stride_;
      repeat(pass.body.inputs[k].dtype, at.first, m, room);
      in[k] = room;
    }
    for (size_t k = 0; k < pass.out.size(); ++k) {
      PlanPlace p = pass.out[k];
      out[k] = p.kind == PlanPlace::staged ? memory + staged_ + p.index * tiny_stride_ : place(p, memory, r, found, nullptr).first;
    }
    if (c_.length > 0) pass.code->run(in, out, nullptr, m * c_.length);
    for (size_t k = 0; k < pass.reduced.size(); ++k) {
      const Pass::Staged& staged = pass.staged[k];
      const ReduceLoops& loops = reduce_loops(staged.op, staged.dtype);
      At to = slot(pass.reduced[k], memory, r);
      const std::byte* from = memory + staged_ + static_cast<int64_t>(k) * tiny_stride_;
      reduce_short(loops, staged.dtype, from, m, to.first);
    }
  }

  // Rows side by side: the first elements of all of them, then the second ones, ...
  void reduce_short(const ReduceLoops& loops, Dtype t, const std::byte* from, int64_t m, std::byte* to) const {
    loops.identity(to, m);
    alignas(64) std::byte across[kTinyElems * 8];
    dispatch_bits(t, [&](auto tag) {
      using T = typename decltype(tag)::type;
      const T* x = reinterpret_cast<const T*>(from);
      T* y = reinterpret_cast<T*>(across);
      for (int64_t i = 0; i < c_.length; ++i) {
        for (int64_t j = 0; j < m; ++j) y[j] = x[j * c_.length + i];
        loops.column(y, 0, 1, m, to);
      }
    });
  }

  void repeat(Dtype t, const std::byte* from, int64_t m, std::byte* to) const {
    dispatch_bits(t, [&](auto tag) {
      using T = typename decltype(tag)::type;
      const T* x = reinterpret_cast<const T*>(from);
      T* y = reinterpret_cast<T*>(to);
      for (int64_t j = 0; j < m; ++j, y += c_.length) std::fill_n(y, c_.length, x[j]);
    });
  }

  // ---- column reductions: ranges of rows have results of their own, which are combined in order

  void run_columns() {
    int64_t n = c_.length, per_chunk = std::max<int64_t>({block_, 8192 / std::max<int64_t>(n, 1), (c_.n_rows - 1) / kMostChunks + 1});
    int64_t n_chunks = c_.n_rows == 0 ? 0 : (c_.n_rows - 1) / per_chunk + 1;
    size_t n_columns = plan_.columns.size();
    std::vector<int64_t> first(n_columns);
    int64_t bytes = 0;
    for (size_t k = 0; k < n_columns; ++k) {
      first[k] = bytes;
      bytes += std::max<int64_t>(n_chunks, 1) * up(n * size(plan_.columns[k].work));
    }
    Scratch partials(static_cast<size_t>(bytes));
    auto of = [&](size_t k, int64_t chunk) { return partials.as<std::byte>() + first[k] + chunk * up(n * size(plan_.columns[k].work)); };
    auto column_loops = [&](size_t k) -> const ReduceLoops& { return reduce_loops(plan_.columns[k].op, plan_.columns[k].work); };
    // Some rows are added one after another, then what they gave: errors grow with both numbers, not with their product.
    int64_t per_sum = std::max(block_, kSumRows / block_ * block_);
    parallel_for(n_chunks, 1, [&](int64_t begin, int64_t end) {
      Scratch memory(static_cast<size_t>(room_ + up(n * 8) * static_cast<int64_t>(n_columns)));
      std::vector<std::byte*> columns(n_columns);
      for (size_t k = 0; k < n_columns; ++k) columns[k] = memory.as<std::byte>() + room_ + static_cast<int64_t>(k) * up(n * 8);
      for (int64_t chunk = begin; chunk < end; ++chunk) {
        for (size_t k = 0; k < n_columns; ++k) column_loops(k).identity(of(k, chunk), n);
        int64_t last = std::min(c_.n_rows, (chunk + 1) * per_chunk);
        for (int64_t first_row = chunk * per_chunk; first_row < last; first_row += per_sum) {
          int64_t until = std::min(last, first_row + per_sum);
          for (size_t k = 0; k < n_columns; ++k) column_loops(k).identity(columns[k], n);
          for (int64_t r = first_row; r < until; r += block_) run_block(memory.as<std::byte>(), r, std::min(block_, until - r), columns.data());
          for (size_t k = 0; k < n_columns; ++k) column_loops(k).column(columns[k], 0, 1, n, of(k, chunk));
        }
      }
      stream_fence();
    });
    for (size_t k = 0; k < n_columns; ++k) {
      const RowPlan::Column& column = plan_.columns[k];
      const ReduceLoops& loops = column_loops(k);
      array& out = c_.task.out[column.output];
      bool direct = out.dtype() == column.work;
      Scratch sums(direct ? 0 : static_cast<size_t>(n * size(column.work)));
      std::byte* to = direct ? out.bytes() : sums.as<std::byte>();
      parallel_for(n, 8192, [&](int64_t begin, int64_t end) {
        std::byte* y = to + begin * size(column.work);
        loops.identity(y, end - begin);
        if (n_chunks > 0) loops.column(of(k, 0) + begin * size(column.work), up(n * size(column.work)) / size(column.work), n_chunks, end - begin, y);
      });
      const void* from = to;
      if (!direct) find_cast(column.work, out.dtype())(&from, out.bytes(), n);
    }
  }

  // ---- long rows: pass by pass, in pieces

  void run_pieces() {
    int64_t n = c_.length, n_pieces = (n - 1) / kPieceElems + 1, n_units = c_.n_rows * n_pieces;
    int64_t shared = 0;
    for (const RowPlan::Slot& s : plan_.slots) {
      slot_at_.push_back(s.home >= 0 ? -1 : shared);
      if (s.home < 0) shared += up(c_.n_rows * size(s.dtype));
    }
    for (Source& s : sources_) {
      if (s.by_row && !s.direct) s.room = shared, shared += up(c_.n_rows * s.itemsize);
    }
    int64_t lists = shared;
    shared += room_;
    size_t most = 0;
    for (const Pass& pass : plan_.passes) most = std::max(most, pass.reduced.size());
    int64_t parts = shared;
    shared += static_cast<int64_t>(most) * n_units * 8;
    Scratch memory(static_cast<size_t>(shared));
    std::byte* slots = memory.as<std::byte>();
    std::vector<std::byte*> by_row(sources_.size());
    for (size_t i = 0; i < sources_.size(); ++i) {
      const Source& s = sources_[i];
      by_row[i] = s.base;
      if (s.by_row && !s.direct) by_row[i] = static_cast<std::byte*>(const_cast<void*>(s.reader->read(0, c_.n_rows, static_cast<void*>(slots + s.room))));
    }
    for (size_t q = 0;; ++q) {
      if (!plan_.phases[q].empty()) run_phase_of_all(plan_.phases[q], slots, slots + lists, by_row.data());
      if (q == plan_.passes.size()) break;
      const Pass& pass = plan_.passes[q];
      if (pass.empty()) continue;
      std::byte* partials = slots + parts;
      double cost = (plan_.cost + 0.05) * static_cast<double>(std::min(n, kPieceElems));
      parallel_for(n_units, std::max<int64_t>(1, static_cast<int64_t>(kWorth / cost)), [&](int64_t begin, int64_t end) {
        Scratch own(static_cast<size_t>(room_));
        for (int64_t u = begin; u < end; ++u) run_piece(pass, own.as<std::byte>(), slots, by_row.data(), u / n_pieces, u % n_pieces, partials, n_units, u);
        stream_fence();
      });
      for (size_t k = 0; k < pass.reduced.size(); ++k) {
        const ReduceLoops& l = loops(pass, k);
        auto itemsize = static_cast<int64_t>(l.size);
        At to = slot(pass.reduced[k], slots, 0);
        for (int64_t r = 0; r < c_.n_rows; ++r) {
          l.row(partials + (static_cast<int64_t>(k) * n_units * 8) + r * n_pieces * itemsize, n_pieces, to.first + r * to.step);
        }
      }
    }
  }

  void run_phase_of_all(const Pass& phase, std::byte* slots, std::byte* lists, std::byte* const* by_row) const {
    auto** in = reinterpret_cast<const void**>(lists);
    auto** out = reinterpret_cast<void**>(lists) + plan_.most_operands;
    for (size_t k = 0; k < phase.in.size(); ++k) {
      PlanPlace p = phase.in[k];
      in[k] = p.kind == PlanPlace::input ? by_row[p.index] : slot(p.index, slots, 0).first;
    }
    for (size_t k = 0; k < phase.out.size(); ++k) {
      PlanPlace p = phase.out[k];
      out[k] = p.kind == PlanPlace::output ? c_.task.out[p.index].bytes() : slot(p.index, slots, 0).first;
    }
    phase.code->run(in, out, nullptr, c_.n_rows);
  }

  void run_piece(const Pass& pass, std::byte* memory, std::byte* slots, std::byte* const* by_row, int64_t r, int64_t piece, std::byte* partials,
                 int64_t n_units, int64_t unit) const {
    int64_t first = piece * kPieceElems, n = std::min(kPieceElems, c_.length - first);
    auto** in = reinterpret_cast<const void**>(memory + lists_);
    auto** out = reinterpret_cast<void**>(memory + lists_) + plan_.most_operands;
    void** reduced = out + plan_.most_operands;
    for (size_t k = 0; k < pass.in.size(); ++k) {
      PlanPlace p = pass.in[k];
      if (p.kind == PlanPlace::slot) {
        At at = slot(p.index, slots, 0);
        in[k] = at.first + r * at.step;
        continue;
      }
      const Source& s = sources_[p.index];
      if (s.by_row) {
        in[k] = by_row[p.index] + r * s.itemsize;
      } else if (pass.body.inputs[k].scalar) {
        in[k] = s.base;
      } else if (s.direct) {
        in[k] = s.base + r * s.step + first * s.itemsize;
      } else {
        in[k] = s.reader->read(r * c_.length + first, n, static_cast<void*>(memory + s.room));
      }
    }
    for (size_t k = 0; k < pass.out.size(); ++k) {
      array& y = c_.task.out[pass.out[k].index];
      out[k] = y.bytes() + (r * c_.length + first) * static_cast<int64_t>(y.itemsize());
    }
    for (size_t k = 0; k < pass.reduced.size(); ++k) {
      reduced[k] = partials + static_cast<int64_t>(k) * n_units * 8 + unit * static_cast<int64_t>(loops(pass, k).size);
    }
    run_row(pass, in, out, reduced, n);
  }

  const RowCall& c_;
  const RowPlan& plan_;
  SmallVector<Source, 6> sources_;
  SmallVector<int64_t, 8> slot_at_, kept_at_;
  int64_t block_ = 1, room_ = 0;
  int64_t lists_ = 0, steps_ = 0, found_ = 0;  // In a worker's memory.
  int64_t repeated_ = 0, staged_ = 0, tiny_stride_ = 0;
};

}  // namespace

Strides whole_strides(const array& x, Level declared, const Shape& whole, int row_axes) {
  if (declared == Level::full) return x.strides();
  Strides strides(whole.size(), 0);
  if (declared == Level::single) return strides;
  size_t n = whole.size(), k = static_cast<size_t>(row_axes), have = x.strides().size();
  size_t first = declared == Level::per_row ? 0 : n - k, end = declared == Level::per_row ? n - k : n;
  // Either all axes are there, or those of the level alone.
  size_t skipped = have == n ? 0 : first;
  if (have != n && declared == Level::per_column) skipped = n - have;
  for (size_t i = first; i < end; ++i) strides[i] = x.strides()[i - skipped];
  return strides;
}

RowMode choose_mode(const Program& program, int64_t n_rows, int64_t length) {
  bool columns = std::any_of(program.code.begin(), program.code.end(), [](const Instr& i) { return i.columns; });
  if (columns) return RowMode::blocks;
  if (length < kTinyRow) return RowMode::tiny;
  return length > kLongRow || (n_rows < kFewRows && length > kPieceElems) ? RowMode::pieces : RowMode::blocks;
}

void run_rows(const RowCall& call) { Rows(call).run(); }

}  // namespace mx::cpu
