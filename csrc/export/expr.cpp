#include "export/expr.h"

#include <cmath>

namespace mx::exporting {

namespace {

[[noreturn]] void out_of_range() { throw ValueError("[import_function] the sizes of the inputs give a size out of range."); }

int64_t narrow(__int128 x) {
  if (x > INT64_MAX || x < INT64_MIN) out_of_range();
  return static_cast<int64_t>(x);
}

}  // namespace

int64_t evaluate(const Expr& e, const std::vector<Shape>& slots) {
  switch (e.kind) {
    case Expr::number: return e.a;
    case Expr::size: return slots[static_cast<size_t>(e.a)][static_cast<size_t>(e.b)];
    case Expr::sum: {
      __int128 total = 0;
      for (const Expr& i : e.items) total = narrow(total + evaluate(i, slots));
      return static_cast<int64_t>(total);
    }
    case Expr::product: {
      __int128 total = 1;
      for (const Expr& i : e.items) total = narrow(total * evaluate(i, slots));
      return static_cast<int64_t>(total);
    }
    case Expr::exact:
    case Expr::floor: {
      __int128 n = evaluate(e.items[0], slots), d = evaluate(e.items[1], slots);
      if (d == 0) out_of_range();
      __int128 q = n / d, rest = n % d;
      if (e.kind == Expr::exact && rest != 0) {
        throw ValueError(cat("[import_function] the sizes of the inputs do not fit: ", static_cast<int64_t>(n), " is not divisible by ",
                             static_cast<int64_t>(d), "."));
      }
      if (rest != 0 && (rest < 0) != (d < 0)) --q;
      return narrow(q);
    }
  }
  return 0;
}

double apply(Scaled::Form form, double factor, int64_t n) {
  double x = static_cast<double>(n);
  switch (form) {
    case Scaled::times: return factor * x;
    case Scaled::over: return factor / x;
    case Scaled::times_root: return factor * std::sqrt(x);
    case Scaled::over_root: return factor / std::sqrt(x);
    case Scaled::times_fourth_root: return factor * std::pow(x, 0.25);
    case Scaled::over_fourth_root: return factor * std::pow(x, -0.25);
    case Scaled::times_log: return factor * std::log(x);
  }
  return 0;
}

double evaluate(const Scaled& s, const std::vector<Shape>& slots) { return apply(s.form, s.factor, evaluate(s.x, slots)); }

void check(const Expr& e, const std::vector<Shape>& slots) {
  switch (e.kind) {
    case Expr::number: break;
    case Expr::size:
      if (e.a < 0 || static_cast<size_t>(e.a) >= slots.size()) corrupt("a size of an array that comes later");
      if (e.b < 0 || static_cast<size_t>(e.b) >= slots[static_cast<size_t>(e.a)].size()) corrupt("a size of an axis that is not there");
      break;
    case Expr::exact:
    case Expr::floor:
      if (e.items.size() != 2) corrupt("a quotient without two numbers");
      break;
    default: break;
  }
  for (const Expr& i : e.items) check(i, slots);
}

std::string str(const Expr& e) {
  auto joined = [&](const char* op) {
    std::string out;
    for (const Expr& i : e.items) out += (out.empty() ? "" : op) + str(i);
    return "(" + out + ")";
  };
  switch (e.kind) {
    case Expr::number: return std::to_string(e.a);
    case Expr::size: return cat("%", e.a, ".shape[", e.b, "]");
    case Expr::sum: return joined(" + ");
    case Expr::product: return joined(" * ");
    case Expr::exact: return joined(" / ");
    case Expr::floor: return joined(" // ");
  }
  return "";
}

Field to_field(const Expr& e) {
  Field f = list_field({integer_field(e.kind)});
  if (e.kind == Expr::number || e.kind == Expr::size) f.items.push_back(integer_field(e.a));
  if (e.kind == Expr::size) f.items.push_back(integer_field(e.b));
  for (const Expr& i : e.items) f.items.push_back(to_field(i));
  return f;
}

Expr expr_of(const Field& f) {
  const std::vector<Field>& items = items_of(f);
  if (items.empty()) corrupt("an empty expression");
  Expr e;
  e.kind = static_cast<Expr::Kind>(index_of(items[0], Expr::floor + 1));
  if (e.kind == Expr::number) {
    e.a = integer_of(items_of(f, 2)[1]);
  } else if (e.kind == Expr::size) {
    e.a = integer_of(items_of(f, 3)[1]);
    e.b = integer_of(items[2]);
  } else {
    for (size_t i = 1; i < items.size(); ++i) e.items.push_back(expr_of(items[i]));
  }
  return e;
}

Field to_field(const Scaled& s) {
  Field factor;
  factor.kind = Field::real;
  factor.value = s.factor;
  return list_field({integer_field(s.form), std::move(factor), to_field(s.x)});
}

Scaled scaled_of(const Field& f) {
  const std::vector<Field>& items = items_of(f, 3);
  if (items[1].kind != Field::real) corrupt("a factor is missing");
  return {static_cast<Scaled::Form>(index_of(items[0], Scaled::times_log + 1)), items[1].value, expr_of(items[2])};
}

}  // namespace mx::exporting
