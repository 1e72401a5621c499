// kernels.h — the machine that runs .metal kernels on the host's CPU, as the double of <Metal/Metal.hpp> sees it: libraries
// of kernels, values of function constants, one dispatch.
//
// A kernel is translated to C++ at build time (translate.py), or at run time by compile(). A dispatch runs to its end in the
// calling thread; concurrent dispatches take turns. Whatever is wrong, with the arguments or in the kernel, is a KernelError
// that says the kernel, the thread and, where there is one, the line of the .metal file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace mx::metal::host {

constexpr uint32_t kLanes = 32;                   ///< Threads of a SIMD group.
constexpr uint32_t kThreads = 1024;               ///< Of a threadgroup, at most.
constexpr uint32_t kSlots = 31;                   ///< [[buffer(0)]] to [[buffer(30)]], and as many [[threadgroup(n)]].
constexpr size_t kThreadgroupMemory = 32 << 10;   ///< Bytes, declared ones and arguments together.

struct KernelError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Size {
  uint32_t x = 1, y = 1, z = 1;
  uint64_t count() const { return uint64_t(x) * y * z; }
};

enum class ConstantType : uint8_t { boolean, int16, uint16, int32, uint32, float32, int8, uint8, float16 };

/// `constant T name [[function_constant(index)]];` in a source.
struct Constant {
  const char* name;
  uint32_t index;
  ConstantType type;
  void* value;     ///< Where the kernels read it.
  bool* defined;   ///< What is_function_constant_defined() tells them.
};

/// One buffer or threadgroup argument of a kernel.
struct Argument {
  enum Kind : uint8_t { buffer, threadgroup };
  Kind kind;
  uint8_t slot;
  bool reference;        ///< T& (or constant T*, of which at least one T must be there): `size` bytes are needed.
  bool writable;         ///< device T*, not const.
  bool constant_space;   ///< constant T* or T&.
  uint32_t size, alignment;  ///< Of T.
  const char* name;
  const Constant* gate;  ///< [[function_constant(c)]]: the argument exists where c is true. Null: always.
};

struct Span;
struct Table;
struct Thread;

/// A kernel of a library, with the host_name that it is found by.
struct Kernel {
  const char* name;
  const char* file;       ///< The .metal file and line that define it.
  int line;
  uint32_t max_threads;   ///< [[max_total_threads_per_threadgroup(n)]], or 1024.
  const Argument* arguments;
  uint32_t n_arguments;
  const uint16_t* constants;  ///< Indices into Table::constants of those that it must have values for.
  uint32_t n_constants;
  /// Threads run one after the other without stacks of their own: nothing that it calls waits for other threads.
  bool plain;
  void (*call)(Thread&);               ///< One thread.
  void (*loop)(Thread&, const Span&);  ///< The threads of a threadgroup, of a plain kernel.
  const Table* table;
};

/// What one translated source holds.
struct Table {
  const char* file;
  const Kernel* kernels;
  uint32_t n_kernels;
  const Constant* constants;
  uint32_t n_constants;
  void (*derive)();  ///< Computes the constants that others are made of (constant int b = 2 * a;).
};

/// The value that a pipeline gives to a function constant. `index` or, where that is no_index, `name` says which.
struct ConstantValue {
  static constexpr uint32_t no_index = ~0u;
  uint32_t index = no_index;
  ConstantType type = ConstantType::boolean;
  uint64_t bits = 0;       ///< The value's bytes, low end first.
  std::string name = {};
};

/// Kernels by name.
class Library {
 public:
  Library(std::vector<const Table*> tables, std::shared_ptr<void> code = nullptr);
  /// Null where there is none of this name.
  const Kernel* find(std::string_view name) const;
  std::vector<std::string> names() const;

 private:
  struct Entry {
    std::string_view name;
    const Kernel* kernel;
  };
  std::vector<Entry> entries_;  // sorted by name
  std::shared_ptr<void> code_;  // keeps what was loaded at run time
};

/// The kernels of metal/kernels, linked into this program.
const Library& linked_library();

struct CompileOptions {
  bool fast_math = false;
  std::vector<std::string> definitions = {};  ///< "NAME" or "NAME=value"
};
/// Translates and compiles a source text with the C++ compiler of this system; KernelError with the messages otherwise. What was
/// compiled before, by any process of this user, is loaded from a cache. Libraries stay loaded until the process ends.
std::shared_ptr<const Library> compile(const std::string& source, const CompileOptions& options = {});

/// Throws KernelError if a constant that the kernel uses has no value, a value is of the wrong type, or the kernel's source
/// has no constant of this index or name. What newFunction(name, constantValues) is to check.
void check_constants(const Kernel& kernel, const std::vector<ConstantValue>& values);

/// Memory bound to a slot. A null pointer: unbound.
struct Memory {
  void* pointer = nullptr;
  size_t size = 0;    ///< Bytes that the kernel may use from `pointer` on.
  size_t before = 0;  ///< Bytes that it may use in front of it (negative strides).
};

struct Dispatch {
  const Kernel* kernel = nullptr;
  const std::vector<ConstantValue>* constants = nullptr;  ///< May be null.
  Memory buffers[kSlots] = {};
  size_t threadgroup_memory[kSlots] = {};  ///< Bytes; 0: not set.
  Size threads = {}, group = {};           ///< Exact number of threads (dispatchThreads); groups at the ends may be smaller.
};

/// What was done, for tests and measurements.
struct Counts {
  uint64_t threads = 0, switches = 0, barriers = 0, simd_operations = 0;
  size_t threadgroup_bytes = 0;  ///< The most that any threadgroup had.
};

/// Throws KernelError for arguments that Metal's validation would refuse. dispatch() begins with it.
void validate(const Dispatch& d);

/// Runs all threads. The order of threads is that of the environment's MXFORM_METAL_SCHEDULE: "in-order", "reversed", or a
/// number that seeds a random order; set_schedule() changes it.
Counts dispatch(const Dispatch& d);

/// 0: in order; 1: reversed; others: random, seeded by the number.
void set_schedule(uint64_t order);
uint64_t schedule();

/// Were the kernels compiled with every memory access checked (bounds, races, reads of what nobody wrote)?
bool checked();

}  // namespace mx::metal::host
