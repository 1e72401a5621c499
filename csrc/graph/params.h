// params.h — the parameters of a call, type-erased.
//
// A family's parameters are a plain struct with one extra line, which gives equality (for common
// subexpressions), a hash and printing:
//     struct ReduceParams { Axes axes;  auto fields() const { return std::tie(axes); } };
// Params without a value mean "this primitive has none".
#pragma once

#include <atomic>
#include <bit>
#include <ostream>
#include <sstream>
#include <string>
#include <tuple>
#include <type_traits>
#include <typeinfo>
#include <vector>

#include "base/dtype.h"
#include "base/shape.h"
#include "graph/field.h"

namespace mx {

struct NoParams {
  auto fields() const { return std::tuple<>(); }
};

namespace detail {

inline size_t mix(size_t h, size_t x) { return (h ^ x) * 0x9e3779b97f4a7c15ull + (h >> 29); }

template <class T>
size_t hash_field(const T& x) {
  if constexpr (requires { x.fields(); }) {
    return std::apply([](const auto&... f) { size_t h = 7; ((h = mix(h, hash_field(f))), ...); return h; }, x.fields());
  } else if constexpr (std::is_enum_v<T> || std::is_integral_v<T>) {
    return static_cast<size_t>(x);
  } else if constexpr (std::is_same_v<T, double>) {
    return std::bit_cast<uint64_t>(x);
  } else if constexpr (std::is_convertible_v<T, std::string_view>) {
    return std::hash<std::string_view>()(x);
  } else if constexpr (std::is_pointer_v<T>) {
    return reinterpret_cast<size_t>(x);
  } else if constexpr (is_optional<T>::value) {
    return x ? mix(1, hash_field(*x)) : 0;
  } else if constexpr (requires { x.begin(); }) {
    size_t h = x.size();
    for (const auto& e : x) h = mix(h, hash_field<typename T::value_type>(e));
    return h;
  } else {
    return std::hash<T>()(x);
  }
}

/// Exact equality: 0.0 and -0.0 differ, NaN equals itself.
template <class T>
bool equal_field(const T& a, const T& b) {
  if constexpr (requires { a.fields(); }) {
    return [&]<size_t... I>(std::index_sequence<I...>) {
      auto x = a.fields();
      auto y = b.fields();
      return (equal_field(std::get<I>(x), std::get<I>(y)) && ...);
    }(std::make_index_sequence<std::tuple_size_v<decltype(a.fields())>>());
  } else if constexpr (std::is_same_v<T, double>) {
    return std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b);
  } else {
    return a == b;
  }
}

template <class T>
void print_field(std::ostream& out, const T& x) {
  if constexpr (std::is_same_v<T, bool>) {
    out << (x ? "true" : "false");
  } else if constexpr (std::is_same_v<T, std::vector<bool>>) {
    for (bool b : x) out << (b ? '1' : '0');
  } else if constexpr (requires { x.fields(); }) {
    std::apply([&](const auto&... f) { int i = 0; ((out << (i++ ? ", " : ""), print_field(out, f)), ...); }, x.fields());
  } else if constexpr (requires { out << x; }) {
    out << x;
  } else if constexpr (requires { x.begin(); }) {
    out << '(';
    int i = 0;
    for (const auto& e : x) out << (i++ ? ", " : ""), print_field(out, e);
    out << ')';
  } else {
    out << "...";
  }
}

}  // namespace detail

class Params {
 public:
  Params() = default;
  template <class P>
    requires requires(const P& p) { p.fields(); }
  Params(P value) : box_(std::make_shared<Box<P>>(std::move(value))) {}

  bool empty() const { return !box_; }
  /// The parameters as a P. They must have been made from a P.
  template <class P>
  const P& get() const {
    if constexpr (std::is_same_v<P, NoParams>) {
      static constexpr NoParams none;
      return none;
    } else {
      return static_cast<const Box<P>&>(*box_).value;
    }
  }
  size_t hash() const { return box_ ? box_->hash() : 0; }
  bool operator==(const Params& o) const {
    return box_ == o.box_ || (box_ && o.box_ && box_->equals(*o.box_));
  }
  /// "axes=..., ..." without names: the fields in order, separated by commas.
  std::string str() const {
    std::ostringstream out;
    if (box_) box_->print(out);
    return out.str();
  }
  /// The parameters as data; Field::none if there are none.
  Field to_field() const { return box_ ? box_->to_field() : Field(); }
  /// The inverse, for a P; throws ValueError for data that no P gives.
  template <class P>
  static Params from_field(const Field& f) {
    if constexpr (std::is_same_v<P, NoParams>) {
      if (f.kind != Field::none) detail::bad_field("superfluous");
      return {};
    } else if constexpr (std::is_default_constructible_v<P>) {
      P value{};
      detail::from_field(f, value);
      return Params(std::move(value));
    } else {
      detail::bad_field("of a kind that files do not hold");
    }
  }

 private:
  struct Base {
    virtual ~Base() = default;
    virtual size_t hash() const = 0;
    virtual bool equals(const Base& o) const = 0;
    virtual void print(std::ostream& out) const = 0;
    virtual Field to_field() const = 0;
  };
  template <class P>
  struct Box final : Base {
    explicit Box(P v) : value(std::move(v)) {}
    size_t hash() const override { return detail::hash_field(value); }
    bool equals(const Base& o) const override {
      return typeid(o) == typeid(Box) && detail::equal_field(value, static_cast<const Box&>(o).value);
    }
    void print(std::ostream& out) const override { detail::print_field(out, value); }
    Field to_field() const override { return detail::to_field(value); }
    P value;
  };
  std::shared_ptr<const Base> box_;
};

}  // namespace mx
