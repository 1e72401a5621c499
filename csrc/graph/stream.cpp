#include "graph/stream.h"

namespace mx {

namespace {
Stream first;
// Index -1: not set yet, so that reading it needs no initialisation.
constinit thread_local Stream current{{}, -1};
}  // namespace

Stream current_stream() { return current.index < 0 ? first : current; }
void set_first_stream(Stream s) { first = s; }
void set_current_stream(Stream s) { current = s; }

std::ostream& operator<<(std::ostream& out, Device d) {
  return out << "Device(" << (d.kind == Device::cpu ? "cpu" : "gpu") << ", " << d.index << ")";
}
std::ostream& operator<<(std::ostream& out, Stream s) { return out << "Stream(" << s.device << ", " << s.index << ")"; }

}  // namespace mx
