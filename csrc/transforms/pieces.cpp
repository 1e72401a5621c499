#include "transforms/pieces.h"

#include <algorithm>
#include <cstdlib>

#include "graph/primitive.h"
#include "ops/elementwise.h"
#include "ops/movement_params.h"

namespace mx {

namespace {

// Beyond it looking costs more than adding.
constexpr int kMostPieces = 2048;

bool is_update(const array& a) { return a.call() && a.call()->primitive == &slice_update_p; }

// Whether the slices have no element in common, by one axis alone.
bool apart(const SliceParams& p, const SliceParams& q) {
  for (size_t d = 0; d < p.starts.size(); ++d) {
    auto ends = [d](const SliceParams& s) { return std::minmax({s.starts[d], s.starts[d] + (s.sizes[d] - 1) * s.steps[d]}); };
    auto [p_first, p_last] = ends(p);
    auto [q_first, q_last] = ends(q);
    if (p_last < q_first || q_last < p_first) return true;
    int64_t step = std::abs(p.steps[d]);
    if (step > 1 && step == std::abs(q.steps[d]) && (p_first - q_first) % step != 0) return true;
  }
  return false;
}

}  // namespace

bool is_zeros(const array& a) {
  if (!a.call() || a.call()->primitive != &broadcast_p) return false;
  const array& x = a.call()->inputs[0];
  if (x.size() != 1 || !x.available()) return false;
  const std::byte* bytes = x.bytes();
  return std::all_of(bytes, bytes + x.itemsize(), [](std::byte b) { return b == std::byte(0); });
}

array sum_of_pieces(const array& sum, const array& ct) {
  if (!is_update(sum) || !is_update(ct) || sum.dtype() != ct.dtype() || !is_zeros(ct.call()->inputs[0])) return add(sum, ct);
  const auto& piece = ct.call()->params.get<SliceParams>();
  const array* at = &sum;
  for (int n = 0; n < kMostPieces && is_update(*at); ++n) {
    if (!apart(piece, at->call()->params.get<SliceParams>())) break;
    at = &at->call()->inputs[0];
    if (is_zeros(*at)) return make_node(slice_update_p, piece, {sum, ct.call()->inputs[1]}, sum.type());
  }
  return add(sum, ct);
}

}  // namespace mx
