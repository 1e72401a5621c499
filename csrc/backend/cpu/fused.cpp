// fused.cpp — the tile interpreter. A program is first turned into a list of operations on numbered places
// (input memory, output memory, constants, tile buffers shared by liveness); then every tile of the arrays
// runs through that list while its values are in the first cache. float16 and bfloat16 values are kept as float32
// and rounded after every instruction, which gives the bits that separate kernels give. Start at fused_kernel().

#include "backend/cpu/fused.h"

#include <algorithm>
#include <limits>

#include "backend/cpu/loops.h"
#include "backend/cpu/pool.h"
#include "backend/cpu/scratch.h"
#include "backend/cpu/stream.h"
#include "backend/cpu/strided.h"
#include "compile/program.h"

namespace mx::cpu {

namespace {

bool is_half(Dtype t) { return t == Dtype::float16 || t == Dtype::bfloat16; }
// The dtype in which a tile buffer holds values of dtype t.
Dtype held(Dtype t) { return is_half(t) ? Dtype::float32 : t; }

constexpr size_t kNever = std::numeric_limits<size_t>::max();
constexpr int kNone = -1;

// Where a tile of some value is. Memory moves on with the tiles, buffers and constants stay.
struct Place {
  std::byte* memory = nullptr;  // First element; null for a buffer.
  int64_t itemsize = 0;
  int buffer = kNone;
  bool constant = false;        // A buffer filled before the first tile.
};

struct Operation {
  Loop loop = nullptr;          // Null: `reader` brings a tile of an input to `out`, or in[0] is streamed there.
  const Reader* reader = nullptr;
  int in[3] = {kNone, kNone, kNone};
  int out = kNone;
};

class Plan {
 public:
  explicit Plan(const Task& task) : task_(task), program_(*task.params.get<FusedParams>().program) {
    size_t n_in = program_.inputs.size();
    readers_.reserve(n_in);
    for (size_t i = 0; i < n_in; ++i) readers_.emplace_back(task.in[i]);
    place_of_.assign(program_.n_values(), kNone);
    find_last_uses();
    for (size_t c = 0; c < program_.constants.size(); ++c) add_constant(n_in + c, &program_.constants[c].bits);
    for (size_t i = 0; i < program_.code.size(); ++i) add_instruction(i);
    // Outputs that are not where they belong: inputs, constants, repeats, half types, and those that had to wait.
    for (size_t k = 0; k < program_.outputs.size(); ++k) {
      if (!written_[k]) write_output(k);
    }
    // A few tens of kilobytes for the buffers, tiles of 256 to 1024 elements.
    tile_ = std::clamp<int64_t>((32 << 10) / (itemsize_ * std::max(n_buffers_, 1)) & ~int64_t(255), 256, 1024);
  }

  void run() const {
    int64_t size = task_.out[0].size();
    int64_t grain = std::clamp<int64_t>((1 << 15) / static_cast<int64_t>(operations_.size() + 1), 1024, 1 << 14) & ~int64_t(1023);
    parallel_for(size, grain, [&](int64_t begin, int64_t end) { run_range(begin, end); });
  }

 private:
  // ---- making the list

  void find_last_uses() {
    last_use_.assign(program_.n_values(), 0);
    for (size_t i = 0; i < program_.code.size(); ++i) {
      const Instr& s = program_.code[i];
      for (int k = 0; k < n_operands(s); ++k) last_use_[operand(s, k)] = i;
    }
    for (uint16_t o : program_.outputs) last_use_[o] = kNever;
    written_.assign(program_.outputs.size(), false);
  }

  static int n_operands(const Instr& s) { return s.cast ? 1 : s.code.arity; }
  static size_t operand(const Instr& s, int k) { return k == 0 ? s.a : k == 1 ? s.b : s.c; }

  int add_place(Place p) {
    places_.push_back(p);
    return static_cast<int>(places_.size()) - 1;
  }
  int new_buffer() {
    if (free_buffers_.empty()) return n_buffers_++;
    int b = free_buffers_.back();
    free_buffers_.pop_back();
    return b;
  }
  Place buffer_place(Dtype t) {
    itemsize_ = std::max(itemsize_, static_cast<int64_t>(size_of(held(t))));
    return {nullptr, static_cast<int64_t>(size_of(held(t))), new_buffer(), false};
  }
  void release(size_t value) {
    const Place& p = places_[static_cast<size_t>(place_of_[value])];
    if (p.buffer != kNone && !p.constant) free_buffers_.push_back(p.buffer);
  }

  // One element for every position of a tile, filled before the first.
  int add_constant(size_t value, const void* element) {
    Dtype t = program_.dtype(value);
    auto itemsize = static_cast<int64_t>(size_of(held(t)));
    itemsize_ = std::max(itemsize_, itemsize);
    // A buffer of its own: an earlier operation would overwrite a shared one in the next tile.
    Place p{nullptr, itemsize, n_buffers_++, true};
    constants_.push_back({p.buffer, t, element});
    return place_of_[value] = add_place(p);
  }

  // The place of an operand; an input is brought into reach before its first use.
  int fetch(size_t value) {
    if (place_of_[value] != kNone) return place_of_[value];
    const array& x = task_.in[value];
    const Reader& reader = readers_[value];
    if (reader.constant()) return add_constant(value, x.bytes());
    Dtype t = x.dtype();
    if (reader.contiguous() && !is_half(t)) {
      return place_of_[value] = add_place({x.bytes(), static_cast<int64_t>(x.itemsize()), kNone, false});
    }
    int here;
    if (reader.contiguous()) {
      here = add_place({x.bytes(), static_cast<int64_t>(x.itemsize()), kNone, false});
    } else {
      itemsize_ = std::max(itemsize_, static_cast<int64_t>(x.itemsize()));
      here = add_place({nullptr, static_cast<int64_t>(x.itemsize()), new_buffer(), false});
      operations_.push_back({nullptr, &reader, {kNone, kNone, kNone}, here});
    }
    if (!is_half(t)) return place_of_[value] = here;
    int wide = add_place(buffer_place(t));
    operations_.push_back({find_cast(t, Dtype::float32), nullptr, {here, kNone, kNone}, wide});
    if (int b = places_[static_cast<size_t>(here)].buffer; b != kNone) free_buffers_.push_back(b);
    return place_of_[value] = wide;
  }

  // The output that `value` may be computed into as instruction i runs: no input that is still to be read shares its memory.
  int direct_output(size_t value, size_t i) const {
    if (is_half(program_.dtype(value))) return kNone;
    for (size_t k = 0; k < program_.outputs.size(); ++k) {
      if (program_.outputs[k] != value) continue;
      if (task_.out[k].n_bytes() >= kStreamBytes) return kNone;
      for (size_t in = 0; in < program_.inputs.size(); ++in) {
        bool same_size = task_.in[in].itemsize() == task_.out[k].itemsize();
        if (task_.in[in].bytes() == task_.out[k].bytes() && (last_use_[in] > i || !same_size)) return kNone;
      }
      return static_cast<int>(k);
    }
    return kNone;
  }

  void add_instruction(size_t i) {
    const Instr& s = program_.code[i];
    size_t value = program_.inputs.size() + program_.constants.size() + i;
    Operation op;
    for (int k = 0; k < n_operands(s); ++k) op.in[k] = fetch(operand(s, k));
    Dtype computed = s.cast ? held(s.out) : held(result_dtype(s.code, held(s.in)));
    bool narrow_cast = s.cast && is_half(s.out);
    op.loop = s.cast ? find_cast(held(s.in), narrow_cast ? s.out : computed) : find_loop(s.code, held(s.in));
    if (!op.loop) {
      throw BackendError(cat("[fused] the CPU backend has no loop for ", s.cast ? "astype" : elementwise_primitive(s.code).name,
                             " of ", s.in, "."));
    }
    if (int k = direct_output(value, i); k != kNone) {
      written_[static_cast<size_t>(k)] = true;
      array& out = task_.out[static_cast<size_t>(k)];
      op.out = add_place({out.bytes(), static_cast<int64_t>(out.itemsize()), kNone, false});
      release_operands(s, i);
    } else if (narrow_cast || is_half(s.out)) {
      op.out = add_place(buffer_place(s.out));
    } else {
      // In place of an operand that is done with, if there is one of this size.
      int64_t itemsize = static_cast<int64_t>(size_of(computed));
      int reused = kNone;
      for (int k = 0; k < n_operands(s) && reused == kNone; ++k) {
        const Place& p = places_[static_cast<size_t>(op.in[k])];
        if (last_use_[operand(s, k)] == i && p.buffer != kNone && !p.constant && p.itemsize == itemsize) reused = k;
      }
      if (reused != kNone) {
        release_operands(s, i);
        int b = places_[static_cast<size_t>(op.in[reused])].buffer;
        free_buffers_.erase(std::find(free_buffers_.begin(), free_buffers_.end(), b));
        op.out = add_place({nullptr, itemsize, b, false});
      } else {
        op.out = add_place(buffer_place(computed));
        release_operands(s, i);
      }
    }
    place_of_[value] = op.out;
    if (is_half(s.out)) {
      round_to_half(s, i, op, narrow_cast);
    } else {
      operations_.push_back(op);
    }
    if (last_use_[value] == 0) release(value);  // Nobody reads it.
  }

  // op, then its result to the half type and back to the float32 buffer op.out.
  void round_to_half(const Instr& s, size_t i, Operation op, bool narrow_cast) {
    int wide = op.out, narrow = add_place({nullptr, static_cast<int64_t>(size_of(s.out)), new_buffer(), false});
    if (narrow_cast) {
      op.out = narrow;
      operations_.push_back(op);
    } else {
      operations_.push_back(op);
      operations_.push_back({find_cast(Dtype::float32, s.out), nullptr, {wide, kNone, kNone}, narrow});
    }
    operations_.push_back({find_cast(s.out, Dtype::float32), nullptr, {narrow, kNone, kNone}, wide});
    free_buffers_.push_back(places_[static_cast<size_t>(narrow)].buffer);
    release_operands(s, i);
  }

  void release_operands(const Instr& s, size_t i) {
    for (int k = 0; k < n_operands(s); ++k) {
      size_t v = operand(s, k);
      bool again = false;
      for (int j = 0; j < k; ++j) again |= operand(s, j) == v;
      if (!again && last_use_[v] == i) release(v);
    }
  }

  void write_output(size_t k) {
    size_t value = program_.outputs[k];
    array& out = task_.out[k];
    int from = fetch(value);
    int to = add_place({out.bytes(), static_cast<int64_t>(out.itemsize()), kNone, false});
    if (places_[static_cast<size_t>(from)].memory == out.bytes()) return;
    bool stream = out.n_bytes() >= kStreamBytes && !is_half(out.dtype());
    streams_ |= stream;
    operations_.push_back({stream ? nullptr : find_cast(held(out.dtype()), out.dtype()), nullptr, {from, kNone, kNone}, to});
  }

  // ---- running it

  void run_range(int64_t begin, int64_t end) const {
    int64_t stride = (tile_ * itemsize_ + 63) & ~int64_t(63);
    Scratch memory(static_cast<size_t>(stride * n_buffers_) + places_.size() * sizeof(std::byte*));
    std::byte* buffers = memory.as<std::byte>();
    auto** at = reinterpret_cast<std::byte**>(buffers + stride * n_buffers_);
    for (const Filled& c : constants_) fill(c, buffers + stride * c.buffer, std::min(tile_, end - begin));
    for (int64_t i = begin; i < end; i += tile_) {
      int64_t n = std::min(tile_, end - i);
      for (size_t p = 0; p < places_.size(); ++p) {
        const Place& place = places_[p];
        at[p] = place.memory ? place.memory + i * place.itemsize : buffers + stride * place.buffer;
      }
      for (const Operation& op : operations_) {
        auto out = static_cast<size_t>(op.out);
        if (op.reader) {
          at[out] = const_cast<std::byte*>(static_cast<const std::byte*>(op.reader->read(i, n, static_cast<void*>(at[out]))));
          continue;
        }
        if (!op.loop) {
          stream_copy(at[out], at[op.in[0]], static_cast<size_t>(n * places_[out].itemsize));
          continue;
        }
        const void* in[3];
        for (int k = 0; k < 3; ++k) in[k] = op.in[k] == kNone ? nullptr : at[op.in[k]];
        op.loop(in, at[out], n);
      }
    }
    if (streams_) stream_fence();
  }

  struct Filled {
    int buffer;
    Dtype dtype;
    const void* element;
  };

  static void fill(const Filled& c, std::byte* buffer, int64_t n) {
    uint64_t element = 0;
    const void* in[3] = {c.element, nullptr, nullptr};
    find_cast(c.dtype, held(c.dtype))(in, &element, 1);
    dispatch_bits(held(c.dtype), [&](auto tag) {
      using T = typename decltype(tag)::type;
      T x;
      std::memcpy(&x, &element, sizeof(T));
      std::fill_n(reinterpret_cast<T*>(buffer), n, x);
    });
  }

  const Task& task_;
  const Program& program_;
  std::vector<Reader> readers_;
  std::vector<Place> places_;
  std::vector<Operation> operations_;
  std::vector<Filled> constants_;
  std::vector<int> place_of_;       // Of each value; kNone until it is needed.
  std::vector<size_t> last_use_;    // Of each value: the instruction; outputs never end.
  std::vector<bool> written_;       // Outputs computed where they belong.
  std::vector<int> free_buffers_;
  int n_buffers_ = 0;
  int64_t itemsize_ = 4;            // The widest element in a buffer.
  int64_t tile_ = 0;
  bool streams_ = false;
};

}  // namespace

void fused_kernel(const Task& task) {
  if (task.out[0].size() > 0) Plan(task).run();
}

}  // namespace mx::cpu
