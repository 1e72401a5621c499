// array.cpp — handles, nodes and records: making them and, iteratively, destroying them.

#include "graph/array.h"

#include <array>
#include <cstring>
#include <limits>
#include <mutex>
#include <utility>

#include "graph/primitive.h"

namespace mx {

namespace {

std::atomic<uint64_t> serial_counter{1};
std::atomic<OriginSource> origin_source{nullptr};
thread_local const OriginScope* origin_scope = nullptr;

// Guards the `outputs` of records with several outputs: a sibling may die on one thread while another asks
// for it. Contention is negligible: the lock is held for a few instructions.
std::mutex siblings_lock;

// Releasing the last handle to a deep graph must not recurse: nodes whose count has reached zero wait here.
thread_local std::vector<Node*>* dying = nullptr;

void release(Node* node) {
  if (node->refs.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  if (dying) {
    dying->push_back(node);
    return;
  }
  std::vector<Node*> pending{node};
  dying = &pending;
  while (!pending.empty()) {
    Node* next = pending.back();
    pending.pop_back();
    delete next;
  }
  dying = nullptr;
}

void release(CallRecord* record) {
  if (record->refs.fetch_sub(1, std::memory_order_acq_rel) == 1) delete record;
}

bool try_retain(Node* node) {
  uint32_t n = node->refs.load(std::memory_order_relaxed);
  while (n != 0) {
    if (node->refs.compare_exchange_weak(n, n + 1, std::memory_order_acq_rel)) return true;
  }
  return false;
}

void forget_output(CallRecord& record, Node* node) {
  if (record.n_out == 1) {
    if (record.outputs[0] == node) record.outputs[0] = nullptr;
    return;
  }
  std::lock_guard lock(siblings_lock);
  Node*& place = record.outputs[node->index];
  if (load_acquire(place) == node) store_release<Node*>(place, nullptr);
}

CallRecord* new_record(const Primitive& primitive, Params params, SmallVector<array, 3> inputs, uint32_t n_out) {
  return new CallRecord(primitive, std::move(params), std::move(inputs), n_out, next_serial());
}

// Found once for a call: of a call with as many outputs as inputs, each asking all inputs would be quadratic.
uint64_t newest_mark(const CallRecord& record) {
  uint64_t mark = 0;
  for (const array& in : record.inputs) mark = std::max(mark, in.node()->newest_mark);
  return mark;
}

// A node for output k; takes over one reference to the record.
Node* new_output(CallRecord* record, uint32_t k, Type type, uint64_t mark) {
  Node* node;
  try {
    node = new Node(std::move(type));
  } catch (...) {
    release(record);
    throw;
  }
  node->call = record;
  node->index = k;
  node->serial = record->serial;
  node->newest_mark = mark;
  record->outputs[k] = node;
  return node;
}

}  // namespace

void set_origin_source(OriginSource source) { origin_source = source; }
bool origins_traced() { return origin_source.load(std::memory_order_relaxed) != nullptr; }
OriginScope::OriginScope(std::shared_ptr<const std::string> origin) : origin_(std::move(origin)), outer_(std::exchange(origin_scope, this)) {}
OriginScope::~OriginScope() { origin_scope = outer_; }

uint64_t next_serial() { return serial_counter.fetch_add(1, std::memory_order_relaxed); }

int next_primitive_id() {
  static std::atomic<int> next{0};
  return next++;
}

// ---- nodes

Node::Node(Type type) : dtype(type.dtype), shape(std::move(type.shape)), size(n_elems(shape)) {
  // Wherever bytes are counted they fit, and so do offsets. (No element is larger than 8 bytes; a division by the
  // exact size would cost more than the rest of a node.)
  if (size > std::numeric_limits<int64_t>::max() / 8) {
    throw OverflowError(cat("[array] shape ", shape, " of ", dtype, " is too large: at most 2**60 - 1 elements."));
  }
}

Node::~Node() {
  if (!call) return;
  forget_output(*call, this);
  release(call);
}

void detach(Node& node) {
  if (CallRecord* record = node.call) {
    forget_output(*record, &node);
    node.call = nullptr;
    release(record);
  }
}

CallRecord::CallRecord(const Primitive& p, Params ps, SmallVector<array, 3> in, uint32_t n, uint64_t s)
    : primitive(&p), params(std::move(ps)), inputs(std::move(in)), stream(current_stream()), serial(s), n_out(n), outputs(n, nullptr) {
  if (OriginSource source = origin_source.load(std::memory_order_relaxed)) {
    origin = origin_scope && origin_scope->origin_ ? origin_scope->origin_ : source();
  }
}

array CallRecord::living_output(uint32_t k) {
  std::unique_lock lock(siblings_lock, std::defer_lock);
  if (n_out > 1) lock.lock();
  Node* node = outputs[k];
  return node && try_retain(node) ? array::adopt(node) : array();
}

array CallRecord::output(uint32_t k) {
  if (array alive = living_output(k); alive.defined()) return alive;
  Types types = primitive->infer(params, Call(*this));
  refs.fetch_add(1, std::memory_order_relaxed);
  std::lock_guard lock(siblings_lock);
  return array::adopt(new_output(this, k, types[k], newest_mark(*this)));
}

array make_node(const Primitive& primitive, Params params, SmallVector<array, 3> inputs, Type type) {
  CallRecord* record = new_record(primitive, std::move(params), std::move(inputs), 1);
  return array::adopt(new_output(record, 0, std::move(type), newest_mark(*record)));
}

Arrays make_nodes(const Primitive& primitive, Params params, SmallVector<array, 3> inputs, const Types& types) {
  CallRecord* record = new_record(primitive, std::move(params), std::move(inputs), static_cast<uint32_t>(types.size()));
  Arrays outs;
  uint64_t mark = newest_mark(*record);
  for (uint32_t k = 0; k < types.size(); ++k) {
    if (k) record->refs.fetch_add(1, std::memory_order_relaxed);
    outs.push_back(array::adopt(new_output(record, k, types[k], mark)));
  }
  if (types.empty()) release(record);
  return outs;
}

Arrays make_nodes(const Primitive& primitive, Params params, SmallVector<array, 3> inputs) {
  CallRecord probe(primitive, params, inputs, 1, 0);
  Types types = primitive.infer(params, Call(probe));
  return make_nodes(primitive, std::move(params), std::move(inputs), types);
}

// ---- handles

array::array(const array& o) noexcept : node_(o.node_) {
  if (node_) node_->refs.fetch_add(1, std::memory_order_relaxed);
}
array::~array() {
  if (node_) release(node_);
}

Dtype array::dtype() const { return node_->dtype; }
const Shape& array::shape() const { return node_->shape; }
int64_t array::shape(int axis) const { return node_->shape[static_cast<size_t>(normalize_axis(axis, ndim(), "shape"))]; }
int array::ndim() const { return static_cast<int>(node_->shape.size()); }
int64_t array::size() const { return node_->size; }
const Primitive* array::primitive() const { return node_->call ? node_->call->primitive : nullptr; }
const CallRecord* array::call() const { return node_->call; }
bool array::available() const { return node_->available.load(std::memory_order_acquire); }
const Storage& array::storage() const { return node_->storage; }
void Buffer::wait_for(WorkQueue& q) {
  // Waits are outside the scheduler's lock: another thread may give the block new work meanwhile.
  uint64_t until = load_acquire(serial);
  if (recycled) q.finish(until);
  else q.wait(until);
}
std::byte* array::bytes() const {
  node_->storage.buffer->settle();
  return address();
}
std::byte* array::address() const {
  return static_cast<std::byte*>(node_->storage.buffer->data) + node_->storage.offset * static_cast<int64_t>(itemsize());
}

array array::wrap(BufferRef buffer, Type type, int64_t offset) {
  Strides strides = row_strides(type.shape);
  return wrap(std::move(buffer), std::move(type), offset, std::move(strides));
}

array array::wrap(BufferRef buffer, Type type, int64_t offset, Strides strides) {
  Node* node = new Node(std::move(type));
  bool contiguous = is_row_contiguous(node->shape, strides);
  node->storage = {std::move(buffer), offset, std::move(strides), contiguous};
  node->available.store(true, std::memory_order_release);
  return adopt(node);
}

array array::placeholder(Type type, const char* why) {
  Node* node = new Node(std::move(type));
  node->placeholder = true;
  node->why = why;
  node->newest_mark = next_serial();
  return adopt(node);
}

void array::check_count(int64_t n, const Shape& shape) {
  if (n_elems(shape) != n) {
    throw ValueError(cat("[array] ", n, " values do not fill shape ", shape, "; need ", n_elems(shape), "."));
  }
}

array array::copy_of(const void* values, Dtype t, Shape shape) {
  size_t n_bytes = static_cast<size_t>(n_elems(shape)) * size_of(t);
  auto* block = new std::byte[std::max<size_t>(n_bytes, 1)];
  if (n_bytes) std::memcpy(block, values, n_bytes);
  BufferRef buffer(new Buffer{block, n_bytes}, [](Buffer* b) {
    delete[] static_cast<std::byte*>(b->data);
    delete b;
  });
  return wrap(std::move(buffer), {t, std::move(shape)});
}

namespace {
// `value` as one element of type t, in the first bytes of the result.
template <class V>
std::array<std::byte, 8> element(V value, Dtype t) {
  std::array<std::byte, 8> bytes{};
  dispatch(t, [&](auto tag) {
    using T = typename decltype(tag)::type;
    T x;
    if constexpr (std::is_same_v<T, float16_t> || std::is_same_v<T, bfloat16_t> || std::is_same_v<T, complex64_t>) {
      x = T(static_cast<float>(value));
    } else {
      x = static_cast<T>(value);
    }
    std::memcpy(bytes.data(), &x, sizeof(T));
  });
  return bytes;
}
}  // namespace

array array::scalar(double value, Dtype t) { return copy_of(element(value, t).data(), t, {}); }
array array::scalar(int64_t value, Dtype t) { return copy_of(element(value, t).data(), t, {}); }
array array::scalar(uint64_t value, Dtype t) { return copy_of(element(value, t).data(), t, {}); }
array::array(complex64_t value) : array(copy_of(&value, Dtype::complex64, {})) {}

}  // namespace mx
