// conv_source.cpp — cutting the depth into pieces and blocks.

#include "backend/cpu/conv_source.h"

namespace mx::cpu {

// Blocks of nearly equal depth, made of whole rows of taps where these are short, else of taps, else of channels.
Depth::Depth(const PatchMap& map, int64_t steps_of, bool joined) : per_step(steps_of), tap(ceil_div(map.c.cin, steps_of) * steps_of) {
  int64_t taps = map.n_last(), most = kBlockSteps * per_step, total = static_cast<int64_t>(map.outer.size()) * taps * tap;
  int64_t target = ceil_div(total, ceil_div(total, most + most / 3)), together = joined ? std::clamp<int64_t>(target / tap, 1, taps) : 1;
  for (size_t o = 0; o < map.outer.size(); ++o) {
    for (int64_t t = 0; t < taps; t += together) {
      int64_t end = std::min(taps, t + together);
      if (tap <= most) {
        add({o, t, end, 0, map.c.cin, 0, (end - t) * tap / per_step}, target);
        continue;
      }
      for (int64_t c = 0; c < map.c.cin; c += most) {
        int64_t c_end = std::min(map.c.cin, c + most);
        add({o, t, end, c, c_end, 0, ceil_div(c_end - c, per_step)}, target);
      }
    }
  }
  for (const Block& b : blocks) longest = std::max(longest, b.steps);
}

void Depth::add(Piece p, int64_t target) {
  if (blocks.empty() || (blocks.back().steps + p.steps / 2) * per_step > target) blocks.push_back({pieces.size(), pieces.size(), steps, 0});
  Block& b = blocks.back();
  p.step = steps;
  b.steps += p.steps;
  ++b.end;
  steps += p.steps;
  pieces.push_back(p);
}

}  // namespace mx::cpu
