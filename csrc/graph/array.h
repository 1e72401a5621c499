// array.h — `array`, a handle to a node of the graph, and what a node holds.
//
// A node has a type (dtype, shape) from the start. Either it is a leaf with storage, or a placeholder
// (a type without a value), or it is output `index` of a CallRecord: a primitive, its parameters and its
// inputs. Evaluation (runtime/eval.cpp) gives it storage and drops the record. Handles are reference
// counted and may be copied, used and released on any thread; destruction is iterative.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "base/atomics.h"
#include "base/dtype.h"
#include "base/free_list.h"
#include "base/shape.h"
#include "graph/params.h"
#include "graph/stream.h"

namespace mx {

struct Primitive;
struct CallRecord;
struct Node;
class array;

struct Type {
  Dtype dtype;
  Shape shape;
  bool operator==(const Type&) const = default;
};
using Types = std::vector<Type>;

/// Work that a device does later, in the order given. Never destroyed.
class WorkQueue {
 public:
  virtual ~WorkQueue() = default;
  /// Returns when item `serial` and all before it are done. Throws what went wrong in it, every time, and what went wrong in
  /// an earlier one and was not raised yet.
  virtual void wait(uint64_t serial) = 0;
  /// The same, without raising anything.
  virtual void finish(uint64_t serial) noexcept = 0;
  virtual bool done(uint64_t serial) const = 0;
};

/// A block of memory. The deleter returns it to whoever made it (allocator, NumPy, DLPack).
struct Buffer {
  void* data = nullptr;
  size_t n_bytes = 0;
  bool owned = false;      ///< Ours to overwrite: a sole-owned input's memory may become an output's.
  bool recycled = false;   ///< What `queue` does concerns an earlier owner of the memory.
  /// The newest work of a device that reads or writes the memory; null: none. Changed under the scheduler's lock.
  WorkQueue* queue = nullptr;
  uint64_t serial = 0;
  Buffer* part_of = nullptr;  ///< The block whose queue counts instead of this one's.

  Buffer() = default;
  Buffer(void* d, size_t n, bool own = false) : data(d), n_bytes(n), owned(own) {}
  Buffer& block() { return part_of ? *part_of : *this; }
  /// Returns when the CPU may read and write the memory. Throws what went wrong in the work that made it.
  void settle() {
    Buffer& b = block();
    if (WorkQueue* q = load_acquire(b.queue)) [[unlikely]] b.wait_for(*q);
  }

 private:
  void wait_for(WorkQueue& q);
};
using BufferRef = std::shared_ptr<Buffer>;

/// Where an evaluated array lives: element i0, i1, ... is at `offset + sum(i * stride)` (in elements).
struct Storage {
  BufferRef buffer;
  int64_t offset = 0;
  Strides strides;
  bool row_contiguous = true;
};

class array {
 public:
  /// A handle to nothing: "no tangent" in rules. Only `defined()` and assignment may touch it.
  array() = default;
  /// A scalar.
  template <class V>
    requires std::is_arithmetic_v<V>
  array(V value, Dtype t) : array(scalar(value, t)) {}
  /// A scalar of the usual dtype: bool, int32 or float32. (Not for pointers, which would convert to bool.)
  template <class V>
    requires std::is_arithmetic_v<V>
  array(V value)
      : array(value, std::is_same_v<V, bool> ? Dtype::bool_ : std::is_integral_v<V> ? Dtype::int32 : Dtype::float32) {}
  array(complex64_t value);
  /// A copy of `values`, row by row; throws ValueError when their number is not that of the shape.
  template <class T>
  static array from(std::span<const T> values, Shape shape) {
    check_count(static_cast<int64_t>(values.size()), shape);
    return copy_of(values.data(), dtype_of<T>(), std::move(shape));
  }
  template <class T>
  array(std::initializer_list<T> values)
      : array(copy_of(std::data(values), dtype_of<T>(), Shape{static_cast<int64_t>(values.size())})) {}
  /// A copy of row-contiguous memory.
  static array copy_of(const void* values, Dtype t, Shape shape);
  /// A row-contiguous leaf over memory that someone else made; `buffer` keeps it alive.
  static array wrap(BufferRef buffer, Type type, int64_t offset = 0);
  /// The same with strides of its own (in elements).
  static array wrap(BufferRef buffer, Type type, int64_t offset, Strides strides);
  /// A leaf without a value. `why` names the transformation in the error that reading it raises.
  static array placeholder(Type type, const char* why);

  array(const array& o) noexcept;
  array(array&& o) noexcept : node_(o.node_) { o.node_ = nullptr; }
  array& operator=(array o) noexcept {
    std::swap(node_, o.node_);
    return *this;
  }
  ~array();

  bool defined() const { return node_ != nullptr; }
  Dtype dtype() const;
  const Shape& shape() const;
  int64_t shape(int axis) const;  ///< Negative axes count from the end; throws AxisError.
  int ndim() const;
  int64_t size() const;    ///< In elements.
  size_t itemsize() const { return size_of(dtype()); }
  size_t n_bytes() const { return itemsize() * static_cast<size_t>(size()); }
  Type type() const { return {dtype(), shape()}; }

  /// The primitive that makes this array; null for a leaf and after evaluation.
  const Primitive* primitive() const;
  const CallRecord* call() const;

  bool available() const;      ///< Has storage.
  const array& eval() const;   ///< Computes the value (runtime/eval.cpp).
  /// The storage of an evaluated array.
  const Storage& storage() const;
  const Strides& strides() const { return storage().strides; }
  bool row_contiguous() const { return storage().row_contiguous; }
  /// The first element, once no device works on the memory any more. The array must be available.
  template <class T>
  T* data() const {
    return reinterpret_cast<T*>(bytes());
  }
  std::byte* bytes() const;
  /// The same at once, while a device may be at work there: for who passes the address on.
  std::byte* address() const;
  /// The value of a size-1 array, converted to T; evaluates.
  template <class T>
  T item() const;

  Node* node() const { return node_; }
  /// Takes over a reference that the caller owns.
  static array adopt(Node* node) {
    array a;
    a.node_ = node;
    return a;
  }

 private:
  static array scalar(double value, Dtype t);
  static array scalar(int64_t value, Dtype t);
  static array scalar(uint64_t value, Dtype t);
  template <class V>
  static array scalar(V value, Dtype t) {
    if constexpr (std::is_floating_point_v<V>) {
      return scalar(static_cast<double>(value), t);
    } else if constexpr (std::is_unsigned_v<V>) {
      return scalar(static_cast<uint64_t>(value), t);
    } else {
      return scalar(static_cast<int64_t>(value), t);
    }
  }
  static void check_count(int64_t n, const Shape& shape);
  Node* node_ = nullptr;
};

using Arrays = std::vector<array>;

/// A rule's outputs: one array for most primitives. An undefined array stands for a zero.
class Outs : public SmallVector<array, 1> {
 public:
  Outs() = default;
  Outs(array a) { push_back(std::move(a)); }
  Outs(const Arrays& as) : SmallVector(as.begin(), as.end()) {}
  Outs(std::initializer_list<array> as) : SmallVector(as) {}
  Outs(const array* first, const array* last) : SmallVector(first, last) {}
  /// `n` undefined arrays.
  static Outs none(size_t n) { return Arrays(n); }
  operator const array&() const { return front(); }
};

struct Node : FreeListed<Node> {
  std::atomic<uint32_t> refs{1};
  std::atomic<bool> available{false};
  bool placeholder = false;
  Dtype dtype;
  uint32_t index = 0;           ///< Which output of `call`.
  uint64_t serial = 0;          ///< Of the call that makes this; 0: a leaf. Outlives the call.
  uint64_t newest_mark = 0;     ///< Serial of the newest marker or placeholder that this depends on; 0: none.
  const char* why = nullptr;    ///< For placeholders: the transformation that made it.
  Shape shape;
  int64_t size = 0;
  CallRecord* call = nullptr;   ///< Owned reference; null for leaves.
  Storage storage;

  Node(Type type);
  ~Node();
};

/// One application of a primitive; shared by its outputs.
struct CallRecord : FreeListed<CallRecord> {
  std::atomic<uint32_t> refs{1};
  const Primitive* primitive;
  Params params;
  SmallVector<array, 3> inputs;
  Stream stream;
  uint64_t serial;              ///< Grows with creation: inputs are older than outputs.
  uint32_t n_out = 1;
  /// Not owned; an output that died is null. Guarded by a lock when n_out > 1.
  SmallVector<Node*, 1> outputs;
  /// Where the call was made, if origins are traced.
  std::shared_ptr<const std::string> origin;

  /// Output k; makes it anew if it has died.
  array output(uint32_t k);
  /// Output k if it is alive, else undefined.
  array living_output(uint32_t k);
  /// The node of output k or null, without keeping it alive: a key for maps.
  const Node* peek_output(uint32_t k) { return load_acquire(outputs[k]); }

  CallRecord(const Primitive& primitive, Params params, SmallVector<array, 3> inputs, uint32_t n_out, uint64_t serial);
};

/// Makes nodes for `primitive` applied to `inputs`, on the current stream. The single-output form.
array make_node(const Primitive& primitive, Params params, SmallVector<array, 3> inputs, Type type);
/// As above for several outputs.
Arrays make_nodes(const Primitive& primitive, Params params, SmallVector<array, 3> inputs, const Types& types);
/// As above; the types come from the primitive's infer rule.
Arrays make_nodes(const Primitive& primitive, Params params, SmallVector<array, 3> inputs);

/// Drops a node's record, so that what it was made from can be freed. The node must be available.
void detach(Node& node);

/// Says where the caller is ("file.py:12"), or null. Set while origins are traced; must not throw.
using OriginSource = std::shared_ptr<const std::string> (*)();
/// From here on every call remembers its origin, and errors of its evaluation name it. Null: stop.
void set_origin_source(OriginSource source);
/// Whether calls remember their origin.
bool origins_traced();

/// Says for a scope where this thread's calls are made, in place of the source: for calls that a rule makes, or a
/// graph that is run again. Null: the source is asked.
class OriginScope {
 public:
  explicit OriginScope(std::shared_ptr<const std::string> origin);
  ~OriginScope();
  OriginScope(const OriginScope&) = delete;
  OriginScope& operator=(const OriginScope&) = delete;

 private:
  std::shared_ptr<const std::string> origin_;
  const OriginScope* outer_;
  friend struct CallRecord;
};

/// A number larger than every one given before, on any thread: orders markers and calls.
uint64_t next_serial();

}  // namespace mx
