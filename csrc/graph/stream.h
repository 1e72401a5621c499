// stream.h — devices and streams as plain values, and the ambient stream that new nodes take.
#pragma once

#include <cstdint>
#include <ostream>

namespace mx {

struct Device {
  enum Kind : uint8_t { cpu, gpu };
  Kind kind = cpu;
  int index = 0;
  bool operator==(const Device&) const = default;
};

/// A queue of work on a device. Work on one stream runs in order.
struct Stream {
  Device device;
  int index = 0;
  bool operator==(const Stream&) const = default;
};

std::ostream& operator<<(std::ostream& out, Device d);
std::ostream& operator<<(std::ostream& out, Stream s);

/// The stream that nodes made by this thread go to.
Stream current_stream();
/// The current stream of threads that have not set one; the CPU's until it is set.
void set_first_stream(Stream s);
/// Makes `s` the current stream of this thread.
void set_current_stream(Stream s);

/// Sets the current stream for a scope.
class StreamScope {
 public:
  explicit StreamScope(Stream s) : before_(current_stream()) { set_current_stream(s); }
  ~StreamScope() { set_current_stream(before_); }
  StreamScope(const StreamScope&) = delete;
  StreamScope& operator=(const StreamScope&) = delete;

 private:
  Stream before_;
};

}  // namespace mx
