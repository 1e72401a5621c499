// runtime.cpp — devices, streams, evaluation and memory.
//
// A stream is a plain value; the current one is thread-local (graph/stream.h) and decides where new
// operations go. Each kind of device remembers its default stream here. Start at to_stream().

#include <fstream>
#include <set>
#include <thread>

#include "bindings/bind.h"
#include "bindings/gil.h"
#include "bindings/lazy_attributes.h"
#include "bindings/tree.h"
#include "runtime/backend.h"
#include "runtime/eval.h"

#ifdef MXFORM_METAL
#include "backend/metal/backend.h"
#include "primitives.h"
#endif

#if defined(__unix__) || defined(__APPLE__)
#include <sys/utsname.h>
#include <unistd.h>
#endif

namespace mx::python {

namespace {

// A stream that is a different one on each thread.
struct ThreadLocalStream {
  Device device;
  int index;
};

// `with stream(s)`: entered and left any number of times, nested or not.
struct StreamContext {
  Stream inside;
  std::vector<Stream> before = {};
};

PyObject* device_types[2];  // the members of DeviceType; null until asked for
PyTypeObject* stream_type;
Stream default_streams[2] = {{{Device::cpu, 0}, 0}, {{Device::gpu, 0}, 0}};  // guarded by the GIL
int next_stream_index = 1;

py::object kind_class() {
  static PyObject* cls = nullptr;
  if (!cls) {
    py::dict members;
    members["cpu"] = static_cast<int>(Device::cpu);
    members["gpu"] = static_cast<int>(Device::gpu);
    py::object made = make_enum("DeviceType", members, "A kind of device.");
    for (auto [name, k] : {std::pair{"cpu", Device::cpu}, {"gpu", Device::gpu}}) device_types[k] = py::object(made.attr(name)).release().ptr();
    cls = made.release().ptr();
  }
  return py::reinterpret_borrow<py::object>(cls);
}

py::object kind_object(Device::Kind k) {
  kind_class();
  return py::reinterpret_borrow<py::object>(device_types[k]);
}

std::optional<Device> as_device(PyObject* o) {
  if (o == device_types[0]) return Device{Device::cpu, 0};
  if (o == device_types[1]) return Device{Device::gpu, 0};
  if (py::isinstance<Device>(py::handle(o))) return py::cast<Device>(py::handle(o));
  return std::nullopt;
}

Device to_device(PyObject* o, What what) {
  if (auto d = as_device(o)) return *d;
  throw py::type_error(cat(what, " is ", kind_of(o), "; need a Device or DeviceType such as mx.cpu."));
}

void need_backend(Device d, What what) {
  if (!has_backend(d.kind)) throw ValueError(cat(what, ": this build has no backend for ", d, "; use mx.cpu."));
  if (d.index != 0) throw ValueError(cat(what, ": there is no ", d, "; need index 0."));
}

Stream stream_of(Device d) {
  Stream now = current_stream();
  return now.device.kind == d.kind ? now : default_streams[d.kind];
}

Stream local_stream(const ThreadLocalStream& s) {
  thread_local std::vector<std::pair<int, Stream>> mine;
  for (auto& [index, stream] : mine) {
    if (index == s.index) return stream;
  }
  mine.push_back({s.index, {s.device, next_stream_index++}});
  return mine.back().second;
}

Stream new_stream(Device d, What what) {
  need_backend(d, what);
  return {d, next_stream_index++};
}

CachingAllocator& memory() { return backend(Device::cpu).allocator(); }

// ---- evaluation

Arrays arrays_of(const Args& a) {
  Arrays out;
  for (PyObject* o : a.rest()) {
    if (is_array(o)) {
      out.push_back(get_array(o));
    } else {
      collect_arrays(o, out);
    }
  }
  return out;
}

size_t buffer_sizes(const Arrays& arrays) {
  std::set<const Buffer*> seen;
  size_t n_bytes = 0;
  for (const array& a : arrays) {
    if (!a.available()) throw ValueError("[get_array_buffer_size] an array is not evaluated; use mx.eval first.");
    const BufferRef& b = a.storage().buffer;
    if (b && seen.insert(b.get()).second) n_bytes += b->n_bytes;
  }
  return n_bytes;
}

// ---- what the machine is

std::string cpu_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (size_t colon = line.find(':'); line.starts_with("model name") && colon + 2 < line.size()) return line.substr(colon + 2);
  }
  return "CPU";
}

void need_metal(const char* op) {
  if (!has_backend(Device::gpu)) throw BackendError(cat("[", op, "] Metal is not available."));
}

py::dict device_info(Device d) {
  need_backend(d, "[device_info] d");
  py::dict out;
#ifdef MXFORM_METAL
  if (d.kind == Device::gpu) {
    for (const auto& [name, value] : metal::device_info()) std::visit([&](const auto& v) { out[name.c_str()] = v; }, value);
    return out;
  }
#endif
#if defined(__unix__) || defined(__APPLE__)
  utsname system{};
  if (uname(&system) == 0) out["architecture"] = system.machine;
  out["memory_size"] = static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGE_SIZE);
#endif
  out["device_name"] = cpu_name();
  out["n_threads"] = std::thread::hardware_concurrency();
  return out;
}

// ---- bindings

void bind_classes(py::module_& m) {
  lazy_attribute(m, "DeviceType", kind_class);
  lazy_attribute(m, "cpu", [] { return kind_object(Device::cpu); });
  lazy_attribute(m, "gpu", [] { return kind_object(Device::gpu); });
  py::class_<Device>(m, "Device", "A device: its type and its number among those of the type.")
      .def(py::init([](py::handle type, int index) { return Device{to_device(type.ptr(), "[Device] type").kind, index}; }),
           py::arg("type"), py::arg("index") = 0)
      .def_property_readonly("type", [](const Device& d) { return kind_object(d.kind); })
      .def_readonly("index", &Device::index)
      .def("__repr__", [](const Device& d) { return cat(d); })
      .def("__hash__", [](const Device& d) { return static_cast<int>(d.kind) + 2 * d.index; })
      .def("__eq__", [](const Device& d, py::handle o) {
        auto other = as_device(o.ptr());
        return other && *other == d;
      })
      .def("__reduce__", [](const Device& d) {
        return py::make_tuple(py::type::of<Device>(), py::make_tuple(kind_object(d.kind), d.index));
      })
      .attr("__module__") = "mxform";
  py::class_<Stream>(m, "Stream", "A queue of work on a device.")
      .def_readonly("device", &Stream::device)
      .def_readonly("index", &Stream::index)
      .def("__repr__", [](const Stream& s) { return cat(s); })
      .def("__hash__", [](const Stream& s) { return static_cast<int>(s.device.kind) + 2 * s.index; })
      .def("__eq__", [](const Stream& s, py::handle o) { return py::isinstance<Stream>(o) && py::cast<Stream>(o) == s; })
      .attr("__module__") = "mxform";
  stream_type = reinterpret_cast<PyTypeObject*>(py::type::of<Stream>().ptr());
  py::class_<ThreadLocalStream>(m, "ThreadLocalStream", "Stands for a stream of its own on every thread.")
      .def_readonly("device", &ThreadLocalStream::device)
      .def_readonly("index", &ThreadLocalStream::index)
      .def("__repr__", [](const ThreadLocalStream& s) { return cat("ThreadLocalStream(", s.device, ", ", s.index, ")"); })
      .def("__hash__", [](const ThreadLocalStream& s) { return s.index; })
      .def("__eq__", [](const ThreadLocalStream& s, py::handle o) {
        return py::isinstance<ThreadLocalStream>(o) && py::cast<ThreadLocalStream>(o).index == s.index;
      })
      .attr("__module__") = "mxform";
  py::class_<StreamContext>(m, "StreamContext", "Makes a stream the current one inside a ``with`` block.")
      .def(py::init([](py::handle s) { return StreamContext{to_stream(s.ptr(), "[StreamContext] s")}; }), py::arg("s"))
      .def("__enter__", [](StreamContext& c) {
        c.before.push_back(current_stream());
        set_current_stream(c.inside);
      })
      .def("__exit__", [](StreamContext& c, const py::args&) {
        if (c.before.empty()) throw ValueError("[StreamContext] left more often than entered.");
        set_current_stream(c.before.back());
        c.before.pop_back();
      })
      .attr("__module__") = "mxform";
}

void bind_streams(py::module_& m) {
  def(m, "default_device()", "Give the device that new operations of this thread run on.\n\nReturns:\n    Device",
      [](const Args&) { return py::object(py::cast(current_stream().device)); });
  def(m, "set_default_device(device)", R"(
      Set the device that new operations of this thread run on.

      Args:
          device (Device or DeviceType): Where to run.

      Raises:
          ValueError: If this build has no backend for it.
      )", [](const Args& a) {
        Device d = to_device(a.raw(0), a.what(0));
        need_backend(d, a.what(0));
        set_current_stream(stream_of(d));
      });
  def(m, "default_stream(device)", "Give the stream that operations on a device go to by default.\n\nReturns:\n    Stream",
      [](const Args& a) {
        Device d = to_device(a.raw(0), a.what(0));
        need_backend(d, a.what(0));
        return py::object(py::cast(stream_of(d)));
      });
  def(m, "set_default_stream(stream)", R"(
      Set the default stream of its device.

      Args:
          stream (Stream): The stream that operations on its device shall go to.
      )", [](const Args& a) {
        Stream s = to_stream(a.raw(0), a.what(0));
        default_streams[s.device.kind] = s;
        if (current_stream().device.kind == s.device.kind) set_current_stream(s);
      });
  def(m, "new_stream(device)", "Make a new stream on a device.\n\nReturns:\n    Stream",
      [](const Args& a) { return py::object(py::cast(new_stream(to_device(a.raw(0), a.what(0)), a.what(0)))); });
  def(m, "new_thread_unsafe_stream(device)", "Make a new stream; here any stream can be used on any thread.\n\nReturns:\n    Stream",
      [](const Args& a) { return py::object(py::cast(new_stream(to_device(a.raw(0), a.what(0)), a.what(0)))); });
  def(m, "new_thread_local_stream(device)", "Make a handle that stands for a stream of its own on every thread.\n\nReturns:\n    ThreadLocalStream",
      [](const Args& a) {
        Device d = to_device(a.raw(0), a.what(0));
        need_backend(d, a.what(0));
        return py::object(py::cast(ThreadLocalStream{d, next_stream_index++}));
      });
  def(m, "clear_streams()", "Wait for all streams.", [](const Args&) { synchronize(current_stream()); });
  def(m, "stream(s)", R"(
      Make a context manager that runs operations on a stream or device.

      Args:
          s (Stream, Device or DeviceType): Where to run.

      Returns:
          StreamContext

      Example:
          >>> with mx.stream(mx.cpu):
          ...     x = mx.ones((2,)) + 1
      )", [](const Args& a) { return py::object(py::cast(StreamContext{to_stream(a.raw(0), a.what(0))})); });
  def(m, "is_available(device)", "Tell whether this build can use a device.\n\nReturns:\n    bool", [](const Args& a) {
    Device d = to_device(a.raw(0), a.what(0));
    return has_backend(d.kind) && d.index == 0;
  });
  def(m, "device_count(device_type)", "Give the number of devices of a type.\n\nReturns:\n    int",
      [](const Args& a) { return has_backend(to_device(a.raw(0), a.what(0)).kind) ? 1 : 0; });
  def(m, "device_info(d=None)", "Describe a device; without an argument the default one.\n\nReturns:\n    dict",
      [](const Args& a) { return py::object(device_info(a.is_none(0) ? current_stream().device : to_device(a.raw(0), a.what(0)))); });
}

void bind_evaluation(py::module_& m) {
  def(m, "eval(*args)", R"(
      Compute arrays now.

      Args:
          *args: Arrays, or lists, tuples, dicts and other trees of arrays. Leaves that are not arrays are ignored.

      Example:
          >>> y = mx.ones((2,)) + 1
          >>> mx.eval(y)
      )", [](const Args& a) {
        if (a.rest().size() == 1 && is_array(a.rest()[0])) {
          array x = get_array(a.rest()[0]);
          x.eval();
        } else {
          eval(arrays_of(a));
        }
      });
  def(m, "async_eval(*args)", R"(
      Begin to compute arrays in the background. An error appears when a value is asked for.

      Args:
          *args: As for ``eval``.
      )", [](const Args& a) { async_eval(arrays_of(a)); });
  def(m, "synchronize(stream=None)", R"(
      Wait until the work given to a stream is done.

      Args:
          stream (Stream, Device or DeviceType, optional): Default: the current stream.
      )", [](const Args& a) { synchronize(a.is_none(0) ? current_stream() : to_stream(a.raw(0), a.what(0))); });
}

void bind_memory(py::module_& m) {
  def(m, "get_active_memory()", "Give the bytes that arrays hold now.\n\nReturns:\n    int", [](const Args&) { return memory().active(); });
  def(m, "get_peak_memory()", "Give the most bytes that arrays held since the start or ``reset_peak_memory``.\n\nReturns:\n    int",
      [](const Args&) { return memory().peak(); });
  def(m, "reset_peak_memory()", "Let the peak start again from what is held now.", [](const Args&) { memory().reset_peak(); });
  def(m, "get_cache_memory()", "Give the bytes kept for reuse.\n\nReturns:\n    int", [](const Args&) { return memory().cached(); });
  def(m, "clear_cache()", "Return the memory kept for reuse to the system.", [](const Args&) { memory().clear(); });
  def(m, "get_memory_limit()", "Give the limit of ``set_memory_limit``.\n\nReturns:\n    int", [](const Args&) { return memory().limit(); });
  auto n_bytes = [](const Args& a) {
    int64_t n = a.integer(0);
    if (n < 0) throw ValueError(cat(a.what(0), " is ", n, "; need a number of bytes, 0 or more."));
    return static_cast<size_t>(n);
  };
  def(m, "set_memory_limit(limit)", R"(
      Set how many bytes arrays may hold. Beyond it an allocation empties the cache, then raises MemoryError.

      Args:
          limit (int): In bytes.

      Returns:
          int: The limit before.
      )", [n_bytes](const Args& a) { return memory().set_memory_limit(n_bytes(a)); });
  def(m, "set_cache_limit(limit)", R"(
      Set how many bytes may be kept for reuse.

      Args:
          limit (int): In bytes.

      Returns:
          int: The limit before.
      )", [n_bytes](const Args& a) { return memory().set_cache_limit(n_bytes(a)); });
  def(m, "set_wired_limit(limit)", R"(
      Set how many bytes of the GPU's memory may stay resident while it is idle. Without a GPU there is nothing to set.

      Args:
          limit (int): In bytes; at most ``max_recommended_working_set_size`` of ``metal.device_info()``.

      Returns:
          int: The limit before.
      )", [n_bytes](const Args& a) {
        [[maybe_unused]] size_t limit = n_bytes(a);
#ifdef MXFORM_METAL
        if (has_backend(Device::gpu)) return metal::set_wired_limit(limit);
#endif
        return size_t(0);
      });
  def(m, "get_array_buffer_size(*args)", R"(
      Give the bytes of memory behind evaluated arrays; shared memory counts once.

      Args:
          *args: As for ``eval``.

      Returns:
          int

      Raises:
          ValueError: If an array is not evaluated.
      )", [](const Args& a) { return buffer_sizes(arrays_of(a)); });
}

// The submodules for hardware that this build may not have.
void bind_hardware(py::module_& m) {
  py::module_ metal = m.def_submodule("metal", "Apple GPUs.");
  def(metal, "is_available()", "Tell whether Metal can be used.\n\nReturns:\n    bool", [](const Args&) { return has_backend(Device::gpu); });
  def(metal, "device_info()", R"(
      Describe the GPU; empty if there is none.

      Returns:
          dict: "architecture", "device_name", "memory_size", "max_buffer_length", "max_recommended_working_set_size" (sizes in bytes),
          "resource_limit" (buffers; 0: unknown) and "backend".
      )", [](const Args&) {
    return py::object(has_backend(Device::gpu) ? device_info({Device::gpu, 0}) : py::dict());
  });
  for (const char* name : {"get_active_memory", "get_peak_memory", "reset_peak_memory", "get_cache_memory", "clear_cache",
                           "set_memory_limit", "set_cache_limit", "set_wired_limit"}) {
    metal.attr(name) = m.attr(name);
  }
  def(metal, "start_capture(path)", R"(
      Begin to record the GPU's work for Xcode's debugger. The environment must have had MTL_CAPTURE_ENABLED=1 from the start.

      Args:
          path (str): File to write, with the suffix .gputrace. It must not exist.

      Raises:
          BackendError: If nothing can be recorded.
      )", [](const Args& a) {
        std::string path = a.str(0);
        need_metal("start_capture");
#ifdef MXFORM_METAL
        metal::start_capture(path);
#endif
      });
  def(metal, "stop_capture()", R"(
      End the recording.

      Raises:
          BackendError: If there is none.
      )", [](const Args&) {
        need_metal("stop_capture");
#ifdef MXFORM_METAL
        metal::stop_capture();
#endif
      });
#ifdef MXFORM_METAL
  metal.def("_planned", [] {
    py::list names;
    for (const Primitive* p : all_primitives()) {
      if (metal::has_planner(*p)) names.append(std::string(p->name));
    }
    return names;
  }, "Name the primitives that have kernels for the GPU.");
  metal.def("_launched", [] {
    py::list names;
    for (const std::string& name : metal::launched()) names.append(name);
    return names;
  }, "Name the primitives launched on the GPU since the last call. The first call begins the record.");
#endif
  py::module_ cuda = m.def_submodule("cuda", "GPUs of another vendor: not supported.");
  def(cuda, "is_available()", "Tell whether CUDA can be used.\n\nReturns:\n    bool", [](const Args&) { return false; });
}

}  // namespace

Stream to_stream(PyObject* o, What what) {
  if (Py_TYPE(o) == stream_type) return py::cast<Stream>(py::handle(o));
  if (auto d = as_device(o)) {
    need_backend(*d, what);
    return stream_of(*d);
  }
  if (py::isinstance<ThreadLocalStream>(py::handle(o))) return local_stream(py::cast<ThreadLocalStream>(py::handle(o)));
  throw py::type_error(cat(what, " is ", kind_of(o), "; need a Stream, Device or DeviceType."));
}

void bind_runtime(py::module_& m) {
  register_backends();
  // Signals are for the main thread, which is nearly always the one that imports.
  static const std::thread::id main_thread = std::this_thread::get_id();
  auto poll = [] {
    if (std::this_thread::get_id() != main_thread) return;
    py::gil_scoped_acquire held;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
  };
  set_blocking_hooks({[]() -> void* { return release_gil(); }, [](void* state) { take_gil(static_cast<PyThreadState*>(state)); }, poll});
  // Background work may hold Python objects: it ends before the interpreter does.
  py::module_::import("atexit").attr("register")(py::cpp_function([] { synchronize(current_stream()); }));
  bind_classes(m);
  bind_streams(m);
  bind_evaluation(m);
  bind_memory(m);
  bind_hardware(m);
}

}  // namespace mx::python
