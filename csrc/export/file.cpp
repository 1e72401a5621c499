#include "export/file.h"

#include <cstdio>
#include <cstring>
#include <memory>
#include <unordered_map>

#include "base/pointer_map.h"
#include "export/steps.h"
#include "ops/cast.h"

namespace mx::exporting {

namespace {

constexpr std::string_view kMagic = "\x93MXFORM\n";
constexpr uint32_t kVersion = 1;
// magic, version, checksum of the body, length of the body
constexpr size_t kHeader = 8 + 4 + 4 + 8;

template <class T>
void put(std::string& out, T x) {
  out.append(reinterpret_cast<const char*>(&x), sizeof x);
}
template <class T>
T get(std::string_view& in) {
  T x;
  std::memcpy(&x, in.data(), sizeof x);
  in.remove_prefix(sizeof x);
  return x;
}

[[noreturn]] void failed(const char* what, const std::string& path) {
  throw std::runtime_error(cat("[", what, "] ", path, ": ", std::strerror(errno), "."));
}

// ---- the parts of a trace

Field sizes_field(const std::optional<Sizes>& s) {
  if (!s) return {};
  Field symbols = list_field(), axes = list_field(), holes = list_field(), constants = list_field();
  for (const Sizes::Symbol& x : s->symbols) symbols.items.push_back(list_field({integer_field(x.least), integer_field(x.most)}));
  for (const std::vector<int>& input : s->axes) {
    axes.items.push_back(list_field());
    for (int symbol : input) axes.items.back().items.push_back(integer_field(symbol));
  }
  for (const Sizes::Hole& h : s->holes) holes.items.push_back(list_field({integer_field(h.step), integer_field(h.number), to_field(h.value)}));
  for (const Sizes::Constant& c : s->constants) constants.items.push_back(list_field({integer_field(c.captured), integer_field(c.element), to_field(c.value)}));
  return list_field({std::move(symbols), std::move(axes), std::move(holes), std::move(constants)});
}

// All references in range, so that at() can rely on them.
std::optional<Sizes> sizes_of(const Field& f, const FunctionTrace& t) {
  if (f.kind == Field::none) return std::nullopt;
  const std::vector<Field>& items = items_of(f, 4);
  const Subgraph& g = t.graph;
  Sizes s;
  for (const Field& x : items_of(items[0])) {
    s.symbols.push_back({integer_of(items_of(x, 2)[0]), integer_of(x.items[1])});
  }
  int n_symbols = static_cast<int>(s.symbols.size());
  for (const Field& input : items_of(items[1], g.n_inputs())) {
    s.axes.emplace_back();
    for (const Field& symbol : items_of(input, static_cast<int64_t>(g.input_types[s.axes.size() - 1].shape.size()))) {
      s.axes.back().push_back(integer_of(symbol) == -1 ? -1 : index_of(symbol, n_symbols));
    }
  }
  std::vector<Shape> shapes;
  for (const Type& type : g.input_types) shapes.push_back(type.shape);
  for (const Type& type : g.captured_types) shapes.push_back(type.shape);
  for (const Field& c : items_of(items[3])) {
    const std::vector<Field>& parts = items_of(c, 3);
    int captured = index_of(parts[0], static_cast<int64_t>(t.captured.size()));
    const array& a = t.captured[static_cast<size_t>(captured)];
    if (a.size() > kSmallConstant || is_complex(a.dtype())) corrupt("a constant that cannot follow the sizes");
    Sizes::Constant constant{captured, index_of(parts[1], a.size()), scaled_of(parts[2])};
    if (!s.constants.empty() && std::pair(captured, constant.element) <= std::pair(s.constants.back().captured, s.constants.back().element)) {
      corrupt("rules out of order");
    }
    check(constant.value.x, shapes);
    s.constants.push_back(std::move(constant));
  }
  for (const Field& h : items_of(items[2])) {
    const std::vector<Field>& parts = items_of(h, 3);
    Sizes::Hole hole{index_of(parts[0], static_cast<int64_t>(g.steps.size())), index_of(parts[1], INT32_MAX), scaled_of(parts[2])};
    if (!s.holes.empty() && std::pair(hole.step, hole.number) <= std::pair(s.holes.back().step, s.holes.back().number)) corrupt("rules out of order");
    for (int k = s.holes.empty() ? 0 : s.holes.back().step; k < hole.step; ++k) {
      for (const Type& type : g.steps[static_cast<size_t>(k)].types) shapes.push_back(type.shape);
    }
    const Step& step = g.steps[static_cast<size_t>(hole.step)];
    Field params = params_field(*step.primitive, step.params);
    int n = 0;
    visit_numbers(params, [&](Field&) { ++n; });
    if (hole.number >= n) corrupt("a rule for a number that is not there");
    check(hole.value.x, shapes);
    s.holes.push_back(std::move(hole));
  }
  return s;
}

void write_trace(Writer& w, const FunctionTrace& t, const std::vector<uint64_t>& constants) {
  w.count(static_cast<uint64_t>(t.n_positional));
  w.count(t.names.size());
  for (const std::string& name : t.names) w.text(name);
  w.field(to_field(t.graph.input_types));
  w.count(constants.size());
  for (uint64_t c : constants) w.count(c);
  w.count(t.graph.steps.size());
  for (const Step& s : t.graph.steps) w.field(to_field(s));
  w.count(t.graph.outputs.size());
  for (int o : t.graph.outputs) w.count(static_cast<uint64_t>(o));
  w.field(sizes_field(t.sizes));
}

FunctionTrace read_trace(Reader& r, const Arrays& constants) {
  FunctionTrace t;
  uint64_t n_positional = r.count();
  size_t n_names = r.items();
  for (size_t i = 0; i < n_names; ++i) {
    t.names.push_back(r.text());
    if (i > 0 && t.names[i] <= t.names[i - 1]) corrupt("keywords out of order");
  }
  t.graph.input_types = types_of(r.field());
  if (n_positional > t.graph.input_types.size() || n_positional + n_names != t.graph.input_types.size()) corrupt("a wrong number of inputs");
  t.n_positional = static_cast<int>(n_positional);
  Arrays slots;
  auto add = [&](const Type& type) { slots.push_back(array::placeholder(type, "import_function")); };
  for (const Type& type : t.graph.input_types) add(type);
  for (size_t n = r.items(), i = 0; i < n; ++i) {
    uint64_t c = r.count();
    if (c >= constants.size()) corrupt("a constant that is not there");
    t.captured.push_back(constants[static_cast<size_t>(c)]);
    t.graph.captured_types.push_back(t.captured.back().type());
    add(t.graph.captured_types.back());
  }
  for (size_t n = r.items(), i = 0; i < n; ++i) t.graph.steps.push_back(step_of(r.field(), slots));
  t.graph.n_slots = static_cast<int>(slots.size());
  for (size_t n = r.items(), i = 0; i < n; ++i) {
    uint64_t o = r.count();
    if (o >= slots.size()) corrupt("a result that is not there");
    t.graph.outputs.push_back(static_cast<int>(o));
  }
  t.sizes = sizes_of(r.field(), t);
  return t;
}

// ---- constants

struct Free {
  void operator()(void* p) const { ::operator delete(p, std::align_val_t(64)); }
};

// Constants are shared between traces: by node, and scalars by value.
class Pool {
 public:
  uint64_t add(const array& a) {
    auto [at, fresh] = by_node_.insert(a.node());
    if (!fresh) return *at;
    array flat = contiguous(a).eval();
    if (a.size() == 1) {
      std::string key = cat(a.dtype(), a.shape(), ' ') + std::string(reinterpret_cast<const char*>(flat.bytes()), flat.n_bytes());
      auto [twin, first] = by_value_.emplace(std::move(key), all.size());
      if (!first) return *at = twin->second;
    }
    *at = all.size();
    sources_.push_back(a);
    all.push_back(std::move(flat));
    return *at;
  }
  Arrays all;

 private:
  PointerMap<uint64_t> by_node_;
  std::unordered_map<std::string, uint64_t> by_value_;
  Arrays sources_;  ///< Keeps the nodes' addresses taken.
};

std::string_view bytes_of(const array& a) { return {reinterpret_cast<const char*>(a.bytes()), a.n_bytes()}; }

array read_constant(std::FILE* file, const Type& type, uint64_t n_bytes, uint32_t crc) {
  auto memory = std::unique_ptr<void, Free>(::operator new(std::max<size_t>(n_bytes, 1), std::align_val_t(64)));
  if (std::fread(memory.get(), 1, n_bytes, file) != n_bytes) corrupt("it ends too early");
  std::string_view bytes(static_cast<const char*>(memory.get()), n_bytes);
  if (crc32(bytes) != crc) corrupt("the checksum of a constant is wrong");
  if (is_bool(type.dtype) && std::any_of(bytes.begin(), bytes.end(), [](char c) { return c != 0 && c != 1; })) corrupt("a bool that is neither true nor false");
  auto buffer = std::shared_ptr<Buffer>(new Buffer{memory.release(), n_bytes, false}, [](Buffer* b) {
    Free()(b->data);
    delete b;
  });
  return array::wrap(std::move(buffer), type);
}

}  // namespace

// ---- files

void check_writable(const FunctionTrace& t) {
  Arrays slots;
  for (const Types* types : {&t.graph.input_types, &t.graph.captured_types}) {
    for (const Type& type : *types) slots.push_back(array::placeholder(type, "export_function"));
  }
  for (const Step& s : t.graph.steps) {
    Field f = to_field(s);
    try {
      Step again = step_of(f, slots);
      Writer a, b;
      a.field(f);
      b.field(to_field(again));
      if (a.bytes() != b.bytes()) throw ValueError("its parameters change on the way");
    } catch (const ValueError& e) {
      std::string_view why = e.what();
      if (why.starts_with(kCorrupt)) why.remove_prefix(kCorrupt.size());
      throw ValueError(cat("[export_function] the operation ", s.primitive->name, " cannot be exported: ", why));
    }
  }
}

void write(std::FILE* file, const Exported& e, const std::string& path) {
  Pool pool;
  std::vector<std::vector<uint64_t>> constants;
  for (const FunctionTrace& t : e.traces) {
    constants.emplace_back();
    for (const array& a : t.captured) constants.back().push_back(pool.add(a));
  }
  Writer w;
  w.text(e.metadata);
  w.count(pool.all.size());
  for (const array& a : pool.all) {
    w.field(to_field(a.type()));
    w.count(crc32(bytes_of(a)));
  }
  w.count(e.traces.size());
  for (size_t i = 0; i < e.traces.size(); ++i) write_trace(w, e.traces[i], constants[i]);
  std::string header(kMagic);
  put(header, kVersion);
  put(header, crc32(w.bytes()));
  put(header, static_cast<uint64_t>(w.bytes().size()));
  auto out = [&](std::string_view bytes) {
    if (std::fwrite(bytes.data(), 1, bytes.size(), file) != bytes.size()) failed("export_function", path);
  };
  out(header);
  out(w.bytes());
  for (const array& a : pool.all) out(bytes_of(a));
  if (std::fflush(file) != 0) failed("export_function", path);
}

Exported read(const std::string& path) {
  auto close = [](std::FILE* f) { std::fclose(f); };
  std::unique_ptr<std::FILE, decltype(close)> file(std::fopen(path.c_str(), "rb"), close);
  if (!file) failed("import_function", path);
  if (std::fseek(file.get(), 0, SEEK_END) != 0) failed("import_function", path);
  long length = std::ftell(file.get());
  if (length < 0 || std::fseek(file.get(), 0, SEEK_SET) != 0) failed("import_function", path);
  uint64_t left = static_cast<uint64_t>(length);
  char start[kHeader];
  if (left < kHeader || std::fread(start, 1, kHeader, file.get()) != kHeader) corrupt("it is too short");
  std::string_view header(start, kHeader);
  if (header.substr(0, kMagic.size()) != kMagic) corrupt("it does not begin like one");
  header.remove_prefix(kMagic.size());
  uint32_t version = get<uint32_t>(header), crc = get<uint32_t>(header);
  uint64_t n_body = get<uint64_t>(header);
  if (version != kVersion) {
    throw ValueError(cat("[import_function] ", path, " has version ", version, " of the format; this library reads version ", kVersion,
                         ". Export the function again."));
  }
  left -= kHeader;
  if (n_body > left) corrupt("it ends too early");
  std::string body(static_cast<size_t>(n_body), '\0');
  if (std::fread(body.data(), 1, body.size(), file.get()) != body.size()) corrupt("it ends too early");
  left -= n_body;
  if (crc32(body) != crc) corrupt("its checksum is wrong");
  try {
    Reader r(body);
    Exported e;
    e.metadata = r.text();
    Types types;
    std::vector<uint64_t> crcs, n_bytes;
    for (size_t n = r.items(), i = 0; i < n; ++i) {
      types.push_back(type_of(r.field()));
      crcs.push_back(r.count());
      n_bytes.push_back(static_cast<uint64_t>(n_elems(types.back().shape)) * size_of(types.back().dtype));
      if (n_bytes.back() > left) corrupt("its constants are cut off");
      left -= n_bytes.back();
    }
    if (left != 0) corrupt("it is longer than it says");
    Arrays constants;
    for (size_t i = 0; i < types.size(); ++i) constants.push_back(read_constant(file.get(), types[i], n_bytes[i], static_cast<uint32_t>(crcs[i])));
    for (size_t n = r.items(), i = 0; i < n; ++i) e.traces.push_back(read_trace(r, constants));
    if (!r.done()) corrupt("something follows the last trace");
    return e;
  } catch (const ValueError& x) {
    std::string what = x.what();
    if (what.starts_with("[import_function]")) throw;
    corrupt(what);
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& x) {
    corrupt(x.what());
  }
}

}  // namespace mx::exporting
