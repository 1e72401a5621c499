// vmap.cpp — batching. The function is traced once on placeholders of one example's type; then the batch is
// carried through that graph, call by call, with the batch axis always in front. Start at vmap_graph().

#include "transforms/vmap.h"

#include "base/pointer_map.h"
#include "graph/marker.h"
#include "graph/walk.h"
#include "ops/create.h"
#include "ops/movement.h"
#include "ops/random.h"
#include "transforms/rules.h"
#include "transforms/vmap_graph.h"

namespace mx {

namespace {

// The index of the running example in each vmap that encloses this thread's work, outermost first.
thread_local Arrays running_indices;

// Makes the example's index known to random draws while the function is traced.
class RunningIndex {
 public:
  explicit RunningIndex(const array& index) { running_indices.push_back(index); }
  ~RunningIndex() { running_indices.pop_back(); }
  RunningIndex(const RunningIndex&) = delete;
  RunningIndex& operator=(const RunningIndex&) = delete;
};

int64_t batch_size(const Arrays& inputs, const BatchAxes& in_axes, std::vector<int>& axes) {
  int64_t size = -1;
  size_t first = 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    axes.push_back(-1);
    if (!in_axes[i]) continue;
    if (inputs[i].ndim() == 0) {
      throw TransformError(cat("[vmap] input ", i, " is a scalar and has no axis ", *in_axes[i], " to map; use None in in_axes."));
    }
    axes[i] = normalize_axis(*in_axes[i], inputs[i].ndim(), "vmap");
    int64_t n = inputs[i].shape(axes[i]);
    if (size >= 0 && n != size) {
      throw TransformError(cat("[vmap] batch sizes differ: input ", first, " of shape ", inputs[first].shape(), " has ", size,
                               " examples along axis ", axes[first], ", input ", i, " of shape ", inputs[i].shape(), " has ", n,
                               " along axis ", axes[i], "; need equal sizes."));
    }
    if (size < 0) first = i;
    size = n;
  }
  if (size < 0) throw TransformError("[vmap] no input is mapped: every in_axes is None; need at least one axis.");
  return size;
}

}  // namespace

array example_of(const array& batched, int64_t b) {
  Shape start(batched.shape().size(), 0), stop = batched.shape();
  start[0] = b;
  stop[0] = b + 1;
  return squeeze(slice(batched, start, stop), {0});
}

array Batch::in(int i) const {
  const array& x = raw(i);
  return mapped(i) ? x : broadcast_to(expand_dims(x, {0}), with_axis(x.shape(), size_));
}

Arrays vmap_graph(const Arrays& outputs, const Arrays& sources, const Arrays& batched, int64_t size, uint64_t since) {
  PointerMap<array> carried;
  for (size_t i = 0; i < sources.size(); ++i) carried[sources[i].node()] = batched[i];
  std::vector<bool> mapped;
  for (CallRecord* call : calls_above(outputs, since)) {
    Arrays inputs;
    mapped.clear();
    bool any = false;
    for (const array& in : call->inputs) {
      array* b = carried.find(in.node());
      mapped.push_back(b != nullptr);
      inputs.push_back(b ? *b : in);
      any |= b != nullptr;
    }
    if (!any) continue;
    Outs outs = vmap_call(*call, inputs, mapped, size);
    for (uint32_t k = 0; k < call->n_out; ++k) {
      if (const Node* one = call->peek_output(k)) carried[one] = outs[k];
    }
  }
  Arrays result;
  for (const array& out : outputs) {
    array* b = carried.find(out.node());
    result.push_back(b ? *b : array());
  }
  return result;
}

Arrays vmap(const Function& f, const Arrays& inputs, const BatchAxes& in_axes, const std::function<BatchAxes(size_t)>& out_axes) {
  if (in_axes.size() != inputs.size()) {
    throw TransformError(cat("[vmap] ", inputs.size(), " inputs but ", in_axes.size(), " in_axes; need one per input."));
  }
  [[maybe_unused]] static const bool told = (random::set_batch_index_source([] { return running_indices; }), true);
  std::vector<int> axes;
  int64_t size = batch_size(inputs, in_axes, axes);
  LiveTrace trace;
  const char* label = placeholder_label("vmap");
  Arrays examples, sources, batched;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (axes[i] < 0) {
      examples.push_back(inputs[i]);
      continue;
    }
    examples.push_back(array::placeholder({inputs[i].dtype(), without_axis(inputs[i].shape(), axes[i])}, label));
    sources.push_back(examples.back());
    batched.push_back(axes[i] == 0 ? inputs[i] : moveaxis(inputs[i], axes[i], 0));
  }
  array index = array::placeholder({Dtype::int32, {}}, label);
  sources.push_back(index);
  batched.push_back(arange(size, Dtype::int32));
  Arrays outs;
  {
    RunningIndex running(index);
    outs = f(examples);
  }
  BatchAxes places = out_axes(outs.size());
  Arrays found = vmap_graph(outs, sources, batched, size, trace.since());
  Arrays result;
  for (size_t k = 0; k < outs.size(); ++k) {
    if (!places[k]) {
      if (found[k].defined()) {
        throw TransformError(cat("[vmap] output ", k, " depends on the batch but its out_axes is None; give it an axis."));
      }
      result.push_back(outs[k]);
      continue;
    }
    int place = normalize_axis(*places[k], outs[k].ndim() + 1, "vmap");
    if (found[k].defined()) {
      result.push_back(place == 0 ? found[k] : moveaxis(found[k], 0, place));
    } else {
      result.push_back(broadcast_to(expand_dims(outs[k], {place}), with_axis(outs[k].shape(), size, place)));
    }
  }
  return result;
}

}  // namespace mx
