#include "export/dot.h"

#include <map>

#include "base/pointer_map.h"
#include "graph/primitive.h"

namespace mx {

namespace {

std::string quoted(std::string_view s) {
  std::string out = "\"";
  for (char c : s) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out + '"';
}

bool is_source(const Node& n) { return !n.call || n.available.load(std::memory_order_acquire); }

// The calls above, inputs before outputs, in the order of a depth-first walk; and the sources, as they are met.
struct Walk {
  std::vector<CallRecord*> calls;
  std::vector<const Node*> sources;
  PointerMap<bool> seen;

  void visit(const array& a) {
    std::vector<std::pair<CallRecord*, size_t>> stack;
    enter(a, stack);
    while (!stack.empty()) {
      auto& [call, next] = stack.back();
      if (next < call->inputs.size()) {
        enter(call->inputs[next++], stack);
      } else {
        calls.push_back(call);
        stack.pop_back();
      }
    }
  }

  void enter(const array& a, std::vector<std::pair<CallRecord*, size_t>>& stack) {
    const Node* n = a.node();
    if (is_source(*n)) {
      if (seen.insert(n).second) sources.push_back(n);
    } else if (seen.insert(n->call).second) {
      stack.emplace_back(n->call, 0);
    }
  }
};

}  // namespace

std::string array_letters(size_t n) {
  std::string out;
  for (++n; n > 0; n = (n - 1) / 26) out.insert(out.begin(), static_cast<char>('A' + (n - 1) % 26));
  return out;
}

std::string to_dot(const Arrays& outputs, const std::vector<std::pair<std::string, array>>& names) {
  PointerMap<std::string> name_of;
  std::map<std::string, bool> taken;
  for (const auto& [name, a] : names) {
    name_of[a.node()] = name;
    taken[name] = true;
  }
  size_t next = 0;
  auto name = [&](const Node* n) {
    std::string& s = name_of[n];
    while (s.empty()) {
      std::string fresh = array_letters(next++);
      if (!taken.contains(fresh)) s = fresh;
    }
    return quoted(s);
  };
  Walk walk;
  for (const array& o : outputs) walk.visit(o);
  PointerMap<bool> used;
  for (CallRecord* c : walk.calls) {
    for (const array& in : c->inputs) used[in.node()] = true;
  }
  std::string out = "digraph {\n";
  for (const Node* n : walk.sources) out += cat("{ rank=source; ", name(n), "; }\n");
  Arrays kept;  // outputs that had died and have been made anew
  for (size_t k = 0; k < walk.calls.size(); ++k) {
    CallRecord* c = walk.calls[k];
    out += cat("{ ", k, " [label =", quoted(c->primitive->name), ", shape=rectangle]; }\n");
    for (const array& in : c->inputs) out += cat(name(in.node()), " -> ", k, '\n');
    for (uint32_t i = 0; i < c->n_out; ++i) {
      kept.push_back(c->output(i));
      const Node* n = kept.back().node();
      out += cat("{ ", used.contains(n) ? "" : "rank=sink; ", name(n), "; }\n", k, " -> ", name(n), '\n');
    }
  }
  return out + "}\n";
}

}  // namespace mx
