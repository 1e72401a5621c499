// export.h — functions as files: traced once, run anywhere, without the code that made them.
//
// A file holds one trace or several, each for one set of input types (or, shapeless, for inputs of many sizes), and the
// constants that the function captured. An imported function makes ordinary graph nodes, so it can be transformed,
// compiled and exported again. What a trace is: trace.h, function_trace.h; shapeless ones: shapeless.h; the format:
// file.h and docs/export.md.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "transforms/function.h"

namespace mx {

/// Inputs given by name.
using NamedArrays = std::map<std::string, array>;

struct ExportOptions {
  /// One trace serves inputs of other sizes too. The function is run at many sizes to find out how; a function that
  /// depends on sizes otherwise than through shapes is refused.
  bool shapeless = false;
  /// A text to keep in the file.
  std::string metadata = {};
};

/// Writes several traces of a function to one file.
class FunctionExporter {
 public:
  /// Opens the file. Throws std::runtime_error if it cannot be written.
  explicit FunctionExporter(std::string path, ExportOptions options = {});
  /// Closes the file; errors are lost.
  ~FunctionExporter();
  FunctionExporter(const FunctionExporter&) = delete;
  FunctionExporter& operator=(const FunctionExporter&) = delete;

  /// Traces `f` for inputs of these types: the positional ones, then the named ones by ascending name.
  /// Throws ValueError if the trace cannot be exported, std::runtime_error after close(), and if the file has a trace
  /// for such inputs already.
  void add(const Function& f, const Arrays& args, const NamedArrays& named = {});
  /// Writes the file.
  void close();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Writes one trace of `f`, as FunctionExporter::add makes it.
void export_function(const std::string& path, const Function& f, const Arrays& args, const NamedArrays& named = {},
                     ExportOptions options = {});

/// A function from a file. Copies share what they hold; calls are thread-safe.
class ImportedFunction {
 public:
  /// The outputs, as nodes of the graph. Throws ValueError if no trace takes such inputs.
  Arrays operator()(const Arrays& args, const NamedArrays& named = {}) const;
  const std::string& metadata() const;
  struct Input {
    std::string name;  ///< Empty for a positional one.
    Type example;      ///< Of a shapeless trace: one of the types it takes.
  };
  struct Trace {
    std::vector<Input> inputs;
    bool shapeless;
  };
  std::vector<Trace> traces() const;
  /// The inputs of each trace, each on a line of its own that begins with a newline: for people.
  std::string signatures() const;

 private:
  friend ImportedFunction import_function(const std::string& path);
  struct State;
  std::shared_ptr<State> state_;
};

/// Throws std::runtime_error if the file cannot be read, ValueError if it holds no exported function.
ImportedFunction import_function(const std::string& path);

}  // namespace mx
