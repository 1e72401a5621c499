// array_methods.cpp — the named methods of arrays: x.sum(), x.reshape(...), ... Each calls the C++ function of
// the same name; the full description is that of the function mx.<name>.

#include "bindings/bind.h"
#include "ops/cast.h"
#include "ops/composite.h"
#include "ops/elementwise.h"
#include "ops/movement.h"
#include "ops/reduce.h"
#include "ops/scan.h"

namespace mx::python {

namespace {

using Unary = array (*)(const array&);
using Reduction = array (*)(const array&, const Axes&, bool);
using Scan = array (*)(const array&, std::optional<int>, bool, bool);

void def_unary(const char* name, Unary f) {
  std::string doc = cat("The same as ``mx.", name, "(x)``.");
  def_method(cat("array.", name, "(self, *, stream=None)"), doc.c_str(), [f](const Args& a) { return f(a.arr(0)); });
}

void def_reduction(const char* name, Reduction f) {
  std::string doc = cat("The same as ``mx.", name, "(x, axis, keepdims)``.");
  def_method(cat("array.", name, "(self, axis=None, keepdims=False, *, stream=None)"), doc.c_str(), [f](const Args& a) {
    array x = a.arr(0);
    return f(x, a.axes(1, x.ndim()), a.flag(2));
  });
}

void def_arg_reduction(const char* name, array (*along)(const array&, int, bool), array (*flat)(const array&, bool)) {
  std::string doc = cat("The same as ``mx.", name, "(x, axis, keepdims)``.");
  def_method(cat("array.", name, "(self, axis=None, keepdims=False, *, stream=None)"), doc.c_str(), [along, flat](const Args& a) {
    return a.is_none(1) ? flat(a.arr(0), a.flag(2)) : along(a.arr(0), a.small(1), a.flag(2));
  });
}

void def_spread(const char* name, array (*f)(const array&, const Axes&, bool, int)) {
  std::string doc = cat("The same as ``mx.", name, "(x, axis, keepdims, ddof)``; ``correction`` is another name of ``ddof``.");
  def_method(cat("array.", name, "(self, axis=None, keepdims=False, ddof=0, *, correction=None, stream=None)"), doc.c_str(),
             [f](const Args& a) {
               array x = a.arr(0);
               return f(x, a.axes(1, x.ndim()), a.flag(2), a.is_none(4) ? a.small(3) : a.small(4));
             });
}

void def_scan(const char* name, Scan f) {
  std::string doc = cat("The same as ``mx.", name, "(x, axis, reverse=..., inclusive=...)``.");
  def_method(cat("array.", name, "(self, axis=None, *, reverse=False, inclusive=True, stream=None)"), doc.c_str(),
             [f](const Args& a) { return f(a.arr(0), a.opt_small(1), a.flag(2), a.flag(3)); });
}

void bind_shape_methods() {
  def_method("array.reshape(self, *shape, stream=None)", "The same as ``mx.reshape(x, shape)``; the sizes may be given one by one.",
             [](const Args& a) { return reshape(a.arr(0), a.shape(1)); });
  def_method("array.flatten(self, start_axis=0, end_axis=-1, *, stream=None)", "The same as ``mx.flatten(x, start_axis, end_axis)``.",
             [](const Args& a) { return flatten(a.arr(0), a.small(1), a.small(2)); });
  def_method("array.squeeze(self, axis=None, *, stream=None)", "The same as ``mx.squeeze(x, axis)``.",
             [](const Args& a) { return a.is_none(1) ? squeeze(a.arr(0)) : squeeze(a.arr(0), a.axes(1)); });
  def_method("array.transpose(self, *axes, stream=None)", "The same as ``mx.transpose(x, axes)``; the axes may be given one by one.",
             [](const Args& a) {
               bool reverse = a.rest().empty() || (a.rest().size() == 1 && a.rest()[0] == Py_None);
               return reverse ? transpose(a.arr(0)) : transpose(a.arr(0), a.axes(1));
             });
  def_method("array.swapaxes(self, axis1, axis2, *, stream=None)", "The same as ``mx.swapaxes(x, axis1, axis2)``.",
             [](const Args& a) { return swapaxes(a.arr(0), a.small(1), a.small(2)); });
  def_method("array.moveaxis(self, source, destination, *, stream=None)", "The same as ``mx.moveaxis(x, source, destination)``.",
             [](const Args& a) { return moveaxis(a.arr(0), a.axes(1), a.axes(2)); });
  def_method("array.split(self, indices_or_sections, axis=0, *, stream=None)", "The same as ``mx.split(x, indices_or_sections, axis)``.",
             [](const Args& a) {
               bool sections = PyIndex_Check(a.raw(1)) && !(is_array(a.raw(1)) && get_array(a.raw(1)).ndim() > 0);
               return sections ? split(a.arr(0), a.integer(1), a.small(2)) : split(a.arr(0), a.shape(1), a.small(2));
             });
  def_method("array.diagonal(self, offset=0, axis1=0, axis2=1, stream=None)", "The same as ``mx.diagonal(x, offset, axis1, axis2)``.",
             [](const Args& a) { return diagonal(a.arr(0), a.integer(1), a.small(2), a.small(3)); });
  def_method("array.diag(self, k=0, *, stream=None)", "The same as ``mx.diag(x, k)``.",
             [](const Args& a) { return diag(a.arr(0), a.integer(1)); });
}

}  // namespace

void bind_array_methods(py::module_&) {
  for (auto [name, f] : std::initializer_list<std::pair<const char*, Unary>>{
           {"abs", mx::abs}, {"conj", conjugate}, {"cos", mx::cos}, {"exp", mx::exp}, {"log", mx::log}, {"log10", mx::log10},
           {"log1p", mx::log1p}, {"log2", mx::log2}, {"reciprocal", reciprocal}, {"rsqrt", rsqrt}, {"sin", mx::sin},
           {"sqrt", mx::sqrt}, {"square", square}}) {
    def_unary(name, f);
  }
  for (auto [name, f] : std::initializer_list<std::pair<const char*, Reduction>>{
           {"sum", sum}, {"prod", prod}, {"max", max}, {"min", min}, {"mean", mean}, {"all", all}, {"any", any},
           {"logsumexp", logsumexp}}) {
    def_reduction(name, f);
  }
  for (auto [name, f] : std::initializer_list<std::pair<const char*, Scan>>{
           {"cumsum", cumsum}, {"cumprod", cumprod}, {"cummax", cummax}, {"cummin", cummin}, {"logcumsumexp", logcumsumexp}}) {
    def_scan(name, f);
  }
  def_arg_reduction("argmax", argmax, argmax);
  def_arg_reduction("argmin", argmin, argmin);
  def_spread("var", var);
  def_spread("std", mx::std);
  bind_shape_methods();
  def_method("array.round(self, decimals=0, *, stream=None)", "The same as ``mx.round(x, decimals)``.",
             [](const Args& a) { return mx::round(a.arr(0), a.small(1)); });
  def_method("array.astype(self, dtype, stream=None)", R"(
      Convert the elements to a dtype; the array itself if it has it.

      Args:
          dtype (Dtype): The dtype of the result.

      Returns:
          array
      )", [](const Args& a) { return astype(a.arr(0), a.dtype(1)); });
  def_method("array.view(self, dtype, *, stream=None)", "The same as ``mx.view(x, dtype)``: the bytes seen as another dtype.",
             [](const Args& a) { return view(a.arr(0), a.dtype(1)); });
  def_method("array.__round__(self, ndigits=None)", "The same as ``mx.round(x, ndigits)``.",
             [](const Args& a) { return mx::round(a.arr(0), a.opt_small(1).value_or(0)); });
  def_method("array.__div__(self, other)", "The same as ``x / other``.", [](const Args& a) {
    return divide(a.arr(0), a.arr_beside(1, a.arr(0)));
  });
  def_method("array.__rdiv__(self, other)", "The same as ``other / x``.", [](const Args& a) {
    return divide(a.arr_beside(1, a.arr(0)), a.arr(0));
  });
}

}  // namespace mx::python
