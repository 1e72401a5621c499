// gil.h — taking and giving up the interpreter's lock where C++ waits, computes, or frees Python objects.
//
// While the interpreter shuts down, CPython ends a thread that asks for the lock by unwinding its stack, which
// aborts the process as soon as it meets a destructor. So such a thread sleeps instead: the process is ending.
#pragma once

#include <pybind11/pybind11.h>

#include <unistd.h>

#if defined(__GLIBCXX__)
#include <cxxabi.h>
#endif

namespace mx::python {

[[noreturn]] inline void sleep_for_ever() {
  while (true) pause();
}

/// Gives up the lock if this thread holds it: to be passed to take_gil().
inline PyThreadState* release_gil() {
  // Not PyGILState_Check(), which answers yes to every thread once the interpreter shuts down.
  PyThreadState* mine = PyGILState_GetThisThreadState();
  return mine && mine == pybind11::detail::get_thread_state_unchecked() ? PyEval_SaveThread() : nullptr;
}

/// Takes the lock back.
inline void take_gil(PyThreadState* state) {
  if (!state) return;
#if defined(__GLIBCXX__)
  try {
    PyEval_RestoreThread(state);
  } catch (abi::__forced_unwind&) {
    sleep_for_ever();
  }
#else
  PyEval_RestoreThread(state);
#endif
}

/// Without the lock in this scope.
class WithoutGil {
 public:
  WithoutGil() : state_(release_gil()) {}
  ~WithoutGil() { take_gil(state_); }
  WithoutGil(const WithoutGil&) = delete;
  WithoutGil& operator=(const WithoutGil&) = delete;

 private:
  PyThreadState* state_;
};

/// Runs `f` with the lock, on any thread. Not at all when the interpreter is gone: its objects are gone too.
template <class F>
void with_gil_or_never(F&& f) noexcept {
  if (!Py_IsInitialized()) return;
#if defined(__GLIBCXX__)
  PyGILState_STATE held;
  try {
    held = PyGILState_Ensure();
  } catch (abi::__forced_unwind&) {
    sleep_for_ever();
  }
#else
  PyGILState_STATE held = PyGILState_Ensure();
#endif
  f();
  PyGILState_Release(held);
}

}  // namespace mx::python
