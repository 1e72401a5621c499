// expr.h — numbers that depend on the sizes of a call's arrays: what a shapeless function stores in place of
// the parameters and constants that its trace had for one shape. fit.cpp finds them, sizes.cpp evaluates them.
#pragma once

#include "export/bytes.h"
#include "graph/array.h"

namespace mx::exporting {

/// An integer made from sizes of arrays.
struct Expr {
  enum Kind : uint8_t {
    number,   ///< a
    size,     ///< The size of axis b of the array in slot a.
    sum,      ///< Of the items.
    product,  ///< Of the items.
    exact,    ///< items[0] / items[1], which must leave no rest.
    floor,    ///< items[0] // items[1], rounded down.
  };
  Kind kind = number;
  int64_t a = 0, b = 0;
  std::vector<Expr> items;
  bool operator==(const Expr&) const = default;
};

/// A real number made from an integer: factor * x, factor / x, and so on with sqrt(x), the fourth root, log(x).
struct Scaled {
  enum Form : uint8_t { times, over, times_root, over_root, times_fourth_root, over_fourth_root, times_log };
  Form form = times;
  double factor = 1;
  Expr x;
};

/// The value, given the shapes of the slots. Throws ValueError where it does not exist or leaves int64.
int64_t evaluate(const Expr& e, const std::vector<Shape>& slots);
double evaluate(const Scaled& s, const std::vector<Shape>& slots);
double apply(Scaled::Form form, double factor, int64_t x);

/// Below `n_slots`, slot k having `ndim(k)` axes.
void check(const Expr& e, const std::vector<Shape>& slots);

std::string str(const Expr& e);

Field to_field(const Expr& e);
Field to_field(const Scaled& s);
Expr expr_of(const Field& f);
Scaled scaled_of(const Field& f);

}  // namespace mx::exporting
