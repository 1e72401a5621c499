// error.h — the exceptions of the library and the one helper that writes their text.
//
// Every message reads `[op] what is wrong: what came; what is needed. What to do.` The Python layer
// maps each class to the exception named beside it.
#pragma once

#include <new>
#include <sstream>
#include <stdexcept>
#include <string>

namespace mx {

/// Wrong value, shape or argument. Python: ValueError. Base of the argument errors below.
struct ValueError : std::invalid_argument {
  using std::invalid_argument::invalid_argument;
};

/// An axis that the array does not have, or a mask's axis that does not fit it. Python: AxisError (ValueError and IndexError).
struct AxisError : ValueError {
  using ValueError::ValueError;
};

/// A dtype that the operation does not accept. Python: DtypeError (ValueError and TypeError).
struct DtypeError : ValueError {
  using ValueError::ValueError;
};

/// Misuse of a transformation. Python: TransformError (ValueError).
struct TransformError : ValueError {
  using ValueError::ValueError;
};

/// An index outside the array. Python: IndexError.
struct IndexError : std::out_of_range {
  using std::out_of_range::out_of_range;
};

/// A size or number beyond the supported range. Python: OverflowError.
struct OverflowError : std::overflow_error {
  using std::overflow_error::overflow_error;
};

/// No kernel for a primitive on a backend, or a failure inside one. Python: BackendError (RuntimeError).
struct BackendError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Allocation failed. Python: MemoryError.
class MemoryError : public std::bad_alloc {
 public:
  explicit MemoryError(std::string text) : text_(std::move(text)) {}
  const char* what() const noexcept override { return text_.c_str(); }

 private:
  std::string text_;
};

/// Joins its arguments into one string: `cat("[sum] axis ", axis, " is out of range")`.
template <class... Args>
std::string cat(const Args&... args) {
  std::ostringstream out;
  (out << ... << args);
  return out.str();
}

}  // namespace mx
