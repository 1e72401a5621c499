// compile.h — the cache of traces behind one compiled Python function, and the function.
//
// A trace fits a call if everything the function could see through its arguments is the same: containers with
// their types and keys, dtypes and shapes of arrays, and all other values by type and value. Two ways find it: the traces
// used last are compared with the arguments as they are (compile_match.h); else a key is made and looked up.
// Start at CompileCache::call() in compile.cpp.
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "bindings/compile_match.h"
#include "bindings/transforms.h"
#include "compile/compile.h"

namespace mx::python {

/// What distinguishes one trace from another.
struct TraceKey {
  MixedTree arguments;      ///< Without their arrays.
  Types types;              ///< Of the arguments' arrays, then of the captured inputs'.
  MixedTree inputs;         ///< The trees given as inputs= and outputs=; only their arrays' places count.
  MixedTree outputs;
  Stream stream;

  size_t hash() const;
  bool operator==(const TraceKey& o) const;
  /// Why a call with this key cannot use the trace with key `o`: "x has shape (3,), not (2,)".
  std::string difference(const TraceKey& o, PyObject* fun) const;
};

/// A function traced for one key.
struct Trace {
  TraceKey key;
  std::shared_ptr<const CompiledTrace> graph;
  MixedTree result;   ///< What the function returned.
  MixedTree outputs;  ///< What the trees of outputs= became.
  bool has_lines;     ///< Traced while calls remembered where they were made.
  std::string reason; ///< Why it was traced.
  mutable size_t n_calls = 0;
  // Made of the trees above, once they stay where they are.
  Pattern arguments_pattern, inputs_pattern, outputs_pattern, result_pattern, new_outputs_pattern;
};

class CompileCache {
 public:
  static constexpr size_t kMaxTraces = 512;

  /// One call, by the vectorcall protocol.
  PyObject* call(PyObject* fun, PyObject* inputs, PyObject* outputs, PyObject* const* args, size_t n_args, PyObject* names);

  size_t n_traces = 0;     ///< How often the function was traced.
  std::string reason;      ///< Why it was traced last.
  /// The trace used last; null before the first call.
  std::shared_ptr<const Trace> last;
  /// Traces, most recently used first.
  using Entries = std::list<std::shared_ptr<const Trace>>;
  const Entries& entries() const { return entries_; }

  /// For the garbage collector.
  int traverse(visitproc visit, void* arg) const;
  void clear();

 private:
  PyObject* call_known(PyObject* inputs, PyObject* outputs, PyObject* const* args, size_t n_args, PyObject* names);
  py::object call_exactly(PyObject* fun, PyObject* inputs, PyObject* outputs, PyObject* args, PyObject* kwargs);
  std::shared_ptr<const Trace> find(size_t hash, const TraceKey& key);
  std::shared_ptr<const Trace> trace(PyObject* fun, PyObject* inputs, PyObject* outputs, TraceKey key);
  void insert(size_t hash, std::shared_ptr<const Trace> t);

  std::recursive_mutex state_mutex_;
  Entries entries_;
  std::unordered_multimap<size_t, Entries::iterator> by_hash_;
};

/// What compile() returns (compile_function.cpp): an object that is called like a function.
py::object make_compiled(py::object cache, py::object fun, py::object inputs, py::object outputs);
void bind_compiled_function();
/// What compile_info() shows of a cache: a list of dicts.
py::list describe_traces(const CompileCache& cache, PyObject* fun);

}  // namespace mx::python
