#include "export/trace.h"

#include "base/pointer_map.h"
#include "compile/compile.h"
#include "compile/compiled_body.h"
#include "compile/program.h"
#include "control/scan.h"
#include "control/switch.h"
#include "control/while_loop.h"
#include "export/check.h"
#include "export/steps.h"
#include "graph/effects.h"
#include "graph/effects.h"
#include "graph/marker.h"
#include "ops/cast_params.h"
#include "ops/effects_params.h"
#include "runtime/eval.h"
#include "transforms/checkpoint.h"

namespace mx::exporting {

namespace {

Types types_of_arrays(std::span<const array> xs) {
  Types types;
  for (const array& x : xs) types.push_back(x.type());
  return types;
}

Arrays placeholders(const Types& types, const char* op = "export_function") {
  Arrays out;
  const char* label = placeholder_label(op);
  for (const Type& t : types) out.push_back(array::placeholder(t, label));
  return out;
}

// A graph without captured arrays, and what has to be given to it in addition.
struct Piece {
  std::shared_ptr<const Subgraph> graph;
  Arrays extra;
};

Piece closed(Extract e) {
  e.graph.input_types.insert(e.graph.input_types.end(), e.graph.captured_types.begin(), e.graph.captured_types.end());
  e.graph.captured_types.clear();
  return {std::make_shared<Subgraph>(std::move(e.graph)), std::move(e.captured)};
}

// The same graph without what a file cannot hold.
Piece closed_copy(const Subgraph& g) {
  Types types(g.input_types);
  types.insert(types.end(), g.captured_types.begin(), g.captured_types.end());
  Traced t = trace([&](const Arrays& xs) {
    std::span<const array> all(xs);
    size_t n = static_cast<size_t>(g.n_inputs());
    return replay(g, all.first(n), all.subspan(n));
  }, types);
  return closed({std::move(t.graph), std::move(t.captured)});
}

bool is_program(const Primitive& p) { return &p == &fused_p || &p == &fused_matmul_p; }

// Takes the calls made since serial `since` out of the graph above some arrays: depth first, without recursion.
class Recorder {
 public:
  enum Use { for_file, for_reading, for_reading_programs };
  Recorder(const Arrays& sources, uint64_t since, Use use = for_file) : since_(since), use_(use) {
    for (const array& s : sources) {
      number_[s.node()] = n_values_++;
      graph_.input_types.push_back(s.type());
    }
  }

  Extract run(const Arrays& outputs) {
    for (const array& o : outputs) visit(o);
    for (const array& o : outputs) graph_.outputs.push_back(number(o));
    renumber();
    return {std::move(graph_), std::move(captured_)};
  }

 private:
  // A call on its way: what it stands for in the file, and the arrays that must come before it.
  struct Frame {
    CallRecord* call;
    const Primitive* primitive;
    Params params;
    SmallVector<array, 3> in;
    bool alias;  ///< Nothing of its own: its outputs are `in`.
    size_t next = 0;
  };

  bool inside(const Node& n) const { return n.call && n.call->serial >= since_ && !n.available.load(std::memory_order_acquire); }

  int number(const array& a) { return *number_.find(a.node()); }

  // Numbers `a`, or puts its call on the stack.
  void want(const array& a) {
    if (number_.contains(a.node())) return;
    if (inside(*a.node())) {
      CallRecord* c = a.node()->call;
      auto [at, fresh] = outputs_of_.insert(c);
      if (fresh) return open(c);
      if (at->empty()) throw ValueError("[export_function] a custom rule uses an array that is computed from the result it belongs to.");
      number_[a.node()] = (*at)[a.node()->index];  // an output that had died and was made anew
      kept_.push_back(a);
      return;
    }
    number_[a.node()] = n_values_++;
    graph_.captured_types.push_back(a.type());
    captured_numbers_.push_back(n_values_ - 1);
    captured_.push_back(a);
  }

  void visit(const array& a) {
    want(a);
    while (!stack_.empty()) {
      Frame& f = stack_.back();
      if (f.next < f.in.size()) {
        array next = f.in[f.next++];
        want(next);  // may move `f`
      } else {
        close(f);
        stack_.pop_back();
      }
    }
  }

  void open(CallRecord* c) {
    Frame f{c, c->primitive, c->params, c->inputs, false};
    const Primitive* p = c->primitive;
    if (p == &marker_p) {
      f.alias = true;
    } else if (p == &compiled_p) {
      InlineCompiled form(use_ == for_reading_programs ? InlineCompiled::programs : InlineCompiled::operations);
      expand(f);
    } else if (use_ != for_file) {
      if (is_program(*p) && use_ == for_reading) expand(f);
    } else if (p == &debug_print_p) {
      // Files have no effects. What waits for this one waits for a constant.
      f.in = {array::copy_of(std::vector<char>(static_cast<size_t>(n_elems(token_shape(f)))).data(), Dtype::bool_, token_shape(f))};
      f.alias = true;
    } else if (p == &with_effects_p || p == &depends_p) {
      drop_effects(f);
    } else if (p == &checkpoint_p) {
      Piece piece = closed_copy(*c->params.get<CheckpointParams>().graph);
      f.params = CheckpointParams{piece.graph};
      append(f.in, piece.extra);
    } else if (p == &scan_p || p == &while_p || p == &switch_p) {
      close_bodies(f);
    } else if (p == &custom_p) {
      open_custom(f);
    } else if (is_program(*p) || has_opaque(c->params.to_field())) {
      if (!p->expand) params_field(*p, c->params);  // throws
      expand(f);
    }
    stack_.push_back(std::move(f));
  }

  static const Shape& token_shape(const Frame& f) { return f.params.get<ObserveParams>().batch; }

  // What is passed on, without the prints it would wait for.
  static void drop_effects(Frame& f) {
    int n_out = f.primitive == &with_effects_p ? f.params.get<EffectsParams>().n_out : f.params.get<DependsParams>().n_out;
    SmallVector<array, 3> kept;
    for (size_t i = 0; i < f.in.size(); ++i) {
      if (static_cast<int>(i) < n_out || f.in[i].primitive() != &debug_print_p) kept.push_back(f.in[i]);
    }
    f.alias = static_cast<int>(kept.size()) == n_out;
    f.in = std::move(kept);
    if (!f.alias) f.params = DependsParams{n_out}, f.primitive = &depends_p;
  }

  static void append(SmallVector<array, 3>& to, std::span<const array> more) {
    for (const array& x : more) to.push_back(x);
  }

  // The graphs that control flow holds; what they capture anew becomes an input of theirs.
  static void close_bodies(Frame& f) {
    std::span<const array> in(f.in);
    SmallVector<array, 3> all;
    if (f.primitive == &scan_p) {
      ScanLoopParams p = f.params.get<ScanLoopParams>();
      append(all, in);
      append(all, close(p.body));
      f.params = std::move(p);
    } else if (f.primitive == &while_p) {
      WhileParams p = f.params.get<WhileParams>();
      size_t split = static_cast<size_t>(p.n_carry) + static_cast<size_t>(p.n_cond);
      append(all, in.first(split));
      Arrays extra = close(p.cond);
      p.n_cond += static_cast<int>(extra.size());
      append(all, extra);
      append(all, in.subspan(split));
      append(all, close(p.body));
      f.params = std::move(p);
    } else {
      SwitchParams p = f.params.get<SwitchParams>();
      size_t at = 1 + static_cast<size_t>(p.n_operands);
      append(all, in.first(at));
      for (size_t k = 0; k < p.branches.size(); ++k) {
        size_t n = static_cast<size_t>(p.n_captured[k]);
        append(all, in.subspan(at, n));
        at += n;
        Arrays extra = close(p.branches[k]);
        p.n_captured[k] += static_cast<int64_t>(extra.size());
        append(all, extra);
      }
      f.params = std::move(p);
    }
    f.in = std::move(all);
  }
  static Arrays close(Body& body) {
    size_t n = body.graph->input_types.size();
    Piece piece = closed_copy(*body.graph);
    auto g = std::make_shared<Subgraph>(*piece.graph);
    g->captured_types.assign(g->input_types.begin() + static_cast<std::ptrdiff_t>(n), g->input_types.end());
    g->input_types.resize(n);
    body = {std::move(g), nullptr};
    return piece.extra;
  }

  void expand(Frame& f) {
    StreamScope scope(f.call->stream);
    Outs outs = f.primitive->expand(f.params, Call(*f.call));
    f.in.clear();
    for (array& o : outs) f.in.push_back(o);
    f.alias = true;
  }

  void open_custom(Frame& f) {
    const CustomParams& p = f.params.get<CustomParams>();
    if (!p.rules->vjp && !p.rules->jvp) return expand(f);
    if ((!p.rules->vjp || vjp_graph(*p.rules)) && (!p.rules->jvp || jvp_graph(*p.rules))) return;  // came out of a file
    Arrays args(f.in.begin(), f.in.begin() + p.n_args), values(f.in.begin() + p.n_args, f.in.end());
    Types arg_types = types_of_arrays(args), value_types = types_of_arrays(values);
    size_t n = args.size(), m = values.size();
    RuleGraph vjp, jvp;
    auto rule = [&](RuleGraph& r, Types types, const Function& call) {
      LiveTrace live;
      Arrays sources = placeholders(types), some;
      for (array& x : call(sources)) {
        r.given.push_back(x.defined());
        if (x.defined()) some.push_back(std::move(x));
      }
      Piece piece = closed(Recorder(sources, live.since()).run(some));
      r.graph = piece.graph;
      r.n_primals = static_cast<int>(n);
      r.first_extra = static_cast<int>(args.size());
      r.n_extra = static_cast<int>(piece.extra.size());
      args.insert(args.end(), piece.extra.begin(), piece.extra.end());
    };
    auto joined = [](Types a, const Types& b) {
      a.insert(a.end(), b.begin(), b.end());
      return a;
    };
    if (p.rules->vjp) {
      rule(vjp, joined(joined(arg_types, value_types), value_types), [&](const Arrays& xs) {
        auto at = xs.begin();
        return p.rules->vjp({at, at + n}, {at + n, at + n + m}, {at + n + m, xs.end()});
      });
    }
    if (p.rules->jvp) {
      rule(jvp, joined(arg_types, arg_types), [&](const Arrays& xs) {
        return p.rules->jvp({xs.begin(), xs.begin() + n}, {xs.begin() + n, xs.end()});
      });
    }
    f.in = SmallVector<array, 3>(args.begin(), args.end());
    for (array& v : values) f.in.push_back(std::move(v));
    f.params = CustomParams{rules_by_graphs(p.rules->name, std::move(vjp), std::move(jvp)), static_cast<int>(args.size())};
  }

  void close(Frame& f) {
    std::vector<int>& outputs = outputs_of_[f.call];
    if (f.alias) {
      for (uint32_t k = 0; k < f.call->n_out; ++k) {
        outputs.push_back(number(f.in[k]));
        kept_.push_back(f.in[k]);
        if (const Node* out = f.call->peek_output(k)) number_[out] = outputs.back();
      }
      return;
    }
    Step step{f.primitive, std::move(f.params), {}, {}, {}, {}, f.call->origin};
    for (const array& in : f.in) {
      step.in.push_back(number(in));
      kept_.push_back(in);
    }
    Types inferred;
    for (uint32_t k = 0; k < f.call->n_out; ++k) {
      array out = f.call->living_output(k);
      if (out.defined()) {
        number_[out.node()] = n_values_;
        step.types.push_back(out.type());
      } else {
        if (inferred.empty()) inferred = f.primitive->infer(f.call->params, Call(*f.call));
        step.types.push_back(inferred[k]);
      }
      outputs.push_back(n_values_);
      step.out.push_back(n_values_++);
    }
    graph_.steps.push_back(std::move(step));
  }

  // Inputs, then captured arrays, then steps.
  void renumber() {
    std::vector<int> now(static_cast<size_t>(n_values_), -1);
    int next = 0;
    for (; next < graph_.n_inputs(); ++next) now[static_cast<size_t>(next)] = next;
    for (int c : captured_numbers_) now[static_cast<size_t>(c)] = next++;
    for (Step& s : graph_.steps) {
      for (int& i : s.in) i = now[static_cast<size_t>(i)];
      for (int& o : s.out) o = now[static_cast<size_t>(o)] = next++;
    }
    for (int& o : graph_.outputs) o = now[static_cast<size_t>(o)];
    graph_.n_slots = next;
  }

  uint64_t since_;
  Use use_;
  Subgraph graph_;
  Arrays captured_;
  std::vector<int> captured_numbers_;
  PointerMap<int> number_;
  PointerMap<std::vector<int>> outputs_of_;  ///< Numbers of a call's outputs; empty while it is on the stack.
  std::vector<Frame> stack_;
  Arrays kept_;  ///< Numbered nodes must not die and leave their address to others.
  int n_values_ = 0;
};

}  // namespace

const char* export_source(const Primitive& p) {
  if (&p == &debug_print_p) return "dropped";
  return find_check(p) ? "kept" : &p == &marker_p || is_program(p) || &p == &compiled_p || &p == &with_effects_p ? "inlined" : "none";
}

Traced trace(const Function& f, const Types& inputs, uint64_t* progress) {
  LiveTrace live;
  InlineCompiled inlined;
  Effects none;  // A file has none.
  Arrays sources = placeholders(inputs), outputs;
  auto made = [&] { return next_serial() - live.since(); };
  try {
    outputs = f(sources);
  } catch (...) {
    if (progress) *progress = made();
    throw;
  }
  Traced t;
  t.progress = made();
  if (progress) *progress = t.progress;
  Extract e = Recorder(sources, live.since()).run(outputs);
  t.graph = std::move(e.graph);
  t.captured = std::move(e.captured);
  return t;
}

Traced trace_for_reading(const Function& f, const Types& inputs, const char* op, bool open_programs) {
  LiveTrace live;
  InlineCompiled inlined(open_programs ? InlineCompiled::operations : InlineCompiled::programs);
  Effects effects;
  Arrays sources = placeholders(inputs, op), outputs = f(sources), all = effects.take();
  auto n = static_cast<ptrdiff_t>(all.size());
  all.insert(all.end(), outputs.begin(), outputs.end());
  Extract e = Recorder(sources, live.since(), open_programs ? Recorder::for_reading : Recorder::for_reading_programs).run(all);
  e.graph.outputs.erase(e.graph.outputs.begin(), e.graph.outputs.begin() + n);
  Traced t;
  t.graph = std::move(e.graph);
  t.captured = std::move(e.captured);
  return t;
}

}  // namespace mx::exporting
