// file.h — traces to bytes and back. The layout is described in docs/export.md.
#pragma once

#include <string>
#include <vector>

#include "export/function_trace.h"

namespace mx::exporting {

/// Everything a file holds.
struct Exported {
  std::string metadata;
  std::vector<FunctionTrace> traces;
};

/// Writes to an open file. Throws std::runtime_error if that fails, ValueError for what files cannot hold.
void write(std::FILE* file, const Exported& e, const std::string& path);
/// Throws std::runtime_error if the file cannot be read, ValueError if it is not what write() makes.
Exported read(const std::string& path);

/// Throws ValueError, naming the operation, if a file could not hold the trace.
void check_writable(const FunctionTrace& t);

}  // namespace mx::exporting
