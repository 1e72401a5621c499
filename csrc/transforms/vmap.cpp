// vmap.cpp — batching. The function is traced once on placeholders of one example's type; then the batch is
// carried through that graph, call by call, with the batch axis always in front. Start at vmap_graph().

#include "transforms/vmap.h"

#include <algorithm>

#include "base/pointer_map.h"
#include "graph/effects.h"
#include "graph/marker.h"
#include "graph/walk.h"
#include "ops/create.h"
#include "ops/movement.h"
#include "transforms/rules.h"
#include "transforms/running_index.h"
#include "transforms/vmap_graph.h"

namespace mx {

namespace {

int64_t batch_size(const Arrays& inputs, const BatchAxes& in_axes, const VmapOptions& options, std::vector<int>& axes) {
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
  if (options.axis_size) {
    int64_t n = *options.axis_size;
    if (n < 0) throw ValueError(cat("[vmap] axis_size is ", n, "; need a size of at least 0."));
    if (size >= 0 && n != size) {
      throw TransformError(cat("[vmap] axis_size is ", n, " but input ", first, " of shape ", inputs[first].shape(), " has ", size,
                               " examples along axis ", axes[first], "; need equal sizes."));
    }
    size = n;
  }
  if (size < 0) throw TransformError("[vmap] no input is mapped: every in_axes is None; need at least one axis, or axis_size.");
  return size;
}

// vmap_graph() for `chunk` examples at a time. Nodes are computed in the order they were made, so that what one
// chunk needs is gone when the next begins.
Arrays by_chunks(const Arrays& outputs, const Arrays& sources, const Arrays& batched, int64_t size, int64_t chunk, uint64_t since) {
  if (size <= chunk) return vmap_graph(outputs, sources, batched, size, since);
  std::vector<Arrays> parts(outputs.size());
  for (int64_t begin = 0; begin < size; begin += chunk) {
    int64_t end = std::min(size, begin + chunk);
    Arrays some;
    for (const array& b : batched) some.push_back(slice_along(b, 0, begin, end));
    Arrays found = vmap_graph(outputs, sources, some, end - begin, since);
    for (size_t k = 0; k < found.size(); ++k) {
      if (found[k].defined()) parts[k].push_back(std::move(found[k]));
    }
  }
  Arrays result;
  for (const Arrays& part : parts) result.push_back(part.empty() ? array() : concatenate(part, 0));
  return result;
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

Arrays vmap(const Function& f, const Arrays& inputs, const BatchAxes& in_axes, const std::function<BatchAxes(size_t)>& out_axes,
            const VmapOptions& options) {
  if (options.chunk_size && *options.chunk_size < 1) {
    throw ValueError(cat("[vmap] chunk_size is ", *options.chunk_size, "; need at least 1."));
  }
  if (in_axes.size() != inputs.size()) {
    throw TransformError(cat("[vmap] ", inputs.size(), " inputs but ", in_axes.size(), " in_axes; need one per input."));
  }
  std::vector<int> axes;
  int64_t size = batch_size(inputs, in_axes, options, axes);
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
  Arrays outs, tokens;
  {
    RunningIndex running(index);
    Effects effects;
    outs = f(examples);
    tokens = effects.take();
  }
  BatchAxes places = out_axes(outs.size());
  // Effects are carried along like outputs.
  Arrays all(outs);
  all.insert(all.end(), tokens.begin(), tokens.end());
  Arrays found = by_chunks(all, sources, batched, size, options.chunk_size.value_or(std::max<int64_t>(size, 1)), trace.since());
  for (size_t k = 0; k < tokens.size(); ++k) {
    const array& token = found[outs.size() + k];
    add_effect(token.defined() ? token : tokens[k]);
  }
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
