// inspect.cpp — what the library knows of itself: for the completeness tests and the coverage page.

#include "bindings/bind.h"
#include "export/trace.h"
#include "graph/walk.h"
#include "primitives.h"
#include "runtime/backend.h"
#include "transforms/rules.h"

namespace mx::python {

namespace {

py::dict describe(const Primitive& p) {
  py::dict d;
  d["name"] = std::string(p.name);
  d["jvp"] = jvp_source(p);
  d["vjp"] = vjp_source(p);
  d["vmap"] = vmap_source(p);
  d["differentiable"] = p.differentiable;
  d["export"] = exporting::export_source(p);
  d["cpu"] = p.view ? "view" : has_backend(Device::cpu) && backend(Device::cpu).has_kernel(p) ? "kernel" : p.run ? "run" : p.expand ? "expand" : "none";
  return d;
}

}  // namespace

void bind_inspect(py::module_& m) {
  m.def("_primitives", [] {
    py::list all;
    for (const Primitive* p : all_primitives()) all.append(describe(*p));
    return all;
  }, "Describe every primitive: a list of dicts with its name and where each of its rules comes from.");
  m.def("_primitives_of", [](const py::args& arrays) {
    Arrays outputs;
    for (py::handle a : arrays) outputs.push_back(a.cast<array>());
    py::set names;
    for (CallRecord* call : calls_above(outputs, 0)) names.add(std::string(call->primitive->name));
    return names;
  }, "Name the primitives in the graph above the given arrays that is not evaluated yet.");
}

}  // namespace mx::python
