// steps.h — calls as data and back: the part of the format that knows what a graph is.
//
// A step is [primitive, parameters, inputs, types of the outputs]. Reading one checks it wholly: the primitive is
// known and its parameters fit its struct, the call is one that the library could have made (check.h), and its
// infer rule gives the types that the file states. So what was read can be run like what was traced.
#pragma once

#include <memory>

#include "export/bytes.h"
#include "graph/subgraph.h"
#include "transforms/custom.h"

namespace mx::exporting {

Field to_field(const Type& t);
Type type_of(const Field& f);
Field to_field(const Types& ts);
Types types_of(const Field& f);

/// The parameters as data. Throws ValueError, naming the primitive, if a file cannot hold them.
Field params_field(const Primitive& p, const Params& params);
/// The inverse. `depth` counts the graphs around.
Params params_of(const Primitive& p, const Field& f, int depth = 0);

Field to_field(const Step& s);
/// The step, whose inputs are among `slots` (arrays of the right types); appends its outputs to `slots`.
Step step_of(const Field& f, Arrays& slots, int depth = 0);

/// For graphs within parameters: nothing captured.
Field to_field(const Subgraph& g);
std::shared_ptr<const Subgraph> graph_of(const Field& f, int depth);

/// The types of a call's outputs: checked, and inferred. Throws ValueError if the call cannot be.
Types checked_types(const Primitive& p, const Params& params, const SmallVector<array, 3>& in);

/// The same calls on other arrays, on the current stream. Unlike replay(), which keeps the streams of the trace.
Arrays run(const Subgraph& g, std::span<const array> inputs, std::span<const array> captured);

/// The primitive of this name, or null.
const Primitive* find_primitive(std::string_view name);
/// Where a primitive's parameters hold what files cannot: export replaces it by its expansion.
bool has_opaque(const Field& f);

// ---- rules that users gave to custom functions, as graphs

/// One rule. The graph's inputs are those of the rule (primals and cotangents and outputs, or primals and tangents),
/// then the arrays it captured. Those are further arguments of the custom call, with a zero derivative.
struct RuleGraph {
  std::shared_ptr<const Subgraph> graph;  ///< Null: there is no such rule.
  std::vector<bool> given;                ///< Which results the rule gave; the others are zero.
  int n_primals = 0;                      ///< Of the call as it was traced.
  int first_extra = 0;                    ///< Among the call's arguments.
  int n_extra = 0;
};
struct VjpByGraph {
  RuleGraph rule;
  Arrays operator()(const Arrays& primals, const Arrays& cts, const Arrays& outs) const;
};
struct JvpByGraph {
  RuleGraph rule;
  Arrays operator()(const Arrays& primals, const Arrays& tangents) const;
};
/// Rules that run these graphs.
std::shared_ptr<const CustomRules> rules_by_graphs(std::string name, RuleGraph vjp, RuleGraph jvp);
/// The graph of a rule that is one already, else null.
const RuleGraph* vjp_graph(const CustomRules& rules);
const RuleGraph* jvp_graph(const CustomRules& rules);

}  // namespace mx::exporting
