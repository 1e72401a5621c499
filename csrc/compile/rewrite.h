// rewrite.h — the list of rewrites: each looks at one step on its way into a GraphWriter and may name a simpler value for
// its output. Results keep their dtype and differ from the original's by rounding at most, where the comment says so.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "compile/simplify.h"

namespace mx {

struct Rewrite {
  std::string_view name;
  /// The operations that it is shown; empty: all.
  std::vector<const Primitive*> of;
  /// The value that stands for the step's only output, or nothing. May add steps, which are rewritten in turn.
  std::optional<int> (*apply)(GraphWriter& w, const Step& s);
  /// Also where the graph will be differentiated.
  bool always = false;
};

/// In the order in which they are tried.
std::span<const Rewrite> rewrites();
/// Those for an operation.
std::span<const Rewrite* const> rewrites_of(const Primitive& p);

/// Switches one off or on again, everywhere: for tests. Throws ValueError for a name that is not in the list.
void enable_rewrite(std::string_view name, bool on);
bool rewrite_enabled(const Rewrite& r);

/// Products whose only use is a sum become addmm, in a finished graph: one rounding fewer. The last rewrite: it must know
/// how often values are used.
void join_products_and_sums(Subgraph& graph);

}  // namespace mx
