// program.h — a function as a list of operations that people can read: what was traced, what it costs, where it came
// from. A call that holds graphs (checkpoint, scan, a fused program, ...) has them as bodies; any parameter that is a
// graph is one. Start at make_program().
#pragma once

#include <map>
#include <string>
#include <vector>

#include "inspect/cost.h"
#include "transforms/function.h"

namespace mx {

struct ProgramBody;

struct ProgramStep {
  std::string op;
  std::vector<std::pair<std::string, std::string>> params;  ///< Name (may be empty) and value.
  std::vector<int> in, out;  ///< Numbers of values.
  Types types;               ///< Of the outputs.
  std::string origin;        ///< "file.py:12", or empty.
  Cost cost;
  std::vector<ProgramBody> bodies;
};

struct ProgramInput {
  Type type;
  std::string name;   ///< Of an argument; empty in bodies.
  std::string value;  ///< Of a captured array that is evaluated and holds one number.
};

/// Values are numbered: inputs, captured arrays, then what each step makes.
class ReadableProgram {
 public:
  std::string name;
  std::vector<ProgramInput> inputs, captured;
  std::vector<ProgramStep> steps;
  std::vector<int> outputs;
  Types output_types;
  Cost cost;

  /// One line for each step; bodies are indented. With `lines`, where each step was called.
  std::string text(bool lines = true) const;
  /// How often each operation occurs, in bodies too.
  std::map<std::string, int64_t> counts() const;
  /// In Graphviz's language. Bodies are not drawn.
  std::string to_dot() const;

  Subgraph graph;  ///< What the text was made from.
};

struct ProgramBody {
  std::string name;  ///< "body", "branches[1]": of the parameter.
  ReadableProgram program;
};

struct ProgramOptions {
  bool fused = false;  ///< Shows fused programs of compiled functions as such; else their operations.
  std::vector<std::string> input_names = {};
};

/// Traces `f` for inputs of these types; nothing is computed. Lines are known if origins are traced meanwhile.
ReadableProgram make_program(std::string name, const Function& f, const Types& inputs, const ProgramOptions& options = {});

/// The types of the outputs of `f` for inputs of these types; nothing is computed.
Types eval_shape(const Function& f, const Types& inputs);

}  // namespace mx
