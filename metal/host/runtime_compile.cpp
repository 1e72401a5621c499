// runtime_compile.cpp — compiles a source text at run time: the translator, then this system's C++ compiler, then dlopen.
//
// Libraries are kept in a folder of the user, named by what went into them: the text, the options, the translator, the headers
// and the compiler. MXFORM_METAL_CACHE, MXFORM_METAL_PYTHON and MXFORM_METAL_CXX name the folder and the programs if others are wanted.
#include <dlfcn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <sstream>

#include "kernels.h"

namespace mx::metal::host {

namespace fs = std::filesystem;

namespace {

std::string setting(const char* variable, const char* otherwise) {
  const char* v = std::getenv(variable);
  return v && *v ? v : otherwise;
}

std::string read(const fs::path& path) {
  std::ifstream f(path, std::ios::binary);
  std::ostringstream text;
  text << f.rdbuf();
  return text.str();
}

// FNV-1a, twice with different starts.
std::string digest(const std::string& text) {
  std::string hex;
  for (uint64_t start : {0xcbf29ce484222325ull, 0x84222325cbf29ce4ull}) {
    uint64_t h = start;
    for (unsigned char c : text) h = (h ^ c) * 0x100000001b3ull;
    char buffer[20];
    std::snprintf(buffer, sizeof buffer, "%016llx", static_cast<unsigned long long>(h));
    hex += buffer;
  }
  return hex;
}

std::string word(const std::string& s) {
  std::string q = "'";
  for (char c : s) q += c == '\'' ? "'\\''" : std::string(1, c);
  return q + "'";
}

// Runs a command; its output if it fails.
void run(const std::string& command, const fs::path& log, const char* what) {
  int status = std::system((command + " >" + word(log.string()) + " 2>&1").c_str());
  if (status == 0) return;
  std::string output = read(log);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
    throw KernelError(std::string("[metal] kernels cannot be compiled at run time here: ") + what +
                      " was not found. Install it, or set MXFORM_METAL_PYTHON and MXFORM_METAL_CXX.\n" + output);
  throw KernelError("[metal] the source does not compile:\n" + output);
}

// Everything that a library is made of besides its source, so that a change of it makes new ones.
const std::string& tools() {
  static const std::string all = [] {
    std::string text = setting("MXFORM_METAL_CXX", MX_COMPILER);
    std::vector<fs::path> files;
    for (const char* folder : {MX_HOST_FOLDER, MX_HOST_FOLDER "/include", MX_HOST_FOLDER "/include/msl", MX_KERNELS_FOLDER, MX_CSRC_FOLDER "/scalar"}) {
      std::error_code none;
      for (auto& e : fs::directory_iterator(folder, none)) {
        std::string end = e.path().extension().string();
        if (end == ".py" || end == ".h") files.push_back(e.path());
      }
    }
    std::sort(files.begin(), files.end());
    for (auto& f : files) text += read(f);
    return digest(text + (checked() ? "checked" : ""));
  }();
  return all;
}

fs::path cache_folder() {
  std::string named = setting("MXFORM_METAL_CACHE", "");
  fs::path folder = named.empty() ? fs::path(setting("XDG_CACHE_HOME", (setting("HOME", "/tmp") + "/.cache").c_str())) / "mxform" / "metal-host"
                                  : fs::path(named);
  std::error_code failed;
  fs::create_directories(folder, failed);
  if (failed || access(folder.c_str(), W_OK) != 0) {
    folder = fs::temp_directory_path() / ("mxform-metal-host-" + std::to_string(getuid()));
    fs::create_directories(folder);
    fs::permissions(folder, fs::perms::owner_all);
    struct stat s;
    if (stat(folder.c_str(), &s) != 0 || s.st_uid != getuid()) throw KernelError("[metal] " + folder.string() + " belongs to somebody else");
  }
  return folder;
}

// The file of the library that this code is in: what kernels are linked to.
std::string own_library() {
  Dl_info info;
  if (!dladdr(reinterpret_cast<void*>(&cache_folder), &info) || !info.dli_fname) return "";
  std::error_code none;
  return fs::absolute(info.dli_fname, none).string();
}

void build(const std::string& source, const CompileOptions& options, const fs::path& result) {
  fs::path work = result;
  work += "." + std::to_string(getpid()) + "." + std::to_string(reinterpret_cast<uintptr_t>(&work) & 0xFFFF);
  fs::create_directories(work);
  struct Removal {
    fs::path path;
    ~Removal() {
      std::error_code none;
      fs::remove_all(path, none);
    }
  } removal{work};
  fs::path metal = work / "source.metal", cpp = work / "source.cpp", library = work / "library.so", log = work / "log";
  std::ofstream(metal) << source;
  std::string compiler = setting("MXFORM_METAL_CXX", MX_COMPILER), python = setting("MXFORM_METAL_PYTHON", MX_PYTHON);
  std::string definitions;
  for (const std::string& d : options.definitions) definitions += " -D " + word(d);
  run(word(python) + " " + word(MX_HOST_FOLDER "/translate.py") + " " + word(metal.string()) + " -o " + word(cpp.string()) +
          " --stem runtime --name source.metal --compiler " + word(compiler) + " -I " + word(MX_KERNELS_FOLDER) + " -I " + word(MX_CSRC_FOLDER) + definitions,
      log, "Python or the C++ compiler");
  std::string flags = " -std=c++17 -O1 -shared -fPIC -fno-math-errno -fno-trapping-math -fwrapv -fno-strict-aliasing -fvisibility=hidden -w";
  flags += options.fast_math ? " -ffp-contract=fast" : " -ffp-contract=off";
  if (checked()) flags += " -DMX_METAL_CHECKED -g1 -fdebug-prefix-map=" + word(fs::current_path().string()) + "=.";
  if (checked()) flags += " -fsanitize=thread,bounds,alignment,integer-divide-by-zero";
  // The link is a step of its own: with -fsanitize it would ask for libtsan.
  fs::path object = work / "source.o";
  size_t shared = flags.find(" -shared");
  run(word(compiler) + flags.substr(0, shared) + flags.substr(shared + 8) + " -I" + word(MX_HOST_FOLDER) + " -I" + word(MX_HOST_FOLDER "/include") +
          " -c " + word(cpp.string()) + " -o " + word(object.string()),
      log, "the C++ compiler");
  std::string own = own_library();
  std::string with;
  if (checked()) with += " " + word("-Wl,@" MX_HOST_FOLDER "/checked_link.txt");
  if (own.find(".so") != std::string::npos) with += " " + word(own) + " -Wl,-rpath," + word(fs::path(own).parent_path().string());
  run(word(compiler) + " -shared " + word(object.string()) + " -o " + word(library.string()) + with, log, "the C++ compiler");
  fs::rename(library, result);
}

}  // namespace

std::shared_ptr<const Library> compile(const std::string& source, const CompileOptions& options) {
  static std::mutex mutex;
  static std::map<std::string, std::shared_ptr<const Library>> loaded;
  std::string key = source;
  key += options.fast_math ? "\n//fast" : "\n//precise";
  for (const std::string& d : options.definitions) key += "\n//" + d;
  std::lock_guard lock(mutex);
  auto& known = loaded[key];
  if (known) return known;
  fs::path path = cache_folder() / ("k" + digest(key + tools() + own_library()) + ".so");
  if (!fs::exists(path)) build(source, options, path);
  void* code = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!code) {
    std::string why = dlerror();
    std::error_code none;
    fs::remove(path, none);
    throw KernelError("[metal] what was compiled cannot be loaded: " + why);
  }
  auto table = reinterpret_cast<const Table* (*)()>(dlsym(code, "mx_metal_table_runtime"));
  if (!table) throw KernelError("[metal] " + path.string() + " is no library of kernels");
  known = std::make_shared<const Library>(std::vector<const Table*>{table()});
  return known;
}

}  // namespace mx::metal::host
