// reduce.cpp — kernels of sum, prod, max, min, all and any, for any axes and strides.
//
// A Reducer reads the input in contiguous pieces (gathered and converted where it must), combines them with the
// loops of reduce_loops.h, and adds partial results pairwise (Cascade). Work is cut by sizes alone, so results
// are the same for any number of threads. Start at Reducer::run(). argmax and argmin are in reduce_arg.cpp.

#include "backend/cpu/reduce.h"

#include <bit>
#include <cstring>

#include "backend/cpu/copy.h"
#include "backend/cpu/loops.h"
#include "backend/cpu/pool.h"
#include "backend/cpu/reduce_loops.h"
#include "backend/cpu/reduce_plan.h"
#include "backend/cpu/scratch.h"
#include "ops/reduce_params.h"

namespace mx::cpu {

namespace {

constexpr int64_t kRows = 64;         ///< Rows combined one after another, before pairwise addition takes over.
constexpr int64_t kColumns = 1024;    ///< Columns combined at a time.
constexpr int64_t kGatheredRows = 8;  ///< Rows gathered at a time where they cannot be read in place.

/// Combines n results at a time pairwise: block 1 with 2, 3 with 4, then those two, ...
class Cascade {
 public:
  Cascade(const ReduceLoops& loops, int64_t n, int64_t n_blocks)
      : loops_(loops), n_(n), slot_bytes_(static_cast<size_t>(n) * loops.size),
        memory_(slot_bytes_ * (static_cast<size_t>(std::bit_width(static_cast<uint64_t>(n_blocks))) + 1)) {}
  /// Where the next block's results go.
  void* next() { return slot(depth_); }
  /// Takes them.
  void take() {
    ++depth_;
    for (int64_t b = ++n_blocks_; b % 2 == 0; b /= 2) join();
  }
  void finish(void* out) {
    while (depth_ > 1) join();
    std::memcpy(out, slot(0), slot_bytes_);
  }

 private:
  std::byte* slot(size_t k) { return memory_.as<std::byte>() + k * slot_bytes_; }
  void join() {
    --depth_;
    loops_.column(slot(depth_), 0, 1, n_, slot(depth_ - 1));
  }

  const ReduceLoops& loops_;
  int64_t n_;
  size_t slot_bytes_;
  Scratch memory_;
  size_t depth_ = 0;
  int64_t n_blocks_ = 0;
};

class Reducer {
 public:
  /// `work`: the dtype in which elements are combined; `stored` that of the result.
  Reducer(const array& in, const Axes& axes, array& out, Reduction op, Dtype work)
      : in_(in), out_(out), work_(work), loops_(reduce_loops(op, work)),
        load_(in.dtype() == work ? nullptr : find_cast(in.dtype(), work)), in_size_(static_cast<int64_t>(in.itemsize())),
        plan_(plan_reduction(in.shape(), axes, in.strides(), reduced_strides(in.shape(), axes), true)),
        along_(plan_.along.size), any_grouping_(op == Reduction::max || op == Reduction::min || !is_inexact(work)) {}

  void run() {
    if (out_.size() == 0) return;
    bool in_place = out_.dtype() == work_ && (plan_.kept.contiguous(1) || plan_.kept.size == 1);
    if (in_place) {
      reduce_to(out_.bytes());
      return;
    }
    int64_t n = plan_.kept.size;
    bool converts = out_.dtype() != work_;
    Scratch results(static_cast<size_t>(n) * loops_.size), converted(converts ? static_cast<size_t>(n) * out_.itemsize() : 0);
    reduce_to(results.as<std::byte>());
    const void* from = results.as<void>();
    if (converts) {
      find_cast(work_, out_.dtype())(&from, converted.as<void>(), n);
      from = converted.as<void>();
    }
    copy_strided(from, row_strides(plan_.kept.shape), out_.bytes(), plan_.kept.strides[1], plan_.kept.shape, out_.itemsize());
  }

 private:
  /// One result for each kept element, in the order of plan_.kept.
  void reduce_to(std::byte* results) {
    int64_t n = plan_.kept.size;
    if (along_ == 0) {
      loops_.identity(results, n);
      return;
    }
    int64_t width = plan_.by_columns ? std::min(plan_.kept.inner(), kColumns) : 1;
    int64_t chunk = along_;
    if (along_ > 2 * kChunk / width) {
      int64_t multiple = plan_.by_columns ? kRows : kPiece;
      chunk = std::max((kChunk / width) / multiple, int64_t(1)) * multiple;
    }
    int64_t n_chunks = (along_ - 1) / chunk + 1;
    if (n_chunks == 1) {
      reduce_chunks(results, 1, chunk);
      return;
    }
    Scratch partial(static_cast<size_t>(n * n_chunks) * loops_.size);
    reduce_chunks(partial.as<std::byte>(), n_chunks, chunk);
    parallel_for(n, std::max<int64_t>(1, kChunk / n_chunks), [&](int64_t begin, int64_t end) {
      for (int64_t j = begin; j < end;) {
        int64_t w = std::min(end - j, kColumns);
        combine_rows(partial.as<std::byte>() + j * size(), n, n_chunks, w, results + j * size());
        j += w;
      }
    });
  }

  int64_t size() const { return static_cast<int64_t>(loops_.size); }

  /// Results of each chunk of the elements along the axes: (n_chunks, kept).
  void reduce_chunks(std::byte* results, int64_t n_chunks, int64_t chunk) {
    if (plan_.by_columns) {
      chunks_by_columns(results, n_chunks, chunk);
    } else {
      chunks_by_rows(results, n_chunks, chunk);
    }
  }

  void chunks_by_rows(std::byte* results, int64_t n_chunks, int64_t chunk) {
    int64_t n = plan_.kept.size, grain = std::max<int64_t>(1, kChunk / 2 / chunk);
    parallel_for(n * n_chunks, grain, [&](int64_t begin, int64_t end) {
      for (int64_t u = begin; u < end;) {
        int64_t c = u / n, first = c * chunk, last = std::min(along_, first + chunk);
        for (Walk w(plan_.kept, u % n); u < end && w.index < n;) {
          int64_t run = std::min({w.run(), end - u, n - w.index});
          const std::byte* base = in_.bytes() + w.offset(0) * in_size_;
          for (int64_t j = 0; j < run; ++j) {
            row(base + j * plan_.kept.inner_stride(0) * in_size_, first, last, results + (u + j) * size());
          }
          u += run;
          w.advance(run);
        }
      }
    });
  }

  /// *acc = the elements [begin, end) along the axes, combined.
  void row(const std::byte* base, int64_t begin, int64_t end, void* acc) {
    alignas(64) std::byte gathered[kPiece * 8], converted[kPiece * 8];
    auto piece = [&](int64_t at, int64_t n) -> const void* {
      const void* x = read(base, at, n, gathered);
      if (!load_) return x;
      load_(&x, converted, n);
      return converted;
    };
    // Where the order does not matter pieces need not be short.
    if (end - begin <= kPiece || (any_grouping_ && !load_ && plan_.along.contiguous(0))) {
      loops_.row(piece(begin, end - begin), end - begin, acc);
      return;
    }
    Cascade sums(loops_, 1, end - begin);
    while (begin < end) {
      int64_t n = std::min(kPiece, end - begin);
      // Stops where a long contiguous run does, rather than gather across it.
      int64_t inner = plan_.along.inner(), left = inner - begin % inner;
      if (left >= kPiece / 4) n = std::min(n, left);
      loops_.row(piece(begin, n), n, sums.next());
      sums.take();
      begin += n;
    }
    sums.finish(acc);
  }

  /// Elements [at, at + n) along the axes from `base`, in place if they are contiguous.
  const void* read(const std::byte* base, int64_t at, int64_t n, std::byte* gathered) {
    if (plan_.along.contiguous(0)) return base + at * in_size_;
    Walk w(plan_.along, at);
    if (plan_.along.inner_stride(0) == 1 && w.run() >= n) return base + w.offset(0) * in_size_;
    for (int64_t done = 0; done < n;) {
      int64_t run = std::min(w.run(), n - done);
      gather(base + w.offset(0) * in_size_, plan_.along.inner_stride(0), run, gathered + done * in_size_);
      w.advance(run);
      done += run;
    }
    return gathered;
  }

  void gather(const std::byte* from, int64_t stride, int64_t n, std::byte* to) const {
    dispatch_bits(in_.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      gather_run(reinterpret_cast<const T*>(from), stride, n, reinterpret_cast<T*>(to));
    });
  }

  void chunks_by_columns(std::byte* results, int64_t n_chunks, int64_t chunk) {
    int64_t inner = plan_.kept.inner(), outer = plan_.kept.size / inner;
    int64_t width = std::min(inner, kColumns), n_blocks = (inner - 1) / width + 1;
    int64_t grain = std::max<int64_t>(1, kChunk / 2 / (chunk * width));
    parallel_for(outer * n_blocks * n_chunks, grain, [&](int64_t begin, int64_t end) {
      for (int64_t u = begin; u < end; ++u) {
        int64_t block = u % n_blocks, o = u / n_blocks % outer, c = u / n_blocks / outer;
        int64_t j = block * width, first = c * chunk;
        Walk w(plan_.kept, o * inner + j);
        columns(in_.bytes() + w.offset(0) * in_size_, first, std::min(along_, first + chunk), std::min(width, inner - j),
                results + (c * plan_.kept.size + o * inner + j) * size());
      }
    });
  }

  /// acc[j] = rows [begin, end) of column j combined, for j < n.
  void columns(const std::byte* base, int64_t begin, int64_t end, int64_t n, std::byte* acc) {
    const Layout& along = plan_.along;
    int64_t across = plan_.kept.inner_stride(0), rows = end - begin;
    bool whole = across == 1 && along.shape.size() == 1 && along.inner_stride(0) == n;
    if (whole && n < 64 && rows * n >= 1024) {
      // Narrow rows without gaps: many of them make one wide row, whose parts are combined at the end.
      int64_t fold = static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(512 / n)));
      int64_t wide = fold * n, n_wide = rows / fold;
      Scratch lanes(static_cast<size_t>(wide * size()));
      std::byte* y = lanes.as<std::byte>();
      const std::byte* x = base + begin * n * in_size_;
      strided_columns(x, wide, n_wide, 1, wide, y);
      for (int64_t half = fold / 2; half > 0; half /= 2) loops_.column(y + half * n * size(), 0, 1, half * n, y);
      if (int64_t left = rows - n_wide * fold) {
        Scratch rest(static_cast<size_t>(n * size()));
        strided_columns(x + n_wide * wide * in_size_, n, left, 1, n, rest.as<std::byte>());
        loops_.column(rest.as<void>(), 0, 1, n, y);
      }
      std::memcpy(acc, y, static_cast<size_t>(n * size()));
      return;
    }
    if (along.shape.size() == 1) {
      strided_columns(base + begin * along.inner_stride(0) * in_size_, along.inner_stride(0), rows, across, n, acc);
      return;
    }
    Cascade sums(loops_, n, rows);
    for (Walk w(along, begin); w.index < end;) {
      int64_t run = std::min({w.run(), end - w.index, kRows});
      loops_.identity(sums.next(), n);
      add_rows(base + w.offset(0) * in_size_, along.inner_stride(0), run, across, n, sums.next());
      sums.take();
      w.advance(run);
    }
    sums.finish(acc);
  }

  /// The same for rows that lie `stride` apart; elements of a row lie `across` apart.
  void strided_columns(const std::byte* x, int64_t stride, int64_t rows, int64_t across, int64_t n, std::byte* acc) {
    if (rows <= kRows) {
      loops_.identity(acc, n);
      add_rows(x, stride, rows, across, n, acc);
      return;
    }
    Cascade sums(loops_, n, (rows - 1) / kRows + 1);
    for (int64_t r = 0; r < rows; r += kRows) {
      loops_.identity(sums.next(), n);
      add_rows(x + r * stride * in_size_, stride, std::min(kRows, rows - r), across, n, sums.next());
      sums.take();
    }
    sums.finish(acc);
  }

  void add_rows(const std::byte* x, int64_t stride, int64_t rows, int64_t across, int64_t n, void* acc) {
    if (across == 1 && !load_) {
      loops_.column(x, stride, rows, n, acc);
      return;
    }
    Scratch gathered(static_cast<size_t>(kGatheredRows * n * in_size_)), converted(load_ ? static_cast<size_t>(kGatheredRows * n * size()) : 0);
    for (int64_t r = 0; r < rows; r += kGatheredRows) {
      int64_t g = std::min(kGatheredRows, rows - r);
      for (int64_t k = 0; k < g; ++k) {
        gather(x + (r + k) * stride * in_size_, across, n, gathered.as<std::byte>() + k * n * in_size_);
      }
      const void* y = gathered.as<void>();
      if (load_) {
        load_(&y, converted.as<void>(), g * n);
        y = converted.as<void>();
      }
      loops_.column(y, n, g, n, acc);
    }
  }

  /// Results of n_chunks rows of partial results that lie `stride` apart.
  void combine_rows(const std::byte* x, int64_t stride, int64_t n_chunks, int64_t n, std::byte* out) {
    Cascade sums(loops_, n, (n_chunks - 1) / kRows + 1);
    for (int64_t r = 0; r < n_chunks; r += kRows) {
      loops_.identity(sums.next(), n);
      loops_.column(x + r * stride * size(), stride, std::min(kRows, n_chunks - r), n, sums.next());
      sums.take();
    }
    sums.finish(out);
  }

  const array& in_;
  array& out_;
  Dtype work_;
  const ReduceLoops& loops_;
  Loop load_;  ///< Converts elements to `work`; null if they are.
  int64_t in_size_;
  AxesLayout plan_;
  int64_t along_;  ///< How many elements make one result.
  bool any_grouping_;
};

void reduce(const Task& task, Reduction op, Dtype work) {
  Reducer(task.in[0], task.params.get<ReduceParams>().axes, task.out[0], op, work).run();
}

/// float16 and bfloat16 are combined in float32.
Dtype work_type(Dtype t) { return t == Dtype::float16 || t == Dtype::bfloat16 ? Dtype::float32 : t; }

}  // namespace

void sum_kernel(const Task& task) { reduce(task, Reduction::sum, work_type(task.out[0].dtype())); }
void prod_kernel(const Task& task) { reduce(task, Reduction::prod, work_type(task.out[0].dtype())); }
void max_kernel(const Task& task) { reduce(task, Reduction::max, work_type(task.in[0].dtype())); }
void min_kernel(const Task& task) { reduce(task, Reduction::min, work_type(task.in[0].dtype())); }
void all_kernel(const Task& task) { reduce(task, Reduction::min, Dtype::bool_); }
void any_kernel(const Task& task) { reduce(task, Reduction::max, Dtype::bool_); }

}  // namespace mx::cpu
