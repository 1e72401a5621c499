// fit.h — from the values that a number took in several traces to the rule that gives them.
//
// A Fitter knows, for every trace, the sizes of all arrays that come before the number in question. It looks for an
// exact rule in this order: an affine function of one size, of a product of sizes of one array, a polynomial in the
// sizes that may change, a quotient rounded down. A rule is only returned if it gives the value of every trace.
#pragma once

#include <functional>
#include <map>
#include <optional>

#include "export/expr.h"

namespace mx::exporting {

/// One value for each trace.
using Values = std::vector<int64_t>;

class Fitter {
 public:
  /// `symbols[i]`: the values of a size that may change, and where it is found.
  struct Symbol {
    Values values;
    int slot, axis;
  };
  explicit Fitter(std::vector<Symbol> symbols) : symbols_(std::move(symbols)) {}

  /// Makes a size known: axis `axis` of slot `slot`, with its value in each trace.
  void add(int slot, int axis, const Values& values);

  /// The rule for an integer of a step with inputs in `slots`, whose shapes are `shapes[trace][i]`.
  std::optional<Expr> integer(const Values& v, const std::vector<int>& slots, const std::vector<std::vector<Shape>>& shapes) const;
  /// The rule for a real number; `same(i, x)` says whether x is the value in trace i.
  std::optional<Scaled> real(const std::vector<double>& v, const std::function<bool(size_t, double)>& same) const;

 private:
  std::optional<Expr> affine(const Values& v, const Values& x, const Expr& e) const;
  std::optional<Expr> products(const Values& v, const std::vector<int>& slots, const std::vector<std::vector<Shape>>& shapes) const;
  std::optional<Expr> polynomial(const Values& v) const;
  static std::optional<Expr> quotient(const Values& v, std::span<const Symbol> symbols);
  static std::optional<Expr> rounded(const Values& v, const Symbol& s);
  std::optional<Expr> known(const Values& v) const;

  std::vector<Symbol> symbols_;
  struct Size {
    int slot, axis;
    Values values;
  };
  std::map<Values, Size> sizes_;  ///< By shape of the values: what affine functions of one another share.
};

}  // namespace mx::exporting
