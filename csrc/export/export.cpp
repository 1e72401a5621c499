#include "export/export.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <list>
#include <mutex>

#include "export/file.h"
#include "export/record.h"
#include "export/shapeless.h"
#include "export/steps.h"
#include "export/trace.h"
#include "runtime/eval.h"

namespace mx {

namespace exporting {

namespace {

Types types_of_inputs(const Arrays& args, const NamedArrays& named) {
  Types types;
  for (const array& a : args) types.push_back(a.type());
  for (const auto& [name, a] : named) types.push_back(a.type());
  return types;
}

}  // namespace

FunctionTrace record(const Function& f, const Arrays& args, const NamedArrays& named, bool shapeless) {
  Types types = types_of_inputs(args, named);
  FunctionTrace t;
  if (shapeless) {
    t = trace_shapeless(f, types);
  } else {
    Traced traced = trace(f, types);
    t.graph = std::move(traced.graph);
    t.captured = std::move(traced.captured);
    eval(t.captured);
  }
  t.n_positional = static_cast<int>(args.size());
  for (const auto& [name, a] : named) t.names.push_back(name);
  check_writable(t);
  return t;
}

}  // namespace exporting

using exporting::Exported;
using exporting::FunctionTrace;

// ---- export

struct FunctionExporter::State {
  std::string path;
  bool shapeless;
  Exported file;
  std::FILE* out;

  ~State() {
    if (out) std::fclose(out);
  }
};

FunctionExporter::FunctionExporter(std::string path, ExportOptions options) {
  std::FILE* out = std::fopen(path.c_str(), "wb");
  if (!out) throw std::runtime_error(cat("[export_function] ", path, ": ", std::strerror(errno), "."));
  state_.reset(new State{std::move(path), options.shapeless, {std::move(options.metadata), {}}, out});
}

FunctionExporter::~FunctionExporter() {
  try {
    close();
  } catch (const std::exception&) {
    // Nobody is left to be told; an unfinished file is refused by import_function.
  }
}

void FunctionExporter::add(const Function& f, const Arrays& args, const NamedArrays& named) {
  if (!state_->out) throw std::runtime_error("[export_function] the exporter is closed; make another one.");
  FunctionTrace t = exporting::record(f, args, named, state_->shapeless);
  for (const FunctionTrace& other : state_->file.traces) {
    if (other.n_positional == t.n_positional && other.names == t.names && other.takes(exporting::types_of_inputs(args, named))) {
      throw std::runtime_error("[export_function] the file has a trace for such inputs already; export each signature once.");
    }
  }
  state_->file.traces.push_back(std::move(t));
}

void FunctionExporter::close() {
  if (!state_ || !state_->out) return;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> out(std::exchange(state_->out, nullptr), std::fclose);
  exporting::write(out.get(), state_->file, state_->path);
  state_->file.traces.clear();
}

void export_function(const std::string& path, const Function& f, const Arrays& args, const NamedArrays& named, ExportOptions options) {
  // Traced first: a function that cannot be exported leaves the file as it is.
  Exported file{std::move(options.metadata), {}};
  file.traces.push_back(exporting::record(f, args, named, options.shapeless));
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> out(std::fopen(path.c_str(), "wb"), std::fclose);
  if (!out) throw std::runtime_error(cat("[export_function] ", path, ": ", std::strerror(errno), "."));
  exporting::write(out.get(), file, path);
}

// ---- import

struct ImportedFunction::State {
  Exported file;

  // Shapeless traces for the shapes that came last.
  struct Entry {
    const FunctionTrace* trace;
    Types types;
    std::shared_ptr<const exporting::Concrete> concrete;
  };
  static constexpr size_t kMostKept = 16;
  std::mutex lock;
  std::list<Entry> kept;

  std::shared_ptr<const exporting::Concrete> concrete(const FunctionTrace& t, const Types& types) {
    {
      std::lock_guard guard(lock);
      for (auto it = kept.begin(); it != kept.end(); ++it) {
        if (it->trace != &t || it->types != types) continue;
        kept.splice(kept.begin(), kept, it);
        return it->concrete;
      }
    }
    auto c = std::make_shared<const exporting::Concrete>(exporting::at(t, types));
    std::lock_guard guard(lock);
    kept.push_front({&t, types, c});
    if (kept.size() > kMostKept) kept.pop_back();
    return c;
  }
};

Arrays ImportedFunction::operator()(const Arrays& args, const NamedArrays& named) const {
  Types types = exporting::types_of_inputs(args, named);
  std::string why;
  for (const FunctionTrace& t : state_->file.traces) {
    bool same_names = t.names.size() == named.size() && std::equal(t.names.begin(), t.names.end(), named.begin(), [](auto& a, auto& b) { return a == b.first; });
    if (t.n_positional != static_cast<int>(args.size()) || !same_names || !t.takes(types, &why)) continue;
    Arrays inputs(args);
    for (const auto& [name, a] : named) inputs.push_back(a);
    if (!t.sizes) return exporting::run(t.graph, inputs, t.captured);
    auto c = state_->concrete(t, types);
    return exporting::run(c->graph, inputs, c->captured);
  }
  std::string came;
  auto say = [&](const std::string& name, const array& a) { came += cat(came.empty() ? "" : ", ", name, a.dtype(), a.shape()); };
  for (const array& a : args) say("", a);
  for (const auto& [name, a] : named) say(name + "=", a);
  throw ValueError(cat("[import_function] no trace of the function takes these inputs: (", came, ") came",
                       !why.empty() && state_->file.traces.size() == 1 ? "; " + why : "", ". The file has traces for:", signatures()));
}

const std::string& ImportedFunction::metadata() const { return state_->file.metadata; }

std::vector<ImportedFunction::Trace> ImportedFunction::traces() const {
  std::vector<Trace> out;
  for (const FunctionTrace& t : state_->file.traces) {
    out.push_back({{}, t.sizes.has_value()});
    for (size_t i = 0; i < t.graph.input_types.size(); ++i) {
      size_t n = static_cast<size_t>(t.n_positional);
      out.back().inputs.push_back({i < n ? "" : t.names[i - n], t.graph.input_types[i]});
    }
  }
  return out;
}

std::string ImportedFunction::signatures() const {
  std::ostringstream out;
  for (const FunctionTrace& t : state_->file.traces) {
    out << "\n  (";
    for (size_t i = 0; i < t.graph.input_types.size(); ++i) {
      const Type& type = t.graph.input_types[i];
      out << (i ? ", " : "");
      if (i >= static_cast<size_t>(t.n_positional)) out << t.names[i - static_cast<size_t>(t.n_positional)] << '=';
      out << type.dtype << '(';
      for (size_t k = 0; k < type.shape.size(); ++k) {
        int symbol = t.sizes ? t.sizes->axes[i][k] : -1;
        out << (k ? ", " : "");
        if (symbol < 0) {
          out << type.shape[k];
        } else {
          out << 'n' << symbol;
        }
      }
      out << (type.shape.size() == 1 ? ",)" : ")");
    }
    out << ')';
  }
  return out.str();
}

ImportedFunction import_function(const std::string& path) {
  ImportedFunction f;
  f.state_ = std::make_shared<ImportedFunction::State>();
  f.state_->file = exporting::read(path);
  return f;
}

}  // namespace mx
