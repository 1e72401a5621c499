// origin.h — who wants calls to remember the lines where they are made (origin.cpp).
#pragma once

namespace mx::python {

/// Lines are remembered while one lives, on every thread, also if set_origin_tracing(False) was called.
class TracedOrigins {
 public:
  TracedOrigins();
  ~TracedOrigins();
  TracedOrigins(const TracedOrigins&) = delete;
  TracedOrigins& operator=(const TracedOrigins&) = delete;
};

}  // namespace mx::python
