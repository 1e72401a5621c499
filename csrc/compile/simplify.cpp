// simplify.cpp — markers, common subexpressions and dead code, on a traced graph.

#include <numeric>
#include <unordered_map>

#include "compile/compile.h"
#include "graph/marker.h"

namespace mx {

namespace {

size_t hash_step(const Step& s) {
  size_t h = detail::mix(static_cast<size_t>(s.primitive->id), s.params.hash());
  for (int i : s.in) h = detail::mix(h, static_cast<size_t>(i));
  return h;
}

bool same_step(const Step& a, const Step& b) {
  return a.primitive == b.primitive && a.in == b.in && a.stream == b.stream && a.params == b.params && a.types == b.types;
}

}  // namespace

void drop_markers(Subgraph& g) {
  std::vector<int> now(static_cast<size_t>(g.n_slots));
  std::iota(now.begin(), now.end(), 0);
  std::erase_if(g.steps, [&](Step& s) {
    for (int& i : s.in) i = now[static_cast<size_t>(i)];
    if (s.primitive != &marker_p) return false;
    now[static_cast<size_t>(s.out[0])] = s.in[0];
    return true;
  });
  for (int& o : g.outputs) o = now[static_cast<size_t>(o)];
}

void merge_common_steps(Subgraph& g) {
  std::vector<int> now(static_cast<size_t>(g.n_slots));
  std::iota(now.begin(), now.end(), 0);
  std::unordered_multimap<size_t, size_t> seen;  // hash -> index of a kept step
  std::vector<Step> kept;
  for (Step& s : g.steps) {
    for (int& i : s.in) i = now[static_cast<size_t>(i)];
    size_t h = hash_step(s);
    auto [first, last] = seen.equal_range(h);
    auto twin = std::find_if(first, last, [&](const auto& entry) { return same_step(kept[entry.second], s); });
    if (twin != last) {
      const Step& t = kept[twin->second];
      for (size_t k = 0; k < s.out.size(); ++k) now[static_cast<size_t>(s.out[k])] = t.out[k];
      continue;
    }
    seen.emplace(h, kept.size());
    kept.push_back(std::move(s));
  }
  for (int& o : g.outputs) o = now[static_cast<size_t>(o)];
  g.steps = std::move(kept);
}

void drop_dead_steps(Subgraph& g) {
  std::vector<bool> used(static_cast<size_t>(g.n_slots));
  for (int o : g.outputs) used[static_cast<size_t>(o)] = true;
  std::vector<Step> kept;
  for (size_t i = g.steps.size(); i-- > 0;) {
    Step& s = g.steps[i];
    if (std::none_of(s.out.begin(), s.out.end(), [&](int o) { return used[static_cast<size_t>(o)]; })) continue;
    for (int in : s.in) used[static_cast<size_t>(in)] = true;
    kept.push_back(std::move(s));
  }
  std::reverse(kept.begin(), kept.end());
  g.steps = std::move(kept);
}

}  // namespace mx
