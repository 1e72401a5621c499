// field.h — parameters as plain data: what is written to files, and made from them again.
//
// to_field() turns whatever `fields()` of a params struct names into a tree of integers, numbers, texts, lists and
// nested graphs; from_field() is its inverse and refuses data that does not fit the struct. Enumerators go by
// name, so that a file outlives a new enumerator. A field of any other kind (functions, pointers) is `opaque`.
// Beside the data stand the members' names and looks, for people: files do not hold them.
#pragma once

#include <array>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/dtype.h"

namespace mx {

struct Subgraph;

struct Field {
  enum Kind : uint8_t { none, integer, real, text, list, graph, opaque };
  Kind kind = none;
  int64_t number = 0;  ///< integer: also bool, and the bits of an unsigned one.
  double value = 0;    ///< real.
  std::string str;     ///< text: also enumerators and dtypes.
  std::vector<Field> items;
  std::shared_ptr<const Subgraph> piece;  ///< graph; may be null.

  /// What the data was: a bool, an optional, or a struct, whose items have labels.
  enum Look : uint8_t { plain, flag, maybe, record };
  Look look = plain;
  std::string_view label = {};  ///< The member's name; empty where the compiler does not tell.
};

namespace detail {

// "add" for ScatterMode::add, "" for a value without a name. Read from how compilers print the instantiation:
// "[with auto V = mx::ScatterMode::add; ...]", "[V = mx::ScatterMode::add]", and "(mx::ScatterMode)9" without one.
template <auto V>
constexpr std::string_view enumerator() {
  std::string_view s = __PRETTY_FUNCTION__;
  s = s.substr(s.find("V = ") + 4);
  s = s.substr(0, s.find_first_of(";]"));
  return s.front() == '(' ? std::string_view() : s.substr(s.rfind(':') + 1);
}

template <class E>
const auto& enumerators() {
  static constexpr auto names = []<size_t... I>(std::index_sequence<I...>) {
    return std::array<std::string_view, sizeof...(I)>{enumerator<static_cast<E>(I)>()...};
  }(std::make_index_sequence<32>());
  return names;
}

template <class T>
struct is_optional : std::false_type {};
template <class T>
struct is_optional<std::optional<T>> : std::true_type {};

template <class T>
struct is_fixed_array : std::false_type {};
template <class T, size_t N>
struct is_fixed_array<std::array<T, N>> : std::true_type {};

// ---- names of members
//
// The address of a member is a template argument, and compilers print its name: "... value.mx::ReduceParams::axes)".
// The object need not exist. Works for structs without constructors whose fields() names every member.

template <class P>
struct Specimen {
  P value;
};
template <class P>
extern const Specimen<P> specimen;

template <auto member>
constexpr std::string_view member_name() {
  std::string_view s = __PRETTY_FUNCTION__;
  s = s.substr(s.find("member = "));
  s = s.substr(0, s.find_first_of(";]"));
  while (s.back() == ')') s.remove_suffix(1);
  return s.substr(s.find_last_of(":.") + 1);
}

struct Anything {
  template <class T>
  operator T() const;
};
template <class P, size_t... I>
constexpr bool made_of(std::index_sequence<I...>) {
  return requires { P{((void)I, Anything())...}; };
}

/// Whether P has exactly n members, which can be taken apart.
template <class P, size_t n>
constexpr bool has_members() {
#if defined(__clang_major__) && __clang_major__ < 18
  return false;  // no addresses of members as template arguments
#else
  if constexpr (n > 0 && n <= 10 && std::is_aggregate_v<P>) {
    return made_of<P>(std::make_index_sequence<n>()) && !made_of<P>(std::make_index_sequence<n + 1>());
  }
  return false;
#endif
}

/// The addresses of the n members.
template <size_t n, class P>
constexpr auto members(const P& p) {
  auto addresses = [](const auto&... each) { return std::tuple(&each...); };
  if constexpr (n == 1) {
    const auto& [a] = p;
    return addresses(a);
  } else if constexpr (n == 2) {
    const auto& [a, b] = p;
    return addresses(a, b);
  } else if constexpr (n == 3) {
    const auto& [a, b, c] = p;
    return addresses(a, b, c);
  } else if constexpr (n == 4) {
    const auto& [a, b, c, d] = p;
    return addresses(a, b, c, d);
  } else if constexpr (n == 5) {
    const auto& [a, b, c, d, e] = p;
    return addresses(a, b, c, d, e);
  } else if constexpr (n == 6) {
    const auto& [a, b, c, d, e, f] = p;
    return addresses(a, b, c, d, e, f);
  } else if constexpr (n == 7) {
    const auto& [a, b, c, d, e, f, g] = p;
    return addresses(a, b, c, d, e, f, g);
  } else if constexpr (n == 8) {
    const auto& [a, b, c, d, e, f, g, h] = p;
    return addresses(a, b, c, d, e, f, g, h);
  } else if constexpr (n == 9) {
    const auto& [a, b, c, d, e, f, g, h, i] = p;
    return addresses(a, b, c, d, e, f, g, h, i);
  } else {
    const auto& [a, b, c, d, e, f, g, h, i, j] = p;
    return addresses(a, b, c, d, e, f, g, h, i, j);
  }
}

// Only addresses of the specimen's members are used: it is nowhere defined.
#ifdef __clang__
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wundefined-var-template"
#endif
template <class P, size_t... I>
constexpr auto member_names(std::index_sequence<I...>) {
  return std::array<std::string_view, sizeof...(I)>{member_name<std::get<I>(members<sizeof...(I)>(specimen<P>.value))>()...};
}
#ifdef __clang__
#pragma clang diagnostic pop
#endif

/// Gives the items of `f`, made from x.fields(), their names: found by address, for fields() may have an order of its own.
template <class P>
void label_items(Field& f, const P& x) {
  constexpr size_t n = std::tuple_size_v<decltype(x.fields())>;
  if constexpr (has_members<P, n>()) {
    static constexpr auto names = member_names<P>(std::make_index_sequence<n>());
    auto places = [](const auto&... each) { return std::array<const void*, n>{static_cast<const void*>(each)...}; };
    auto has = std::apply(places, members<n>(x));
    auto wants = std::apply([&](const auto&... each) { return places(&each...); }, x.fields());
    for (size_t i = 0; i < n; ++i) {
      for (size_t k = 0; k < n; ++k) {
        if (wants[i] == has[k]) f.items[i].label = names[k];
      }
    }
  }
}

[[noreturn]] void bad_field(const char* what);
/// The items of a list, or the error.
const std::vector<Field>& field_items(const Field& f);
Field dtype_field(Dtype t);
Dtype field_dtype(const Field& f);

template <class T>
Field to_field(const T& x) {
  Field f;
  if constexpr (std::is_same_v<T, Dtype>) {
    return dtype_field(x);
  } else if constexpr (std::is_enum_v<T>) {
    size_t i = static_cast<size_t>(x);
    f.kind = i < enumerators<T>().size() && !enumerators<T>()[i].empty() ? Field::text : Field::opaque;
    if (f.kind == Field::text) f.str = enumerators<T>()[i];
  } else if constexpr (std::is_integral_v<T>) {
    f.kind = Field::integer;
    f.number = static_cast<int64_t>(x);
    f.look = std::is_same_v<T, bool> ? Field::flag : Field::plain;
  } else if constexpr (std::is_floating_point_v<T>) {
    f.kind = Field::real;
    f.value = static_cast<double>(x);
  } else if constexpr (std::is_same_v<T, std::string>) {
    f.kind = Field::text;
    f.str = x;
  } else if constexpr (std::is_same_v<T, std::shared_ptr<const Subgraph>>) {
    f.kind = Field::graph;
    f.piece = x;
  } else if constexpr (requires { x.fields(); }) {
    f.kind = Field::list;
    f.look = Field::record;
    std::apply([&](const auto&... each) { (f.items.push_back(to_field(each)), ...); }, x.fields());
    label_items(f, x);
  } else if constexpr (is_optional<T>::value) {
    f.kind = Field::list;
    f.look = Field::maybe;
    if (x) f.items.push_back(to_field(*x));
  } else if constexpr (std::is_same_v<T, std::vector<bool>>) {
    f.kind = Field::list;
    for (bool b : x) f.items.push_back(to_field(b));
  } else if constexpr (requires { x.begin(); x.end(); x.size(); typename T::value_type; } && !std::is_convertible_v<T, std::string_view>) {
    f.kind = Field::list;
    for (const auto& each : x) f.items.push_back(to_field(each));
  } else {
    f.kind = Field::opaque;
  }
  return f;
}

/// Throws ValueError if `f` is not what to_field() makes of a T. A struct may have got more fields since: those at
/// its end that `f` lacks keep their defaults.
template <class T>
void from_field(const Field& f, T& x) {
  if constexpr (std::is_same_v<T, Dtype>) {
    x = field_dtype(f);
  } else if constexpr (std::is_enum_v<T>) {
    for (size_t i = 0; i < enumerators<T>().size(); ++i) {
      if (f.kind == Field::text && !f.str.empty() && enumerators<T>()[i] == f.str) {
        x = static_cast<T>(i);
        return;
      }
    }
    bad_field("an unknown name");
  } else if constexpr (std::is_integral_v<T>) {
    if (f.kind != Field::integer) bad_field("no integer");
    x = static_cast<T>(f.number);
    if (static_cast<int64_t>(x) != f.number) bad_field("an integer out of range");
  } else if constexpr (std::is_floating_point_v<T>) {
    if (f.kind != Field::real) bad_field("no real number");
    x = static_cast<T>(f.value);
  } else if constexpr (std::is_same_v<T, std::string>) {
    if (f.kind != Field::text) bad_field("no text");
    x = f.str;
  } else if constexpr (std::is_same_v<T, std::shared_ptr<const Subgraph>>) {
    if (f.kind != Field::graph) bad_field("no graph");
    x = f.piece;
  } else if constexpr (requires { x.fields(); }) {
    using Tie = decltype(std::as_const(x).fields());
    const auto& items = field_items(f);
    if (items.size() > std::tuple_size_v<Tie>) bad_field("too many fields");
    [&]<size_t... I>(std::index_sequence<I...>) {
      Tie tie = std::as_const(x).fields();
      auto one = [&]<size_t J>(std::integral_constant<size_t, J>) {
        using Ref = std::tuple_element_t<J, Tie>;
        if (J >= items.size()) return;
        if constexpr (std::is_reference_v<Ref>) {
          // `x` is ours to write; only fields() is const.
          from_field(items[J], const_cast<std::remove_cvref_t<Ref>&>(std::get<J>(tie)));
        } else {
          bad_field("a computed field");
        }
      };
      (one(std::integral_constant<size_t, I>()), ...);
    }(std::make_index_sequence<std::tuple_size_v<Tie>>());
  } else if constexpr (is_optional<T>::value) {
    const auto& items = field_items(f);
    if (items.size() > 1) bad_field("too many values");
    x.reset();
    if (items.size() == 1) from_field(items[0], x.emplace());
  } else if constexpr (is_fixed_array<T>::value) {
    const auto& items = field_items(f);
    if (items.size() != x.size()) bad_field("a wrong number of values");
    for (size_t i = 0; i < items.size(); ++i) from_field(items[i], x[i]);
  } else if constexpr (requires(typename T::value_type v) { x.clear(); x.push_back(v); }) {
    x.clear();
    for (const Field& each : field_items(f)) {
      typename T::value_type v{};
      from_field(each, v);
      x.push_back(std::move(v));
    }
  } else {
    bad_field("of a kind that files do not hold");
  }
}

}  // namespace detail

}  // namespace mx
