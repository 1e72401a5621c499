// jit.cpp — see jit.h. A generated function takes whole steps, or any number of elements where the processor masks; what
// lies around it is here: last elements, alignment for streaming stores, and reductions, whose operands it writes to a
// buffer in the first cache.

#include "backend/cpu/jit.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "backend/cpu/instructions.h"
#include "backend/cpu/jit_allocate.h"
#include "backend/cpu/jit_lower.h"
#include "backend/cpu/jit_memory.h"
#include "backend/cpu/scratch.h"
#include "backend/cpu/stream.h"

namespace mx::cpu::jit {

namespace {

struct Assembled {
  std::vector<uint8_t> code;
  int lanes = 0;
  bool any_tail = false;
};

Assembled assemble_for(const LoopBody& body, InstructionSet set, bool stream) {
  Assembled a;
  bool avx512 = set == InstructionSet::avx512;
  Features features;
  if (avx512) features = {.bit_masks = true, .scale = true, .wide_integers = true};
  Graph graph(features);
  if (set == InstructionSet::none || !lower(body, graph)) return a;
  for (auto& s : graph.stores) s.stream &= stream;
  a.lanes = (avx512 ? 64 : 32) / (graph.wide() ? 8 : 4);
  auto encoder = avx512 ? make_avx512_encoder(a.lanes) : make_avx2_encoder(a.lanes);
  a.any_tail = encoder->masks_tails();
  a.code = assemble(graph, *encoder);
  return a;
}

/// Code in memory.
struct Native {
  std::unique_ptr<ExecutableCode> memory;
  Function function = nullptr;
  bool take(const Assembled& a) {
    if (!a.code.empty()) memory = ExecutableCode::make(a.code.data(), a.code.size());
    if (!memory) return false;
    function = reinterpret_cast<Function>(reinterpret_cast<uintptr_t>(memory->address()));
    return true;
  }
};

class NativeLoop final : public LoopCode {
 public:
  NativeLoop(const LoopBody& body, Assembled&& regular, const Assembled& streaming)
      : lanes_(regular.lanes), any_tail_(regular.any_tail), ready_(regular_.take(regular)) {
    if (!streaming.code.empty()) ready_ &= streaming_.take(streaming);
    for (const auto& i : body.inputs) inputs_.push_back({mx::size_of(i.dtype), i.scalar});
    for (const auto& o : body.outputs) outputs_.push_back({mx::size_of(dtype_of_value(body, o.value)), o.stream});
    for (size_t k = 0; k < body.reduced.size(); ++k) {
      const auto& r = body.reduced[k];
      reductions_.push_back({&reduce_loops(r.op, held(dtype_of_value(body, r.value))), reduced_from(body, k)});
    }
  }
  bool ready() const { return ready_; }

  void run(const void* const* in, void* const* out, void* const* reduced, int64_t n) const override {
    if (!reductions_.empty()) {
      run_reducing(in, out, reduced, n);
    } else if (streaming_.function) {
      run_streaming(in, out, n);
    } else {
      run_range(regular_.function, in, out, 0, n);
    }
  }

 private:
  static constexpr int64_t kPartials = 64;
  static constexpr size_t kWidest = 64, kWidestElement = 8;

  struct Input {
    size_t size;
    bool scalar;
  };
  struct Output {
    size_t size;
    bool stream;
  };
  struct Reducing {
    const ReduceLoops* loops;
    ReducedFrom from;
  };

  void run_range(Function f, const void* const* in, void* const* out, int64_t begin, int64_t end) const {
    if (any_tail_) {
      f(in, out, begin, end);
      return;
    }
    int64_t whole = begin + (end - begin) / lanes_ * lanes_;
    if (whole > begin) f(in, out, begin, whole);
    if (whole < end) run_last(in, out, whole, end);
  }

  /// Fewer elements than a step has, by way of copies.
  void run_last(const void* const* in, void* const* out, int64_t begin, int64_t end) const {
    size_t n_in = inputs_.size(), n_out = outputs_.size() + reductions_.size(), n = static_cast<size_t>(end - begin);
    Scratch memory((n_in + n_out) * (kWidest + sizeof(void*)));
    auto* elements = memory.as<std::byte>();
    auto** at = reinterpret_cast<void**>(elements + (n_in + n_out) * kWidest);
    for (size_t k = 0; k < n_in; ++k) {
      at[k] = elements + k * kWidest;
      size_t size = inputs_[k].size;
      if (inputs_[k].scalar) {
        std::memcpy(at[k], in[k], size);
      } else {
        std::memset(at[k], 0, kWidest);
        std::memcpy(at[k], static_cast<const std::byte*>(in[k]) + static_cast<size_t>(begin) * size, n * size);
      }
    }
    for (size_t k = 0; k < n_out; ++k) at[n_in + k] = elements + (n_in + k) * kWidest;
    regular_.function(at, at + n_in, 0, lanes_);
    for (size_t k = 0; k < n_out; ++k) {
      if (!out[k]) continue;
      size_t size = k < outputs_.size() ? outputs_[k].size : reductions_[k - outputs_.size()].loops->size;
      std::memcpy(static_cast<std::byte*>(out[k]) + static_cast<size_t>(begin) * size, at[n_in + k], n * size);
    }
  }

  /// Streaming stores want outputs that reach a multiple of 64 bytes together; otherwise they are regular ones.
  void run_streaming(const void* const* in, void* const* out, int64_t n) const {
    int64_t head = -1;
    for (size_t k = 0; k < outputs_.size(); ++k) {
      if (!outputs_[k].stream || outputs_[k].size < 4) continue;
      auto size = static_cast<int64_t>(outputs_[k].size);
      int64_t bytes = -reinterpret_cast<intptr_t>(out[k]) & 63, elements = bytes / size;
      // 4-byte elements beside 8-byte ones come in steps of half the vector's bytes, and then need no more than that.
      if (bytes % size != 0 || (head >= 0 && head != elements)) {
        run_range(regular_.function, in, out, 0, n);
        return;
      }
      head = elements;
    }
    head = std::clamp<int64_t>(head, 0, n);
    if (head > 0) run_range(regular_.function, in, out, 0, head);
    if (head < n) run_range(streaming_.function, in, out, head, n);
    stream_fence();
  }

  /// Pieces of kPiece elements, each reduced by itself; then their results in order, kPartials at a time.
  void run_reducing(const void* const* in, void* const* out, void* const* reduced, int64_t n) const {
    size_t n_reduced = reductions_.size(), n_out = outputs_.size();
    if (n == 0) {
      for (size_t k = 0; k < n_reduced; ++k) reductions_[k].loops->identity(reduced[k], 1);
      return;
    }
    bool many = n > kPiece;
    size_t tile_bytes = static_cast<size_t>(std::min(n, kPiece)) * kWidestElement, partial_bytes = many ? kPartials * kWidestElement : 0;
    Scratch memory(n_reduced * (tile_bytes + partial_bytes) + (n_out + n_reduced) * sizeof(void*));
    auto* tiles = memory.as<std::byte>();
    auto* partials = tiles + n_reduced * tile_bytes;
    auto** at = reinterpret_cast<void**>(partials + n_reduced * partial_bytes);
    std::copy_n(out, n_out, at);
    int64_t m = 0;
    for (int64_t i = 0; i < n; i += kPiece) {
      int64_t end = std::min(n, i + kPiece);
      bool full = m == kPartials;
      // Of an input first: an output may take its memory.
      auto reduce = [&](bool inputs) {
        for (size_t k = 0; k < n_reduced; ++k) {
          const auto& [loops, from] = reductions_[k];
          if ((from.kind == ReducedFrom::input) != inputs) continue;
          const void* whole = from.kind == ReducedFrom::input ? in[from.index] : from.kind == ReducedFrom::output ? out[from.index] : at[n_out + k];
          auto x = reinterpret_cast<const void*>(reinterpret_cast<uintptr_t>(whole) + static_cast<uintptr_t>(i) * loops->size);
          std::byte* mine = partials + k * partial_bytes;
          if (full) {
            uint64_t all;
            loops->row(mine, kPartials, &all);
            std::memcpy(mine, &all, loops->size);
          }
          loops->row(x, end - i, many ? mine + static_cast<size_t>(full ? 1 : m) * loops->size : reduced[k]);
        }
      };
      // The function counts from element 0: a tile begins as far before itself.
      for (size_t k = 0; k < n_reduced; ++k) {
        bool tile = reductions_[k].from.kind == ReducedFrom::tile;
        uintptr_t begin = reinterpret_cast<uintptr_t>(tiles + k * tile_bytes) - static_cast<uintptr_t>(i) * reductions_[k].loops->size;
        at[n_out + k] = tile ? reinterpret_cast<void*>(begin) : nullptr;
      }
      reduce(true);
      run_range(regular_.function, in, at, i, end);
      reduce(false);
      m = full ? 2 : m + 1;
    }
    for (size_t k = 0; k < n_reduced && many; ++k) reductions_[k].loops->row(partials + k * partial_bytes, m, reduced[k]);
  }

  Native regular_, streaming_;
  int lanes_;
  bool any_tail_;
  bool ready_;
  std::vector<Input> inputs_;
  std::vector<Output> outputs_;
  std::vector<Reducing> reductions_;
};

}  // namespace

InstructionSet best_instruction_set() {
#if defined(__x86_64__)
  if (has_avx512() && __builtin_cpu_supports("bmi2")) return InstructionSet::avx512;
  if (has_avx2()) return InstructionSet::avx2;
#endif
  return InstructionSet::none;
}

std::vector<uint8_t> code_bytes(const LoopBody& body, InstructionSet set, bool stream) { return assemble_for(body, set, stream).code; }

std::shared_ptr<const LoopCode> generate_code_for(const LoopBody& body, InstructionSet set) {
  Assembled regular = assemble_for(body, set, false), streaming;
  if (regular.code.empty()) return nullptr;
  bool streams = std::any_of(body.outputs.begin(), body.outputs.end(), [](const auto& o) { return o.stream; });
  if (streams && body.reduced.empty()) streaming = assemble_for(body, set, true);
  auto loop = std::make_shared<NativeLoop>(body, std::move(regular), streaming);
  return loop->ready() ? loop : nullptr;
}

}  // namespace mx::cpu::jit

namespace mx::cpu {

std::shared_ptr<const LoopCode> generate_code(const LoopBody& body) {
  static const bool wanted = [] {
    const char* e = std::getenv("MXFORM_JIT");
    return !e || std::strcmp(e, "0") != 0;
  }();
  static const jit::InstructionSet set = jit::best_instruction_set();
  return wanted && set != jit::InstructionSet::none ? jit::generate_code_for(body, set) : nullptr;
}

}  // namespace mx::cpu
