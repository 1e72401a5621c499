// custom_kernel.cpp — GPU kernels from source text. They can be made anywhere, so that a module which defines some
// can be imported; a call checks its arguments, then makes the operation or says which backend is lacking to run it.

#include "bindings/custom_kernel.h"

#include <pybind11/stl.h>

#include "graph/stream.h"
#include "ops/metal_kernel.h"
#include "runtime/backend.h"

namespace mx::python {

namespace {

/// What metal_kernel and cuda_kernel return.
struct CustomKernel {
  std::string maker, backend;
  MetalKernel kernel;
};

[[noreturn]] void no_backend(const std::string& maker, const std::string& backend, const std::string& name) {
  throw BackendError(cat("[", maker, "] cannot run kernel '", name, "': this build has no ", backend, " backend."));
}

std::vector<std::string> names_of(const Args& a, int i) {
  PyObject* o = a.raw(i);
  if (PyUnicode_Check(o) || !PySequence_Check(o)) throw py::type_error(cat(a.what(i), " is ", kind_of(o), "; need a list of str."));
  std::vector<std::string> names;
  for (py::handle x : py::reinterpret_borrow<py::sequence>(o)) names.push_back(to_string(x.ptr(), a.what(i)));
  return names;
}

CustomKernel make_kernel(const Args& a, const char* backend) {
  const std::string& maker = a.signature().name;
  MetalKernel k{.name = a.str(0), .input_names = names_of(a, 1), .output_names = names_of(a, 2), .source = a.str(3)};
  k.header = a.str(4);
  k.ensure_row_contiguous = a.flag(5);
  if (k.output_names.empty()) throw ValueError(cat("[", maker, "] output_names is empty; need at least one output."));
  return {maker, backend, std::move(k)};
}

/// Whether the options allow fast arithmetic. "relaxed" only permits to round differently, which is not made use of.
bool fast_math(const Args& a, int i) {
  if (a.is_none(i)) return false;
  if (!PyDict_Check(a.raw(i))) throw ValueError(cat("[metal_kernel] compile_options is ", kind_of(a.raw(i)), "; need a dict."));
  bool fast = false;
  for (auto [key, value] : py::reinterpret_borrow<py::dict>(a.raw(i))) {
    std::string option = to_string(key.ptr(), a.what(i));
    if (option != "math_mode") throw ValueError(cat("[metal_kernel] unknown compile option '", option, "'; there is 'math_mode'."));
    std::string mode = PyUnicode_Check(value.ptr()) ? value.cast<std::string>() : kind_of(value.ptr());
    if (mode != "safe" && mode != "relaxed" && mode != "fast") {
      throw ValueError(cat("[metal_kernel] math_mode is '", mode, "'; need 'safe', 'relaxed' or 'fast'."));
    }
    fast = mode == "fast";
  }
  return fast;
}

py::sequence sequence_of(const py::object& o, What what) {
  if (PyUnicode_Check(o.ptr()) || is_array(o.ptr()) || !PySequence_Check(o.ptr())) {
    throw py::type_error(cat(what, " is ", kind_of(o.ptr()), "; need a list or tuple."));
  }
  return o;
}
void check_count(const std::string& op, const char* name, size_t n, size_t need) {
  if (n != need) throw ValueError(cat("[", op, "] ", name, " has ", n, " entries; need ", need, ", one for each name."));
}
std::array<int64_t, 3> to_triple(const py::object& o, What what) {
  if (py::len(sequence_of(o, what)) != 3) throw py::type_error(cat(what, " has ", py::len(o), " entries; need three integers."));
  std::array<int64_t, 3> triple{};
  size_t i = 0;
  for (py::handle x : sequence_of(o, what)) triple[i++] = to_integer(x.ptr(), what);
  return triple;
}
void read_outputs(const std::string& op, const py::object& shapes, const py::object& dtypes, size_t n, MetalCall& call) {
  check_count(op, "output_shapes", py::len(sequence_of(shapes, {op, "output_shapes"})), n);
  check_count(op, "output_dtypes", py::len(sequence_of(dtypes, {op, "output_dtypes"})), n);
  for (py::handle x : shapes) call.output_shapes.push_back(to_shape(x.ptr(), {op, "output_shapes"}));
  for (py::handle x : dtypes) call.output_dtypes.push_back(to_dtype(x.ptr(), {op, "output_dtypes"}));
}

TemplateArg to_template_arg(py::handle x, const std::string& op) {
  What what{op, "template"};
  py::sequence pair = sequence_of(py::reinterpret_borrow<py::object>(x), what);
  if (py::len(pair) != 2) throw ValueError(cat("[", op, "] a template argument has ", py::len(pair), " entries; need a name and a value."));
  TemplateArg a{to_string(py::object(pair[0]).ptr(), what), false};
  py::object value = pair[1];
  if (PyBool_Check(value.ptr())) a.value = value.ptr() == Py_True;
  else if (PyLong_Check(value.ptr())) a.value = to_integer(value.ptr(), what);
  else if (is_dtype(value.ptr())) a.value = to_dtype(value.ptr(), what);
  else throw ValueError(cat("[", op, "] a template argument is ", kind_of(value.ptr()), "; need a Dtype, an int or a bool."));
  return a;
}

py::object call(const CustomKernel& k, const py::object& inputs, const py::object& output_shapes, const py::object& output_dtypes,
                const py::object& grid, const py::object& threadgroup, const py::object& templates, const py::object& init_value, bool verbose,
                const py::object& stream) {
  const std::string& op = k.maker;
  py::sequence given = sequence_of(inputs, {op, "inputs"});
  check_count(op, "inputs", py::len(given), k.kernel.input_names.size());
  Arrays in;
  for (py::handle x : given) in.push_back(to_array(x.ptr(), What(op, "inputs")));
  MetalCall c;
  read_outputs(op, output_shapes, output_dtypes, k.kernel.output_names.size(), c);
  c.grid = to_triple(grid, {op, "grid"});
  c.threadgroup = to_triple(threadgroup, {op, "threadgroup"});
  if (!templates.is_none()) {
    for (py::handle x : sequence_of(templates, {op, "template"})) c.templates.push_back(to_template_arg(x, op));
  }
  if (!init_value.is_none()) c.init_value = to_real(init_value.ptr(), {op, "init_value"});
  Stream where = stream.is_none() ? current_stream() : to_stream(stream.ptr(), {op, "stream"});
  if (k.backend != "Metal" || !has_backend(Device::gpu)) no_backend(op, k.backend, k.kernel.name);
  if (where.device.kind != Device::gpu) {
    throw BackendError(cat("[", op, "] Metal kernel '", k.kernel.name, "' runs on the GPU only: it is called on ", where, "; pass stream=mx.gpu."));
  }
  StreamScope scope(where);
  if (verbose) py::print(metal_kernel_source(k.kernel, in, c));
  py::list outs;
  for (const array& out : metal_kernel(k.kernel, std::move(in), c)) outs.append(py::reinterpret_steal<py::object>(to_python(out)));
  return outs;
}

constexpr const char* kCall = R"(Run the kernel.

Args:
    inputs (list(array)): One for each of the input names.
    output_shapes (list(tuple(int))): One for each of the output names.
    output_dtypes (list(Dtype)): One for each of the output names.
    grid (tuple(int, int, int)): Threads along each axis.
    threadgroup (tuple(int, int, int)): Threads of a group along each axis.
    template (list(tuple(str, Dtype or int or bool)), optional): Template arguments.
    init_value (float, optional): What outputs hold before; None: anything.
    verbose (bool): Print the generated source.
    stream (Stream or Device, optional): Where it runs.

Returns:
    list(array): The outputs.

Raises:
    BackendError: If this build has no backend for such kernels, or the stream is not one of the GPU. When a value is asked for: if
        the source does not compile.
    ValueError: If arguments do not fit.
)";

// What kernels from source take, whatever the language.
const char* const kSourceArgs = R"(Args:
    name (str): Name of the kernel.
    input_names (list(str)): Names of the inputs in the source.
    output_names (list(str)): Names of the outputs in the source, at least one.
    source (str): The body; the signature is generated.
    header (str): Source in front of the function.
    ensure_row_contiguous (bool): Whether inputs are copied to row order first.
)";

}  // namespace

void bind_custom_kernels(py::module_& m) {
  py::class_<CustomKernel> kernel(m, "_CustomKernel", "A kernel from source. Call it.");
  kernel.def("__call__", call, kCall, py::kw_only(), py::arg("inputs"), py::arg("output_shapes"), py::arg("output_dtypes"), py::arg("grid"),
             py::arg("threadgroup"), py::arg("template") = py::none(), py::arg("init_value") = py::none(), py::arg("verbose") = false,
             py::arg("stream") = py::none());
  // `cls.__new__(cls)` would be an object without a value, which crashes when called.
  reinterpret_cast<PyTypeObject*>(kernel.ptr())->tp_new = [](PyTypeObject* type, PyObject*, PyObject*) -> PyObject* {
    return PyErr_Format(PyExc_TypeError, "cannot create '%.200s' instances; use metal_kernel", type->tp_name);
  };

  def(m, "metal_kernel(name, input_names, output_names, source, header='', ensure_row_contiguous=True, atomic_outputs=False, compile_options=None)",
      cat(R"(Make a kernel from the body of a Metal function.

The kernel can be made on any machine; calling it needs an Apple GPU. The signature is written for each call: inputs are
`const device T*` (`const constant T*` with fewer than 8 elements, `T&` without axes), outputs `device T*`, T being the dtype's
name, such as `float` or `float16_t`. Attributes of Metal that stand in the source, such as `thread_position_in_grid`, become
arguments, and so do `x_shape`, `x_strides` and `x_ndim` of an input `x`; `elem_to_loc(i, x_shape, x_strides, x_ndim)` is where
element i lies. The source is compiled when a value is asked for. For derivatives call it within `mx.custom_function`.

)", kSourceArgs, R"(    atomic_outputs (bool): Whether outputs are declared atomic.
    compile_options (dict, optional): "math_mode": "safe" (the default), "relaxed" (as safe) or "fast".

Returns:
    callable: Takes `inputs`, `output_shapes`, `output_dtypes`, `grid`, `threadgroup`, and if needed `template`, `init_value`, `verbose`
    and `stream`, all by keyword, and returns a list of arrays.

Raises:
    ValueError: If there are no outputs or an unknown option.

Example:
    >>> kernel = mx.fast.metal_kernel("twice", ["x"], ["y"], "uint i = thread_position_in_grid.x; y[i] = 2 * x[i];")
    >>> callable(kernel)
    True
)").c_str(),
      [](const Args& a) {
        CustomKernel k = make_kernel(a, "Metal");
        k.kernel.atomic_outputs = a.flag(6);
        k.kernel.fast_math = fast_math(a, 7);
        return py::cast(std::move(k));
      });

  def(m, "cuda_kernel(name, input_names, output_names, source, header='', ensure_row_contiguous=True, shared_memory=0)",
      cat(R"(Make a kernel from the body of a CUDA function.

The kernel can be made on any machine; calling it raises BackendError, since CUDA is not supported.

)", kSourceArgs, R"(    shared_memory (int): Bytes of dynamic shared memory.

Returns:
    callable: As metal_kernel's.

Raises:
    ValueError: If there are no outputs.

Example:
    >>> callable(mx.fast.cuda_kernel("noop", ["x"], ["y"], ""))
    True
)").c_str(),
      [](const Args& a) {
        (void)a.integer(6);
        return py::cast(make_kernel(a, "CUDA"));
      });

  def(m, "precompiled_cuda_kernel(*, name, compiled_source, inputs, output_shapes, output_dtypes, scalars, grid, threadgroup, shared_memory=0, "
         "init_value=None, ensure_row_contiguous=False, stream=None)",
      R"(Run a compiled CUDA kernel. CUDA is not supported: it checks its arguments and raises BackendError.

Args:
    name (str): Name of the kernel.
    compiled_source (bytes): The compiled code.
    inputs (list(array)): The inputs.
    output_shapes (list(tuple(int))): Shapes of the outputs.
    output_dtypes (list(Dtype)): Dtypes of the outputs.
    scalars (list): Further arguments: bool, int or float.
    grid (tuple(int, int, int)): Threads along each axis.
    threadgroup (tuple(int, int, int)): Threads of a block along each axis.
    shared_memory (int): Bytes of dynamic shared memory.
    init_value (float, optional): What outputs hold before; None: anything.
    ensure_row_contiguous (bool): Whether inputs are copied to row order first.

Returns:
    list(array): The outputs.

Raises:
    BackendError: Always.

Example:
    >>> mx.cuda.is_available()
    False
)",
      [](const Args& a) -> py::object {
        std::string op = a.signature().name;
        if (!PyBytes_Check(a.raw(1))) throw py::type_error(cat(a.what(1), " is ", kind_of(a.raw(1)), "; need bytes."));
        (void)a.arrays(2);
        MetalCall ignored;
        read_outputs(op, a.obj(3), a.obj(4), py::len(sequence_of(a.obj(3), a.what(3))), ignored);
        sequence_of(a.obj(5), a.what(5));
        to_triple(a.obj(6), a.what(6));
        to_triple(a.obj(7), a.what(7));
        (void)a.integer(8);
        (void)a.opt_real(9);
        (void)a.flag(10);
        no_backend(op, "CUDA", a.str(0));
      });
}

}  // namespace mx::python
