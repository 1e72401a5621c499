#include "graph/stream.h"

namespace mx {

namespace {
thread_local Stream current;
}

Stream current_stream() { return current; }
void set_current_stream(Stream s) { current = s; }

std::ostream& operator<<(std::ostream& out, Device d) {
  return out << "Device(" << (d.kind == Device::cpu ? "cpu" : "gpu") << ", " << d.index << ")";
}
std::ostream& operator<<(std::ostream& out, Stream s) { return out << "Stream(" << s.device << ", " << s.index << ")"; }

}  // namespace mx
