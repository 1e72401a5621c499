// fused_tiles.cpp — the tile interpreter: a LoopBody as a list of operations on numbered places (input memory, output memory,
// constants, tile buffers shared by liveness). Every tile of the elements runs through that list while its values are in the
// first cache. float16 and bfloat16 values are kept as float32 and rounded after every instruction, which gives the bits that
// separate kernels give. Start at Tiles::run().

#include <algorithm>
#include <limits>

#include "backend/cpu/loop_body.h"
#include "backend/cpu/loops.h"
#include "backend/cpu/scratch.h"
#include "backend/cpu/stream.h"

namespace mx::cpu {

namespace {

bool is_half(Dtype t) { return t == Dtype::float16 || t == Dtype::bfloat16; }
// The dtype in which a tile buffer holds values of dtype t.
Dtype held(Dtype t) { return is_half(t) ? Dtype::float32 : t; }
int64_t held_size(Dtype t) { return static_cast<int64_t>(size_of(held(t))); }

constexpr size_t kNever = std::numeric_limits<size_t>::max();
constexpr uint16_t kNone = 0;  // Place 0 is nowhere.
constexpr int64_t kLongestTile = 1024;
constexpr int64_t kPartials = 64;

// Where a tile of some value is. Memory of inputs and outputs moves on with the tiles.
struct Place {
  enum Kind : uint8_t { nowhere, input, output, constant, buffer } kind = nowhere;
  int index = 0;         // Of the input, output, constant or buffer.
  int64_t itemsize = 0;
};

struct Operation {
  Loop loop = nullptr;   // Null: in[0] is streamed to `out`.
  uint16_t in[3] = {kNone, kNone, kNone};
  uint16_t out = kNone;
};

void fill(Dtype t, const void* element, std::byte* to, int64_t n) {
  uint64_t bits = 0;
  const void* in[3] = {element, nullptr, nullptr};
  find_cast(t, held(t))(in, &bits, 1);
  dispatch_bits(held(t), [&](auto tag) {
    using T = typename decltype(tag)::type;
    T x;
    std::memcpy(&x, &bits, sizeof(T));
    std::fill_n(reinterpret_cast<T*>(to), n, x);
  });
}

struct alignas(64) Line {
  std::byte bytes[64];
};

class Tiles final : public LoopCode {
 public:
  explicit Tiles(const LoopBody& body) {
    n_in_ = body.inputs.size();
    n_values_ = n_in_ + body.constants.size() + body.code.size();
    place_of_.assign(n_values_, kNone);
    places_.push_back({});
    find_last_uses(body);
    for (size_t i = 0; i < n_in_; ++i) {
      if (body.inputs[i].scalar) add_scalar(i, body.inputs[i].dtype);
    }
    for (size_t c = 0; c < body.constants.size(); ++c) {
      Dtype t = body.constants[c].dtype;
      place_of_[n_in_ + c] = add_place({Place::constant, static_cast<int>(c), held_size(t)});
    }
    for (size_t i = 0; i < body.code.size(); ++i) add_instruction(body, i);
    // A few tens of kilobytes for the buffers, tiles of 256 to 1024 elements.
    // Reductions are cut in pieces of one size, so that generated code gives the same sums.
    tile_ = std::clamp<int64_t>((32 << 10) / (itemsize_ * std::max(n_buffers_, 1)) & ~int64_t(255), body.reduced.empty() ? 256 : kPiece, kLongestTile);
    for (const LoopBody::Reduced& r : body.reduced) {
      Dtype t = held(dtype(body, r.value));
      reductions_.push_back({fetch(body, r.value), &reduce_loops(r.op, t)});
    }
    // Outputs that are not where they belong: inputs, constants, repeats, half types, and those that had to wait.
    for (size_t k = 0; k < body.outputs.size(); ++k) {
      if (!written_[k]) write_output(body, k);
    }
    fill_constants(body);
    last_use_.clear();
    free_buffers_.clear();
  }

  void run(const void* const* in, void* const* out, void* const* reduced, int64_t n) const override {
    if (n == 0) {
      for (size_t k = 0; k < reductions_.size(); ++k) reductions_[k].loops->identity(reduced[k], 1);
      return;
    }
    int64_t tile = std::min(tile_, n);
    int64_t stride = (tile * itemsize_ + 63) & ~int64_t(63);
    auto room = static_cast<size_t>(stride * n_buffers_);
    alignas(64) std::byte few[kFew];
    std::byte* at_few[kFewPlaces];
    size_t n_pointers = places_.size();
    if (room <= kFew && n_pointers <= kFewPlaces) {
      run_in(few, at_few, tile, stride, in, out, reduced, n);
    } else {
      Scratch memory(room + n_pointers * sizeof(std::byte*));
      run_in(memory.as<std::byte>(), reinterpret_cast<std::byte**>(memory.as<std::byte>() + room), tile, stride, in, out, reduced, n);
    }
  }

 private:
  static constexpr size_t kFew = 4096, kFewPlaces = 96;

  // ---- making the list

  static Dtype dtype(const LoopBody& body, size_t value) {
    if (value < body.inputs.size()) return body.inputs[value].dtype;
    value -= body.inputs.size();
    return value < body.constants.size() ? body.constants[value].dtype : body.code[value - body.constants.size()].out;
  }

  void find_last_uses(const LoopBody& body) {
    last_use_.assign(n_values_, 0);
    for (size_t i = 0; i < body.code.size(); ++i) {
      for (int k = 0; k < body.code[i].n_operands(); ++k) last_use_[body.code[i].operand(k)] = i;
    }
    for (const LoopBody::Output& o : body.outputs) last_use_[o.value] = kNever;
    for (const LoopBody::Reduced& r : body.reduced) last_use_[r.value] = kNever;
    written_.assign(body.outputs.size(), false);
  }

  uint16_t add_place(Place p) {
    places_.push_back(p);
    return static_cast<uint16_t>(places_.size() - 1);
  }
  int new_buffer() {
    if (free_buffers_.empty()) return n_buffers_++;
    int b = free_buffers_.back();
    free_buffers_.pop_back();
    return b;
  }
  uint16_t buffer_place(Dtype t) {
    auto itemsize = static_cast<int64_t>(size_of(t));
    itemsize_ = std::max(itemsize_, itemsize);
    return add_place({Place::buffer, new_buffer(), itemsize});
  }
  // The buffers of scalars are filled once for all tiles: they are nobody else's, and never free.
  void add_scalar(size_t value, Dtype t) {
    itemsize_ = std::max(itemsize_, held_size(t));
    int b = n_buffers_++;
    scalars_.push_back({b, t, value});
    place_of_[value] = add_place({Place::buffer, b, held_size(t)});
  }
  bool is_scalar(int buffer) const {
    return std::any_of(scalars_.begin(), scalars_.end(), [&](const Scalar& s) { return s.buffer == buffer; });
  }
  bool shared_buffer(uint16_t place) const { return places_[place].kind == Place::buffer && !is_scalar(places_[place].index); }
  void release(size_t value) {
    if (shared_buffer(place_of_[value])) free_buffers_.push_back(places_[place_of_[value]].index);
  }

  // The place of an operand; an input of half type is widened before its first use.
  uint16_t fetch(const LoopBody& body, size_t value) {
    if (place_of_[value] != kNone) return place_of_[value];
    Dtype t = dtype(body, value);
    uint16_t here = add_place({Place::input, static_cast<int>(value), static_cast<int64_t>(size_of(t))});
    if (!is_half(t)) return place_of_[value] = here;
    uint16_t wide = buffer_place(Dtype::float32);
    operations_.push_back({find_cast(t, Dtype::float32), {here, kNone, kNone}, wide});
    return place_of_[value] = wide;
  }

  // The output that `value` may be computed into by instruction i: no input that is still to be read may share its memory.
  int direct_output(const LoopBody& body, size_t value, size_t i) const {
    Dtype t = dtype(body, value);
    if (is_half(t)) return -1;
    for (size_t k = 0; k < body.outputs.size(); ++k) {
      if (body.outputs[k].value != value) continue;
      if (body.outputs[k].stream) return -1;
      for (size_t in = 0; in < n_in_; ++in) {
        if (!body.inputs[in].scalar && size_of(body.inputs[in].dtype) == size_of(t) && last_use_[in] > i) return -1;
      }
      return static_cast<int>(k);
    }
    return -1;
  }

  void add_instruction(const LoopBody& body, size_t i) {
    const Instr& s = body.code[i];
    size_t value = n_in_ + body.constants.size() + i;
    Operation op;
    for (int k = 0; k < s.n_operands(); ++k) op.in[k] = fetch(body, s.operand(k));
    Dtype computed = s.cast ? held(s.out) : held(result_dtype(s.code, held(s.in)));
    bool narrow_cast = s.cast && is_half(s.out);
    op.loop = s.cast ? find_cast(held(s.in), narrow_cast ? s.out : computed) : find_loop(s.code, held(s.in));
    if (!op.loop) {
      throw BackendError(cat("[fused] the CPU backend has no loop for ", s.cast ? "astype" : elementwise_primitive(s.code).name,
                             " of ", s.in, "."));
    }
    if (int k = direct_output(body, value, i); k >= 0) {
      written_[static_cast<size_t>(k)] = true;
      op.out = add_place({Place::output, k, static_cast<int64_t>(size_of(s.out))});
      release_operands(s, i);
    } else if (is_half(s.out)) {
      op.out = buffer_place(Dtype::float32);
    } else {
      // In place of an operand that is done with, if there is one of this size.
      auto itemsize = static_cast<int64_t>(size_of(computed));
      int reused = -1;
      for (int k = 0; k < s.n_operands() && reused < 0; ++k) {
        if (last_use_[s.operand(k)] == i && shared_buffer(op.in[k]) && places_[op.in[k]].itemsize == itemsize) reused = k;
      }
      if (reused >= 0) {
        release_operands(s, i);
        int b = places_[op.in[reused]].index;
        free_buffers_.erase(std::find(free_buffers_.begin(), free_buffers_.end(), b));
        op.out = add_place({Place::buffer, b, itemsize});
      } else {
        op.out = buffer_place(computed);
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
    uint16_t wide = op.out, narrow = buffer_place(s.out);
    if (narrow_cast) {
      op.out = narrow;
      operations_.push_back(op);
    } else {
      operations_.push_back(op);
      operations_.push_back({find_cast(Dtype::float32, s.out), {wide, kNone, kNone}, narrow});
    }
    operations_.push_back({find_cast(s.out, Dtype::float32), {narrow, kNone, kNone}, wide});
    free_buffers_.push_back(places_[narrow].index);
    release_operands(s, i);
  }

  void release_operands(const Instr& s, size_t i) {
    for (int k = 0; k < s.n_operands(); ++k) {
      size_t v = s.operand(k);
      bool again = false;
      for (int j = 0; j < k; ++j) again |= s.operand(j) == v;
      if (!again && last_use_[v] == i) release(v);
    }
  }

  void write_output(const LoopBody& body, size_t k) {
    size_t value = body.outputs[k].value;
    Dtype t = dtype(body, value);
    uint16_t from = fetch(body, value);
    uint16_t to = add_place({Place::output, static_cast<int>(k), static_cast<int64_t>(size_of(t))});
    bool stream = body.outputs[k].stream && !is_half(t);
    streams_ |= stream;
    operations_.push_back({stream ? nullptr : find_cast(held(t), t), {from, kNone, kNone}, to});
  }

  void fill_constants(const LoopBody& body) {
    int64_t n_lines = 0;
    std::vector<int64_t> first;
    for (const Constant& c : body.constants) {
      first.push_back(n_lines);
      n_lines += (tile_ * held_size(c.dtype) + 63) / 64;
    }
    constant_lines_.resize(static_cast<size_t>(n_lines));
    for (size_t c = 0; c < body.constants.size(); ++c) {
      std::byte* at = constant_lines_[static_cast<size_t>(first[c])].bytes;
      fill(body.constants[c].dtype, &body.constants[c].bits, at, tile_);
      constants_.push_back(at);
    }
  }

  // ---- running it

  void run_in(std::byte* buffers, std::byte** at, int64_t tile, int64_t stride, const void* const* in, void* const* out,
              void* const* reduced, int64_t n) const {
    for (const Scalar& s : scalars_) fill(s.dtype, in[s.input], buffers + stride * s.buffer, tile);
    size_t n_places = places_.size();
    for (size_t p = 0; p < n_places; ++p) {
      const Place& place = places_[p];
      switch (place.kind) {
        case Place::input: at[p] = static_cast<std::byte*>(const_cast<void*>(in[place.index])); break;
        case Place::output: at[p] = static_cast<std::byte*>(out[place.index]); break;
        case Place::constant: at[p] = constants_[static_cast<size_t>(place.index)]; break;
        case Place::buffer: at[p] = buffers + stride * place.index; break;
        case Place::nowhere: at[p] = nullptr;
      }
    }
    if (reductions_.empty()) {
      for (int64_t i = 0; i < n; i += tile) {
        run_tile(at, std::min(tile, n - i));
        move_on(at, tile);
      }
    } else {
      run_reducing(at, tile, reduced, n);
    }
    if (streams_) stream_fence();
  }

  void run_tile(std::byte* const* at, int64_t n) const {
    for (const Operation& op : operations_) {
      if (!op.loop) {
        stream_copy(at[op.out], at[op.in[0]], static_cast<size_t>(n * places_[op.out].itemsize));
        continue;
      }
      const void* in[3] = {at[op.in[0]], at[op.in[1]], at[op.in[2]]};
      op.loop(in, at[op.out], n);
    }
  }

  void move_on(std::byte** at, int64_t n) const {
    for (size_t p = 0; p < places_.size(); ++p) {
      if (places_[p].kind == Place::input || places_[p].kind == Place::output) at[p] += n * places_[p].itemsize;
    }
  }

  // What the tiles give is kept side by side and reduced in turn: a tree whose form depends on n alone.
  void run_reducing(std::byte** at, int64_t tile, void* const* reduced, int64_t n) const {
    if (n <= tile) {
      run_tile(at, n);
      for (size_t k = 0; k < reductions_.size(); ++k) reductions_[k].loops->row(at[reductions_[k].place], n, reduced[k]);
      return;
    }
    Scratch memory(reductions_.size() * kPartials * 8);
    auto partials = [&](size_t k) { return memory.as<std::byte>() + k * kPartials * 8; };
    int64_t m = 0;
    for (int64_t i = 0; i < n; i += tile) {
      int64_t count = std::min(tile, n - i);
      run_tile(at, count);
      bool full = m == kPartials;
      for (size_t k = 0; k < reductions_.size(); ++k) {
        const ReduceLoops& loops = *reductions_[k].loops;
        if (full) {
          uint64_t all;
          loops.row(partials(k), kPartials, &all);
          std::memcpy(partials(k), &all, loops.size);
        }
        loops.row(at[reductions_[k].place], count, partials(k) + static_cast<size_t>(full ? 1 : m) * loops.size);
      }
      m = full ? 2 : m + 1;
      move_on(at, tile);
    }
    for (size_t k = 0; k < reductions_.size(); ++k) reductions_[k].loops->row(partials(k), m, reduced[k]);
  }

  struct Scalar {
    int buffer;
    Dtype dtype;
    size_t input;
  };
  struct Reducing {
    uint16_t place;
    const ReduceLoops* loops;
  };

  size_t n_in_ = 0, n_values_ = 0;
  std::vector<Place> places_;
  std::vector<Operation> operations_;
  std::vector<Scalar> scalars_;
  std::vector<Reducing> reductions_;
  std::vector<Line> constant_lines_;
  std::vector<std::byte*> constants_;
  std::vector<uint16_t> place_of_;  // Of each value; kNone until it is needed.
  std::vector<size_t> last_use_;    // Of each value: the instruction; outputs never end.
  std::vector<bool> written_;       // Outputs computed where they belong.
  std::vector<int> free_buffers_;
  int n_buffers_ = 0;
  int64_t itemsize_ = 1;            // The widest element in a buffer.
  int64_t tile_ = 0;
  bool streams_ = false;
};

}  // namespace

std::shared_ptr<const LoopCode> interpret(const LoopBody& body) { return std::make_shared<const Tiles>(body); }

}  // namespace mx::cpu
