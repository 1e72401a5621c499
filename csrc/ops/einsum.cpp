// einsum.cpp — sums of products by index names. Subscripts are parsed into labels (letters, and numbers for
// the dimensions that "..." stands for); each operand is reduced to distinct labels; then two operands at a
// time are contracted by a batched matrix product until one is left. Start at einsum().

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>

#include "ops/cast.h"
#include "ops/elementwise.h"
#include "ops/matmul.h"
#include "ops/movement.h"
#include "ops/reduce.h"

namespace mx {

namespace {

using Labels = std::vector<int>;

// Labels from here on are dimensions of "...", counted so that the last of every operand is the same one.
constexpr int kEllipsis = 1000;

bool holds(const Labels& labels, int l) { return std::find(labels.begin(), labels.end(), l) != labels.end(); }

struct Parsed {
  std::vector<Labels> in;
  Labels out;
  std::map<int, int64_t> size;
};

[[noreturn]] void refuse(std::string_view subscripts, const std::string& why) {
  throw ValueError(cat("[einsum] ", why, ": subscripts are '", subscripts, "'."));
}

// One term such as "ij" or "...k"; `n_ellipsis` dimensions for the dots.
Labels parse_term(std::string_view all, std::string_view term, int n_ellipsis) {
  Labels labels;
  bool dots = false;
  for (size_t i = 0; i < term.size(); ++i) {
    char c = term[i];
    if (c == '.') {
      if (term.substr(i, 3) != "..." || dots) refuse(all, "dots must come as one '...' in a term");
      for (int k = 0; k < n_ellipsis; ++k) labels.push_back(kEllipsis - n_ellipsis + k);
      dots = true;
      i += 2;
    } else if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
      labels.push_back(c);
    } else {
      bool ascii = static_cast<unsigned char>(c) < 128;  // half of another character would not be text
      refuse(all, cat("an index must be a letter from a to z or A to Z", ascii ? cat(", not '", c, "'") : std::string()));
    }
  }
  return labels;
}

std::vector<std::string> split_terms(const std::string& text) {
  std::vector<std::string> terms(1);
  for (char c : text) {
    if (c == ',') {
      terms.emplace_back();
    } else {
      terms.back() += c;
    }
  }
  return terms;
}

Parsed parse(std::string_view subscripts, const Arrays& operands) {
  std::string text;
  for (char c : subscripts) {
    if (c != ' ') text += c;
  }
  size_t arrow = text.find("->");
  std::vector<std::string> terms = split_terms(text.substr(0, arrow));
  if (operands.empty()) throw ValueError("[einsum] there is no operand; need at least one array.");
  if (terms.size() != operands.size()) {
    throw ValueError(cat("[einsum] ", terms.size(), " terms for ", operands.size(), " operands: subscripts are '", subscripts,
                         "'; need one term per operand, separated by commas."));
  }
  Parsed p;
  int most_dots = 0;
  for (size_t k = 0; k < terms.size(); ++k) {
    const Shape& shape = operands[k].shape();
    auto letters = static_cast<int>(std::count_if(terms[k].begin(), terms[k].end(), [](char c) { return c != '.'; }));
    bool dots = terms[k].find('.') != std::string::npos;
    int rest = static_cast<int>(shape.size()) - letters;
    Labels labels = parse_term(subscripts, terms[k], dots ? std::max(rest, 0) : 0);
    if (rest < 0 || (!dots && rest > 0)) {
      throw ValueError(cat("[einsum] term ", k, " does not fit its operand: '", terms[k], "' names ", letters, " dimension",
                           letters == 1 ? "" : "s", ", the operand has shape ", shape, "; need ", dots ? "no more indices than" : "one index for each of its",
                           dots ? " it has dimensions." : " dimensions, or '...'."));
    }
    if (dots) most_dots = std::max(most_dots, rest);
    for (size_t d = 0; d < labels.size(); ++d) {
      auto [known, fresh] = p.size.try_emplace(labels[d], shape[d]);
      if (fresh || known->second == shape[d] || shape[d] == 1) continue;
      if (known->second != 1) {
        std::string index = labels[d] < 256 ? cat("index '", static_cast<char>(labels[d]), "'") : std::string("'...'");
        throw ValueError(cat("[einsum] ", index, " has two sizes: ", known->second, " and, in operand ", k, " of shape ", shape, ", ",
                             shape[d], "; need equal sizes, or 1."));
      }
      known->second = shape[d];
    }
    p.in.push_back(std::move(labels));
  }
  if (arrow != std::string::npos) {
    p.out = parse_term(subscripts, text.substr(arrow + 2), most_dots);
    for (size_t i = 0; i < p.out.size(); ++i) {
      if (!p.size.count(p.out[i])) refuse(subscripts, cat("the output has index '", static_cast<char>(p.out[i]), "', which no operand has"));
      if (std::count(p.out.begin(), p.out.end(), p.out[i]) > 1) {
        refuse(subscripts, cat("the output has index '", static_cast<char>(p.out[i]), "' twice"));
      }
    }
    return p;
  }
  // Without an arrow: the dots, then every letter that occurs once, in alphabetical order.
  for (int k = 0; k < most_dots; ++k) p.out.push_back(kEllipsis - most_dots + k);
  for (const auto& [label, size] : p.size) {
    auto n = std::count(text.begin(), text.end(), static_cast<char>(label));
    if (label < 256 && n == 1) p.out.push_back(label);
  }
  return p;
}

// An array whose dimensions are distinct labels.
struct Term {
  array value;
  Labels labels;
};

int position(const Labels& labels, int l) { return static_cast<int>(std::find(labels.begin(), labels.end(), l) - labels.begin()); }

// Repeated labels become a diagonal; dimensions that only broadcast go.
Term distinct(array x, Labels labels, const Parsed& p) {
  for (size_t i = 0; i < labels.size();) {
    int l = labels[i];
    if (x.shape()[i] == 1 && p.size.at(l) != 1) {
      x = squeeze(x, static_cast<int>(i));
      labels.erase(labels.begin() + static_cast<std::ptrdiff_t>(i));
      continue;
    }
    auto again = std::find(labels.begin() + static_cast<std::ptrdiff_t>(i) + 1, labels.end(), l);
    if (again == labels.end()) {
      ++i;
      continue;
    }
    int j = static_cast<int>(again - labels.begin());
    if (x.shape()[static_cast<size_t>(j)] == 1 && x.shape()[i] != 1) {
      x = squeeze(x, j);
      labels.erase(again);
      continue;
    }
    x = diagonal(x, 0, static_cast<int>(i), j);  // The common dimension comes last.
    labels.erase(again);
    labels.erase(labels.begin() + static_cast<std::ptrdiff_t>(i));
    labels.push_back(l);
  }
  return {std::move(x), std::move(labels)};
}

// Sums over the labels that nothing else needs.
Term sum_out(Term t, const std::set<int>& needed) {
  Axes axes;
  Labels rest;
  for (size_t i = 0; i < t.labels.size(); ++i) {
    if (needed.count(t.labels[i])) {
      rest.push_back(t.labels[i]);
    } else {
      axes.push_back(static_cast<int>(i));
    }
  }
  if (axes.empty()) return t;
  return {sum(t.value, axes), std::move(rest)};
}

array in_order(const Term& t, const Labels& order) {
  Axes axes;
  for (int l : order) axes.push_back(position(t.labels, l));
  return axes.empty() ? t.value : transpose(t.value, axes);
}

int64_t extent(const Parsed& p, const Labels& labels) {
  int64_t n = 1;
  for (int l : labels) n *= p.size.at(l);
  return n;
}

// Shape of t's value with dimensions `order`, 1 where t lacks the label.
array aligned(const Term& t, const Labels& order) {
  Labels own;
  Shape shape;
  for (int l : order) {
    bool has = holds(t.labels, l);
    if (has) own.push_back(l);
    shape.push_back(has ? t.value.shape(position(t.labels, l)) : 1);
  }
  return reshape(in_order(t, own), shape);
}

// a (batch, free_a, summed) · b (batch, summed, free_b) -> (batch, free_a, free_b)
Term contract(const Parsed& p, const Term& a, const Term& b, const std::set<int>& needed) {
  Labels batch, summed, free_a, free_b;
  for (int l : a.labels) {
    bool shared = holds(b.labels, l);
    (shared ? (needed.count(l) ? batch : summed) : free_a).push_back(l);
  }
  for (int l : b.labels) {
    if (!holds(a.labels, l)) free_b.push_back(l);
  }
  Labels out(batch);
  out.insert(out.end(), free_a.begin(), free_a.end());
  out.insert(out.end(), free_b.begin(), free_b.end());
  if (summed.empty()) return {multiply(aligned(a, out), aligned(b, out)), out};

  auto order = [](const Labels& x, const Labels& y, const Labels& z) {
    Labels all(x);
    all.insert(all.end(), y.begin(), y.end());
    all.insert(all.end(), z.begin(), z.end());
    return all;
  };
  Shape shape;
  for (int l : out) shape.push_back(p.size.at(l));
  if (batch.empty()) {
    Axes axes_a, axes_b;
    for (int l : summed) {
      axes_a.push_back(position(a.labels, l));
      axes_b.push_back(position(b.labels, l));
    }
    return {tensordot(a.value, b.value, axes_a, axes_b), out};
  }
  if (!is_inexact(a.value.dtype())) {
    // Integers have no batched product of their own.
    Labels all = order(out, summed, {});
    Axes axes;
    for (size_t i = out.size(); i < all.size(); ++i) axes.push_back(static_cast<int>(i));
    return {sum(multiply(aligned(a, all), aligned(b, all)), axes), out};
  }
  int64_t n_batch = extent(p, batch), m = extent(p, free_a), k = extent(p, summed), n = extent(p, free_b);
  array x = reshape(in_order(a, order(batch, free_a, summed)), {n_batch, m, k});
  array y = reshape(in_order(b, order(batch, summed, free_b)), {n_batch, k, n});
  return {reshape(matmul(x, y), shape), out};
}

// Labels that the output or any operand but i and j has.
std::set<int> needed_beside(const Parsed& p, const std::vector<Labels>& terms, size_t i, size_t j) {
  std::set<int> needed(p.out.begin(), p.out.end());
  for (size_t k = 0; k < terms.size(); ++k) {
    if (k != i && k != j) needed.insert(terms[k].begin(), terms[k].end());
  }
  return needed;
}

struct Step {
  size_t i, j;    // Positions among the operands left; i < j.
  double flops;
  size_t n_labels;  // That take part.
};

// The pair that shrinks the operands most; among equals, the cheapest. Pairs without a common label come last.
Step best_pair(const Parsed& p, const std::vector<Labels>& terms) {
  auto size = [&](const auto& labels) {
    double n = 1;
    for (int l : labels) n *= static_cast<double>(p.size.at(l));
    return n;
  };
  std::optional<Step> best;
  std::array<double, 3> best_key{};
  for (size_t i = 0; i < terms.size(); ++i) {
    for (size_t j = i + 1; j < terms.size(); ++j) {
      std::set<int> both(terms[i].begin(), terms[i].end()), needed = needed_beside(p, terms, i, j), kept;
      both.insert(terms[j].begin(), terms[j].end());
      for (int l : both) {
        if (needed.count(l)) kept.insert(l);
      }
      bool apart = std::none_of(terms[i].begin(), terms[i].end(), [&](int l) { return holds(terms[j], l); });
      double flops = size(both) * (kept.size() < both.size() ? 2 : 1);
      std::array<double, 3> key{apart ? 1.0 : 0.0, size(kept) - size(terms[i]) - size(terms[j]), flops};
      if (!best || key < best_key) {
        best = Step{i, j, flops, both.size()};
        best_key = key;
      }
    }
  }
  return *best;
}

std::vector<Step> plan(const Parsed& p, std::vector<Labels> terms) {
  std::vector<Step> steps;
  while (terms.size() > 1) {
    Step s = best_pair(p, terms);
    std::set<int> needed = needed_beside(p, terms, s.i, s.j);
    Labels kept;
    for (const Labels* from : {&terms[s.i], &terms[s.j]}) {
      for (int l : *from) {
        if (needed.count(l) && !holds(kept, l)) kept.push_back(l);
      }
    }
    terms.erase(terms.begin() + static_cast<std::ptrdiff_t>(s.j));
    terms.erase(terms.begin() + static_cast<std::ptrdiff_t>(s.i));
    terms.push_back(std::move(kept));
    steps.push_back(s);
  }
  return steps;
}

}  // namespace

array einsum(std::string_view subscripts, const Arrays& operands) {
  Parsed p = parse(subscripts, operands);
  Dtype t = operands[0].dtype();
  for (const array& x : operands) t = promote(t, x.dtype());
  std::vector<Term> terms;
  for (size_t k = 0; k < operands.size(); ++k) terms.push_back(distinct(astype(operands[k], t), p.in[k], p));

  auto labels = [&] {
    std::vector<Labels> all;
    for (const Term& term : terms) all.push_back(term.labels);
    return all;
  };
  for (size_t k = 0; k < terms.size(); ++k) terms[k] = sum_out(std::move(terms[k]), needed_beside(p, labels(), k, k));
  for (const Step& s : plan(p, labels())) {
    Term c = contract(p, terms[s.i], terms[s.j], needed_beside(p, labels(), s.i, s.j));
    terms.erase(terms.begin() + static_cast<std::ptrdiff_t>(s.j));
    terms.erase(terms.begin() + static_cast<std::ptrdiff_t>(s.i));
    terms.push_back(std::move(c));
  }
  return in_order(terms[0], p.out);
}

std::pair<std::vector<std::vector<int>>, std::string> einsum_path(std::string_view subscripts, const Arrays& operands) {
  Parsed p = parse(subscripts, operands);
  std::vector<Labels> terms;
  std::set<int> all;
  for (const Labels& l : p.in) {
    terms.emplace_back();
    for (int x : l) {
      if (!holds(terms.back(), x)) terms.back().push_back(x);
    }
    all.insert(l.begin(), l.end());
  }
  double naive = 1, flops = 0;
  for (int l : all) naive *= static_cast<double>(p.size.at(l));
  size_t n_factors = std::max<size_t>(1, operands.size() - 1) + (all.size() > p.out.size() ? 1 : 0);
  naive *= static_cast<double>(n_factors);
  size_t scaling = 0;
  std::vector<std::vector<int>> path;
  for (const Step& s : plan(p, terms)) {
    path.push_back({static_cast<int>(s.i), static_cast<int>(s.j)});
    flops += s.flops;
    scaling = std::max(scaling, s.n_labels);
  }
  if (path.empty()) {
    path.push_back({0});
    flops = naive;
    scaling = all.size();
  }
  std::string text;
  for (char c : subscripts) {
    if (c != ' ') text += c;
  }
  // In full as long as a double counts exactly.
  auto count = [](double n) { return n < 9e15 ? cat(static_cast<int64_t>(n)) : cat(n); };
  return {path, cat("  Complete contraction:  ", text, "\n         Naive scaling:  ", all.size(), "\n     Optimized scaling:  ", scaling,
                    "\n      Naive FLOP count:  ", count(naive), "\n  Optimized FLOP count:  ", count(flops), "\n")};
}

}  // namespace mx
