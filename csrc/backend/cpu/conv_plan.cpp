// conv_plan.cpp — taps and phases of an axis.

#include "backend/cpu/conv_plan.h"

#include <algorithm>
#include <numeric>

namespace mx::cpu {

namespace {

// Whether some output of the phase reads inside of the input through this tap, and whether all do.
bool meets(const Phase& p, int64_t at, int64_t in) {
  int64_t j = at >= 0 ? 0 : (-at + p.stride - 1) / p.stride;
  return j < p.count && at + j * p.stride < in;
}
bool stays_inside(const Phase& p, int64_t at, int64_t in) { return at >= 0 && at + (p.count - 1) * p.stride < in; }

}  // namespace

std::vector<Phase> plan_axis(const ConvAxis& a) {
  int64_t common = std::gcd(a.stride, a.input_dilation), period = a.input_dilation / common;
  std::vector<Phase> phases;
  for (int64_t r = 0; r < std::min(period, a.out); ++r) {
    Phase p{.first = r, .step = period, .count = (a.out - r + period - 1) / period, .stride = a.stride / common, .taps = {}};
    for (int64_t k = 0; k < a.kernel; ++k) {
      int64_t position = r * a.stride + k * a.kernel_dilation - a.pad;
      if (position % a.input_dilation != 0) continue;
      int64_t at = position / a.input_dilation;
      if (!meets(p, at, a.in)) continue;
      if (!p.taps.empty() && p.taps.back().at + 1 != at) p.regular = false;
      p.inside &= stays_inside(p, at, a.in);
      p.taps.push_back({k, at});
    }
    phases.push_back(std::move(p));
  }
  return phases;
}

PatchMap::PatchMap(const Conv& conv, const std::vector<const Phase*>& choice)
    : c(conv), phases(choice), last(*choice.back()), last_axis(conv.axes.back()), outer{OuterTap()}, rows(conv.batch) {
  for (const Phase* p : phases) {
    rows *= p->count;
    linear &= p->step == 1;
  }
  for (size_t d = 0; d + 1 < phases.size(); ++d) {
    std::vector<OuterTap> next;
    next.reserve(outer.size() * phases[d]->taps.size());
    for (const OuterTap& o : outer) {
      for (const Tap& t : phases[d]->taps) {
        OuterTap tap = o;
        tap.x += t.at * c.axes[d].x_stride;
        tap.w += t.k * c.axes[d].w_stride;
        tap.at.push_back(t.at);
        next.push_back(std::move(tap));
      }
    }
    outer = std::move(next);
  }
}

void PatchMap::find_segments(int64_t row, int64_t n, std::vector<Segment>& out) const {
  out.clear();
  for (int64_t done = 0; done < n;) {
    int64_t r = row + done, j = r % last.count, rest = r / last.count;
    Segment s{.row = done, .n = std::min(n - done, last.count - j), .position = j * last.stride, .x = 0,
              .out = last.first + j * last.step, .outer = {}};
    s.outer.resize(phases.size() - 1);
    int64_t scale = last_axis.out;
    for (size_t d = phases.size() - 1; d-- > 0;) {
      const Phase& p = *phases[d];
      int64_t i = rest % p.count;
      rest /= p.count;
      s.outer[d] = i * p.stride;
      s.x += s.outer[d] * c.axes[d].x_stride;
      s.out += (p.first + i * p.step) * scale;
      scale *= c.axes[d].out;
    }
    s.x += rest * c.x_batch;
    s.out += rest * scale;
    done += s.n;
    out.push_back(std::move(s));
  }
}

bool PatchMap::inside(const Segment& s, const OuterTap& o) const {
  for (size_t d = 0; d < o.at.size(); ++d) {
    int64_t i = s.outer[d] + o.at[d];
    if (i < 0 || i >= c.axes[d].in) return false;
  }
  return true;
}

void for_each_phase(const Conv& c, const std::function<void(const std::vector<const Phase*>&)>& f) {
  std::vector<std::vector<Phase>> by_axis;
  for (const ConvAxis& a : c.axes) {
    by_axis.push_back(plan_axis(a));
    std::erase_if(by_axis.back(), [](const Phase& p) { return p.taps.empty(); });
    if (by_axis.back().empty()) return;
  }
  std::vector<size_t> pick(by_axis.size(), 0);
  for (bool more = true; more;) {
    std::vector<const Phase*> phases;
    for (size_t d = 0; d < pick.size(); ++d) phases.push_back(&by_axis[d][pick[d]]);
    f(phases);
    more = false;
    for (size_t d = pick.size(); d-- > 0 && !more;) {
      more = ++pick[d] < by_axis[d].size();
      if (!more) pick[d] = 0;
    }
  }
}

bool has_empty_phase(const Conv& c) {
  for (const ConvAxis& a : c.axes) {
    for (const Phase& p : plan_axis(a)) {
      if (p.taps.empty()) return true;
    }
  }
  return false;
}

int64_t n_taps(const Conv& c) {
  int64_t n = 1;
  for (const ConvAxis& a : c.axes) n *= a.kernel;
  return n;
}

int64_t n_positions(const Conv& c) {
  int64_t n = 1;
  for (const ConvAxis& a : c.axes) n *= a.out;
  return n;
}

}  // namespace mx::cpu
