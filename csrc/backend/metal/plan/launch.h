// launch.h — what the Metal backend does for one call, as data: kernels by name, what is bound to them, how many threads.
//
// A planner (planners.h) turns a Task into a Plan without looking at any value and without any GPU: it runs and is tested on
// every machine. The driver encodes plans. Launches of a plan run in order as far as they share memory; the driver finds that out
// from the bindings and puts barriers between them.
#pragma once

#include <cstring>
#include <functional>
#include <string>
#include <type_traits>
#include <vector>

#include "runtime/backend.h"

namespace mx::metal {

// What every Apple GPU has, and what a launch must keep to.
constexpr uint32_t kSimdWidth = 32;
constexpr uint32_t kMaxThreads = 1024;           ///< In a threadgroup.
constexpr uint32_t kThreadgroupBytes = 32 << 10;
constexpr uint32_t kBufferSlots = 31;
constexpr size_t kMaxInlineBytes = 4096;         ///< Bound by value.

struct Size3 {
  uint32_t x = 1, y = 1, z = 1;
  uint64_t count() const { return uint64_t(x) * y * z; }
  bool operator==(const Size3&) const = default;
};

/// The value of a [[function_constant(index)]].
struct FunctionConstant {
  enum Type : uint8_t { boolean, int32, uint32, float32 };
  uint32_t index;
  Type type;
  uint32_t bits;
};

/// What is in [[buffer(slot)]].
struct Binding {
  enum Kind : uint8_t {
    input,      ///< Input `which` of the task, from its first element (the array's offset included).
    output,     ///< Output `which`.
    temporary,  ///< Memory of the plan, `which` of Plan::temporaries.
    bytes,      ///< `size` bytes of Plan::data at `offset`, by value.
    status,     ///< Where kernels report bad indices (see Plan::index_error).
  };
  Kind kind;
  uint8_t slot;
  uint16_t which = 0;
  int64_t offset = 0;     ///< In bytes; added to where the array begins. May be negative for inputs of negative strides.
  uint32_t size = 0;      ///< Of `bytes`.
  bool written = false;   ///< Outputs and temporaries: by this launch. Such a binding may be read by it, too.
};

struct ThreadgroupMemory {
  uint8_t slot;      ///< [[threadgroup(slot)]]
  uint32_t n_bytes;  ///< A multiple of 16.
};

/// One dispatch. `threads` is exact: the last threadgroup of each axis may be smaller (Metal's dispatchThreads).
struct Launch {
  std::string kernel;  ///< The host_name.
  std::vector<FunctionConstant> constants = {};
  std::vector<Binding> bindings = {};
  std::vector<ThreadgroupMemory> threadgroup_memory = {};
  Size3 threads = {}, group = {};
  int source = -1;     ///< The kernel is in Plan::sources[source]; -1: in the library that the build made.
};

/// Metal source that is compiled at run time, and kept by its text.
struct Source {
  std::string text;
  /// Fast arithmetic (MTLCompileOptions): off unless a user asks for it.
  bool fast_math = false;
  /// Text that lives for ever, the same for many sources, to be compiled in front.
  const char* prelude = "";
};

struct Plan {
  std::vector<Launch> launches = {};
  std::vector<size_t> temporaries = {};  ///< Bytes of each.
  std::vector<std::byte> data = {};
  std::vector<Source> sources = {};
  /// What to raise (IndexError) when a kernel of this plan reported a bad index. The arguments are what the kernel reported.
  std::function<std::string(int64_t index, int64_t size, int64_t axis)> index_error = {};

  /// Adds a launch to fill. The reference is valid until the next one.
  Launch& launch(std::string kernel, Size3 threads, Size3 group) {
    launches.push_back({.kernel = std::move(kernel), .threads = threads, .group = group});
    return launches.back();
  }
  uint16_t temporary(size_t n_bytes) {
    temporaries.push_back(n_bytes);
    return static_cast<uint16_t>(temporaries.size() - 1);
  }

  // What the last launch binds.
  void input(uint8_t slot, size_t which, int64_t offset = 0) { bind({Binding::input, slot, uint16_t(which), offset}); }
  void output(uint8_t slot, size_t which = 0, int64_t offset = 0) { bind({Binding::output, slot, uint16_t(which), offset, 0, true}); }
  void reads_output(uint8_t slot, size_t which = 0, int64_t offset = 0) { bind({Binding::output, slot, uint16_t(which), offset}); }
  void writes(uint8_t slot, uint16_t temporary, int64_t offset = 0) { bind({Binding::temporary, slot, temporary, offset, 0, true}); }
  void reads(uint8_t slot, uint16_t temporary, int64_t offset = 0) { bind({Binding::temporary, slot, temporary, offset}); }
  void status(uint8_t slot) { bind({Binding::status, slot, 0, 0, 0, true}); }
  void bytes(uint8_t slot, const void* p, size_t n) {
    size_t at = (data.size() + 15) & ~size_t(15);
    data.resize(at + n);
    std::memcpy(data.data() + at, p, n);
    bind({Binding::bytes, slot, 0, int64_t(at), uint32_t(n)});
  }
  template <class T>
    requires std::is_trivially_copyable_v<T>
  void value(uint8_t slot, const T& v) {
    bytes(slot, &v, sizeof v);
  }
  template <class T>
  void values(uint8_t slot, const std::vector<T>& v) {
    bytes(slot, v.data(), v.size() * sizeof(T));
  }
  void constant(uint32_t index, bool v) { launches.back().constants.push_back({index, FunctionConstant::boolean, v}); }
  void constant(uint32_t index, int32_t v) { launches.back().constants.push_back({index, FunctionConstant::int32, uint32_t(v)}); }
  void constant(uint32_t index, uint32_t v) { launches.back().constants.push_back({index, FunctionConstant::uint32, v}); }
  void threadgroup(uint8_t slot, size_t n_bytes) { launches.back().threadgroup_memory.push_back({slot, uint32_t((n_bytes + 15) & ~size_t(15))}); }

 private:
  void bind(Binding b) { launches.back().bindings.push_back(b); }
};

/// "softmax" and float32 give "softmax_float32": the one way in which kernels are named by their element types.
std::string kernel_name(std::string_view base, Dtype t);
std::string kernel_name(std::string_view base, Dtype t, Dtype u);

constexpr uint64_t ceil_div(uint64_t a, uint64_t b) { return (a + b - 1) / b; }

}  // namespace mx::metal
