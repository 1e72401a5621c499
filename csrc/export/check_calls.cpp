// Calls that hold a graph: checkpoints, control flow, and custom functions whose rules are graphs (steps.h). The graphs
// themselves have been checked step by step; here, that they fit the call.

#include "control/scan.h"
#include "control/switch.h"
#include "control/while_loop.h"
#include "export/check.h"
#include "export/steps.h"
#include "transforms/checkpoint.h"

namespace mx::exporting {

namespace {

// Captured arrays follow the inputs.
void takes(const Subgraph& g, const Types& types) {
  Types all(g.input_types);
  all.insert(all.end(), g.captured_types.begin(), g.captured_types.end());
  require(all == types, "a graph for inputs of other types");
}

void append(Types& types, const Call& c, int from, int to) {
  for (int i = from; i < to; ++i) types.push_back(c.in(i).type());
}

void custom_rule(const RuleGraph& r, const CustomParams& p, const Call& c, bool vjp) {
  require(r.n_primals <= p.n_args && r.first_extra + r.n_extra <= p.n_args, "a rule for more arguments than there are");
  Types types;
  append(types, c, 0, r.n_primals);
  if (vjp) {
    append(types, c, p.n_args, c.n_in());
    append(types, c, p.n_args, c.n_in());
  } else {
    append(types, c, 0, r.n_primals);
  }
  append(types, c, r.first_extra, r.first_extra + r.n_extra);
  takes(*r.graph, types);
  size_t n = static_cast<size_t>(vjp ? r.n_primals : c.n_in() - p.n_args);
  require(r.given.size() == n, "a rule with a wrong number of results");
}

// The outputs of a body begin with these types.
void gives(const Types& outs, const Types& types, bool only) {
  require(only ? outs.size() == types.size() : outs.size() >= types.size(), "a body with a wrong number of results");
  require(std::equal(types.begin(), types.end(), outs.begin()), "a body that gives other types");
}

void there(const Body& b) { require(b.graph != nullptr, "control flow without a body"); }

void scan(const ScanLoopParams& p, const Call& c) {
  there(p.body);
  require(p.n_carry >= 0 && p.n_x >= 0 && p.length >= 0 && p.n_x <= c.n_in() && p.n_carry <= c.n_in() - p.n_x, "a loop of a wrong size");
  Types types, carry;
  append(carry, c, 0, p.n_carry);
  types = carry;
  for (int i = p.n_carry; i < p.n_carry + p.n_x; ++i) {
    ndim_of(c.in(i), 1);
    require(c.in(i).shape(0) == p.length, "a loop over another number of steps");
    types.push_back({c.in(i).dtype(), without_axis(c.in(i).shape(), 0)});
  }
  append(types, c, p.n_carry + p.n_x, c.n_in());
  takes(*p.body.graph, types);
  gives(p.body.output_types(), carry, false);
}

void while_loop(const WhileParams& p, const Call& c) {
  there(p.cond);
  there(p.body);
  require(p.n_carry >= 0 && p.n_cond >= 0 && p.n_cond <= c.n_in() && p.n_carry <= c.n_in() - p.n_cond && p.max_steps >= -1, "a loop of a wrong size");
  Types carry, cond, body;
  append(carry, c, 0, p.n_carry);
  cond = body = carry;
  append(cond, c, p.n_carry, p.n_carry + p.n_cond);
  append(body, c, p.n_carry + p.n_cond, c.n_in());
  takes(*p.cond.graph, cond);
  gives(p.cond.output_types(), {{Dtype::bool_, {}}}, true);
  takes(*p.body.graph, body);
  gives(p.body.output_types(), carry, true);
}

void switch_case(const SwitchParams& p, const Call& c) {
  require(!p.branches.empty() && p.n_captured.size() == p.branches.size(), "a choice without branches");
  require(p.n_operands >= 0 && p.n_operands < c.n_in(), "a choice of a wrong size");
  dtype_is(c.in(0), Dtype::int32);
  shape_is(c.in(0), {});
  Types operands;
  append(operands, c, 1, 1 + p.n_operands);
  int at = 1 + p.n_operands;
  for (size_t k = 0; k < p.branches.size(); ++k) {
    there(p.branches[k]);
    require(p.n_captured[k] >= 0 && p.n_captured[k] <= c.n_in() - at, "a branch of a wrong size");
    Types types(operands);
    append(types, c, at, at + static_cast<int>(p.n_captured[k]));
    at += static_cast<int>(p.n_captured[k]);
    takes(*p.branches[k].graph, types);
    gives(p.branches[k].output_types(), p.branches[0].output_types(), true);
  }
  n_inputs(c, at);
}

}  // namespace

Checks call_checks() {
  return {
      check_of<ScanLoopParams>(scan_p, scan),
      check_of<WhileParams>(while_p, while_loop),
      check_of<SwitchParams>(switch_p, switch_case),
      check_of<CheckpointParams>(checkpoint_p, [](auto& p, const Call& c) {
        require(p.graph != nullptr, "a checkpoint without a graph");
        Types types;
        append(types, c, 0, c.n_in());
        takes(*p.graph, types);
      }),
      check_of<CustomParams>(custom_p, [](auto& p, const Call& c) {
        require(p.rules && p.n_args >= 0 && p.n_args < c.n_in(), "a custom function without results");
        if (const RuleGraph* r = vjp_graph(*p.rules)) custom_rule(*r, p, c, true);
        if (const RuleGraph* r = jvp_graph(*p.rules)) custom_rule(*r, p, c, false);
      }),
  };
}

}  // namespace mx::exporting
