// runtime_checks.cpp — shadow memory: for each granule of memory that may be written, who wrote it last, who read it since, and at
// which time. Two accesses of different threads, one of them a write, need a barrier of the threadgroup between them, or of the SIMD group
// where both threads are in it; in different threadgroups nothing puts them in order.
//
// Time counts barriers, by kind of memory (a barrier orders only the memory that its flags name) and for each SIMD group. Accesses
// are found where they happen, in any schedule: a thread that runs alone until it waits still races with those after it.
#ifdef MX_METAL_CHECKED

#include "runtime_checks.h"

#include <dlfcn.h>
#include <link.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <map>

#include "runtime_team.h"
#include "runtime_tsan.h"

namespace mx::metal::host::checks {

namespace {

constexpr uint32_t kDevice = 1, kThreadgroup = 2;  // metal::mem_flags

struct Stamp {
  uint32_t who = 0;        // 1 + threadgroup * 1024 + thread; 0: nobody
  uint32_t time = 0;       // barriers of the threadgroup
  uint32_t simd_time = 0;  // and of the SIMD group
  uint32_t pc = 0;         // from where, relative to the module
};
enum Readers : uint8_t { one, one_simd, several };  // threads that read at this time
struct Cell {
  Stamp wrote, read;
  bool atomic = false;     // what was written
  Readers readers = one;
  bool foreign = false;    // threads of more than one threadgroup read
};

// Cells for a range of addresses; one for each 4 bytes until somebody uses less.
class Shadow {
 public:
  ~Shadow() {
    if (cells_) munmap(cells_, capacity_);
  }
  void begin(uintptr_t base, size_t size) {
    base_ = base & ~uintptr_t(15);
    size_ = size + (base - base_);
    shift_ = 2;
    reserve();
  }
  void clear() { madvise(cells_, used(), MADV_DONTNEED); }
  void refine() {
    size_t n = (size_ >> 2) + 1;
    std::vector<Cell> coarse(cells_, cells_ + n);
    shift_ = 0;
    reserve();
    for (size_t i = 0; i < n * 4 && i < size_; ++i) cells_[i] = coarse[i / 4];
  }
  bool fine() const { return shift_ == 0; }
  Cell* first(uintptr_t a) { return cells_ + ((a - base_) >> shift_); }
  Cell* last(uintptr_t end) { return cells_ + ((end - 1 - base_) >> shift_); }
  bool covers(uintptr_t a, uintptr_t end) const { return a >= base_ && end <= base_ + size_; }

 private:
  size_t used() const { return ((size_ >> shift_) + 1) * sizeof(Cell); }
  // Fresh, all zero: nobody has been here.
  void reserve() {
    if (cells_ && used() <= capacity_) return clear();
    if (cells_) munmap(cells_, capacity_);
    capacity_ = (used() + 4095) & ~size_t(4095);
    void* p = mmap(nullptr, capacity_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) throw std::bad_alloc();
    cells_ = static_cast<Cell*>(p);
  }
  uintptr_t base_ = 0;
  size_t size_ = 0, capacity_ = 0;
  int shift_ = 2;
  Cell* cells_ = nullptr;
};

struct Range {
  uintptr_t begin, end;
  bool holds(uintptr_t a, uintptr_t e) const { return a >= begin && e <= end; }
};
struct Region : Range {
  std::string name;
  bool threadgroup;
  Shadow* shadow;  // null: nobody writes
};

// Of the dispatch that runs.
std::vector<Region> regions;
size_t n_buffers = 0, last_region = 0;
std::vector<Range> internal;
std::array<Shadow, kSlots> device_shadows;
Shadow arena_shadow;
Range arena{0, 0};
uintptr_t module_base = 0;
const char* module_file = "";
uint32_t group = 0;
uint32_t device_time = 0, threadgroup_time = 0;
uint32_t simd_device_time[kThreads / kLanes], simd_threadgroup_time[kThreads / kLanes];
bool active = false;
// Places that are known by name: offsets that no module reaches.
constexpr uint32_t kPlaces = 0xF0000000;
std::vector<std::pair<std::string, int>> places;

// The ranges in which a module was loaded: constants and the machine's own state.
void add_module(const void* anything_in_it) {
  struct Search {
    uintptr_t address;
    static int visit(dl_phdr_info* info, size_t, void* data) {
      uintptr_t a = static_cast<Search*>(data)->address;
      bool found = false;
      std::vector<Range> all;
      for (int i = 0; i < info->dlpi_phnum; ++i) {
        const auto& h = info->dlpi_phdr[i];
        if (h.p_type != PT_LOAD) continue;
        uintptr_t begin = info->dlpi_addr + h.p_vaddr, end = begin + h.p_memsz;
        all.push_back({begin, end});
        found |= a >= begin && a < end;
      }
      if (found) internal.insert(internal.end(), all.begin(), all.end());
      return found;
    }
  } search{reinterpret_cast<uintptr_t>(anything_in_it)};
  dl_iterate_phdr(&Search::visit, &search);
}

Stamp stamp(bool threadgroup, const void* pc) {
  uint32_t s = current->simd;
  return {1 + group * kThreads + current->index, threadgroup ? threadgroup_time : device_time,
          threadgroup ? simd_threadgroup_time[s] : simd_device_time[s], uint32_t(reinterpret_cast<uintptr_t>(pc) - module_base)};
}
uint32_t group_of(uint32_t who) { return (who - 1) / kThreads; }
uint32_t simd_of(uint32_t who) { return (who - 1) / kLanes; }

// Is what `before` stands for over when `now` happens?
bool over(const Stamp& before, const Stamp& now) {
  if (before.who == 0 || before.who == now.who) return true;
  if (group_of(before.who) != group_of(now.who)) return false;
  return before.time != now.time || (simd_of(before.who) == simd_of(now.who) && before.simd_time != now.simd_time);
}
bool reads_over(const Cell& c, const Stamp& now) {
  if (c.read.who == 0) return true;
  if (c.foreign || group_of(c.read.who) != group_of(now.who)) return false;
  if (c.read.time != now.time) return true;
  if (c.readers == several) return false;
  if (c.readers == one_simd) return simd_of(c.read.who) == simd_of(now.who) && c.read.simd_time != now.simd_time;
  return over(c.read, now);
}

void note_read(Cell& c, const Stamp& now) {
  if (c.read.who && c.read.who != now.who) {
    bool same_simd = simd_of(c.read.who) == simd_of(now.who);
    if (group_of(c.read.who) != group_of(now.who)) {
      c.foreign = true;
      c.readers = one;
    } else if (c.read.time != now.time) {
      c.readers = one;
    } else if (!same_simd || c.readers == several) {
      c.readers = several;
    } else {
      c.readers = c.read.simd_time != now.simd_time ? one : one_simd;
    }
  } else if (c.read.time != now.time || (c.readers == one_simd && c.read.simd_time != now.simd_time)) {
    c.readers = one;
  }
  c.read = now;
}

const void* pc_of_stamp(const Stamp& s) { return reinterpret_cast<const void*>(module_base + s.pc); }

std::string line_of(const void* pc) {
  uintptr_t place = reinterpret_cast<uintptr_t>(pc) - module_base;
  if (place >= kPlaces && place - kPlaces < places.size()) return places[place - kPlaces].first + ":" + std::to_string(places[place - kPlaces].second);

  // The call is one byte in front of where it returns to.
  uintptr_t offset = reinterpret_cast<uintptr_t>(pc) - module_base - 1;
  static std::map<std::pair<std::string, uintptr_t>, std::string> known;
  std::string& line = known[{module_file, offset}];
  if (!line.empty()) return line;
  char command[64];
  std::snprintf(command, sizeof command, "' -i 0x%zx 2>/dev/null", size_t(offset));
  std::string text;
  if (FILE* f = popen((std::string("addr2line -e '") + module_file + command).c_str(), "r")) {
    char row[4096];
    while (std::fgets(row, sizeof row, f)) {
      // The innermost line that is the kernel's own, not of the library in metal/host/include.
      std::string r(row);
      while (!r.empty() && (r.back() == '\n' || r.back() == ' ')) r.pop_back();
      if (size_t note = r.find(" (discriminator"); note != std::string::npos) r.resize(note);
      while (r.rfind("./", 0) == 0) r.erase(0, 2);
      if (text.empty()) text = r;
      if (r.find("metal/host/") == std::string::npos && r.find("??") == std::string::npos) {
        text = r;
        break;
      }
    }
    pclose(f);
  }
  if (text.empty() || text[0] == '?') text = std::string(module_file) + "+" + std::to_string(offset);
  return line = text;
}

std::string what(Access how, size_t size) {
  bool atomic = how == Access::atomic_read || how == Access::atomic_write, writes = how == Access::write || how == Access::atomic_write;
  return std::string(atomic ? "atomically " : "") + (writes ? "writes " : "reads ") + std::to_string(size) + " bytes";
}

[[noreturn]] void race(const Region& r, uintptr_t a, size_t size, Access how, const void* pc, const Stamp& other, bool other_writes) {
  std::string by = "thread " + std::to_string((other.who - 1) % kThreads) + " of ";
  bool near = group_of(other.who) == group;
  by += near ? "this threadgroup" : "threadgroup number " + std::to_string(group_of(other.who));
  fail(line_of(pc) + ": race: " + what(how, size) + " at byte " + std::to_string(a - r.begin) + " of " + r.name + ", which " + by +
       (other_writes ? " wrote at " : " read at ") + line_of(pc_of_stamp(other)) +
       (near ? ", with no barrier for this memory between them" : "; nothing orders threadgroups of one dispatch"));
}

[[noreturn]] void outside(uintptr_t a, size_t size, Access how, const void* pc) {
  const Region* nearest = nullptr;
  uintptr_t least = ~uintptr_t(0);
  for (const Region& r : regions) {
    uintptr_t distance = a >= r.end ? a - r.end : a < r.begin ? r.begin - a : 0;
    if (distance < least) {
      least = distance;
      nearest = &r;
    }
  }
  std::string where = ", where it may not";
  if (nearest) {
    size_t n = nearest->end - nearest->begin;
    where = ", out of bounds: at byte " + std::to_string(int64_t(a - nearest->begin)) + " of " + nearest->name + ", which has " + std::to_string(n);
  }
  fail(line_of(pc) + ": " + what(how, size) + where);
}

void look(Region& r, uintptr_t a, uintptr_t end, Access how, const void* pc) {
  Shadow& shadow = *r.shadow;
  if (!shadow.fine() && ((a | end) & 3)) shadow.refine();
  Stamp now = stamp(r.threadgroup, pc);
  bool atomic = how == Access::atomic_read || how == Access::atomic_write;
  Cell* last = shadow.last(end);
  for (Cell* c = shadow.first(a); c <= last; ++c) {
    if (!(atomic && c->atomic) && !over(c->wrote, now)) race(r, a, end - a, how, pc, c->wrote, true);
    if (how == Access::read || how == Access::atomic_read) {
      if (r.threadgroup && c->wrote.who == 0)
        fail(line_of(pc) + ": " + what(how, end - a) + " at byte " + std::to_string(a - r.begin) + " of " + r.name + ", which no thread has written");
      if (!atomic) note_read(*c, now);
    } else {
      if (!reads_over(*c, now)) race(r, a, end - a, how, pc, c->read, false);
      c->wrote = now;
      c->atomic = atomic;
      c->read = {};
      c->readers = one;
      c->foreign = false;
    }
  }
}

}  // namespace

void begin_dispatch(const Dispatch& d, const void* begin, const void* end) {
  internal = {{reinterpret_cast<uintptr_t>(begin), reinterpret_cast<uintptr_t>(end)}};
  const Kernel& k = *d.kernel;
  Dl_info info;
  if (dladdr(reinterpret_cast<const void*>(k.table), &info)) {
    module_base = reinterpret_cast<uintptr_t>(info.dli_fbase);
    module_file = info.dli_fname;
  }
  add_module(k.table);
  add_module(reinterpret_cast<const void*>(&regions));
  regions.clear();
  n_buffers = 0;
  if (tsan::loaded()) return;  // Its turn to look.
  // What is written needs a shadow, one for all that overlaps.
  std::vector<Range> written;
  for (uint32_t i = 0; i < k.n_arguments; ++i) {
    const Argument& a = k.arguments[i];
    const Memory& m = d.buffers[a.slot];
    if (a.kind != Argument::buffer || !m.pointer || (a.gate && !*static_cast<const bool*>(a.gate->value))) continue;
    uintptr_t p = reinterpret_cast<uintptr_t>(m.pointer);
    regions.push_back({{p - m.before, p + m.size}, "buffer(" + std::to_string(a.slot) + ") (" + a.name + ")", false, nullptr});
    if (a.writable) written.push_back(regions.back());
  }
  std::sort(written.begin(), written.end(), [](const Range& a, const Range& b) { return a.begin < b.begin; });
  size_t n = 0;
  for (const Range& w : written) {
    if (n && w.begin < written[n - 1].end)
      written[n - 1].end = std::max(written[n - 1].end, w.end);
    else
      written[n++] = w;
  }
  for (size_t i = 0; i < n; ++i) {
    // What is only read but overlaps lies inside of a shadow, or is cut in two: then the shadow grows.
    for (const Region& r : regions)
      if (r.begin < written[i].end && r.end > written[i].begin) {
        written[i].begin = std::min(written[i].begin, r.begin);
        written[i].end = std::max(written[i].end, r.end);
      }
    device_shadows[i].begin(written[i].begin, written[i].end - written[i].begin);
    for (Region& r : regions)
      if (!r.shadow && r.begin < written[i].end && r.end > written[i].begin) r.shadow = &device_shadows[i];
  }
  n_buffers = regions.size();
  last_region = 0;
  device_time = 0;
  active = true;
}

void end_dispatch() { active = false; }

bool is_internal(const void* p, size_t size) {
  uintptr_t a = reinterpret_cast<uintptr_t>(p);
  return std::any_of(internal.begin(), internal.end(), [&](const Range& r) { return r.holds(a, a + size); });
}

void set_arena(void* memory, size_t size) {
  if (!active) return;
  arena = {reinterpret_cast<uintptr_t>(memory), reinterpret_cast<uintptr_t>(memory) + size};
  arena_shadow.begin(arena.begin, size);
}

void begin_group(uint32_t number) {
  if (!active) return;
  group = number;
  regions.resize(n_buffers);
  last_region = 0;
  threadgroup_time = device_time = 0;
  std::fill(std::begin(simd_device_time), std::end(simd_device_time), 0);
  std::fill(std::begin(simd_threadgroup_time), std::end(simd_threadgroup_time), 0);
  arena_shadow.clear();
}

void add_threadgroup(void* memory, size_t size, const char* name) {
  if (!active) return;
  uintptr_t p = reinterpret_cast<uintptr_t>(memory);
  regions.push_back({{p, p + size}, name, true, &arena_shadow});
}

void barrier(uint32_t flags) {
  if (flags & kThreadgroup) ++threadgroup_time;
  if (flags & kDevice) ++device_time;
}
void simd_barrier(uint32_t simd, uint32_t flags) {
  if (flags & kThreadgroup) ++simd_threadgroup_time[simd];
  if (flags & kDevice) ++simd_device_time[simd];
}

const void* pc_of(const Place& place) {
  static std::map<std::pair<const char*, int>, uint32_t> known;
  auto [at, is_new] = known.try_emplace({place.file, place.line}, uint32_t(places.size()));
  if (is_new) places.push_back({place.file, place.line});
  return reinterpret_cast<const void*>(module_base + kPlaces + at->second);
}

std::string line_at(const std::string& module, uintptr_t offset) {
  std::string file = module_file;
  return module == file.substr(file.rfind('/') + 1) ? line_of(reinterpret_cast<const void*>(module_base + offset)) : "";
}

void access(uintptr_t a, size_t size, Access how, const void* pc) {
  if (!active || !current) return;
  uintptr_t end = a + size;
  if (internal[0].holds(a, end)) return;
  if (last_region < regions.size() && regions[last_region].holds(a, end)) {
    if (regions[last_region].shadow) look(regions[last_region], a, end, how, pc);
    return;
  }
  for (size_t i = 0; i < regions.size(); ++i)
    if (regions[i].holds(a, end)) {
      last_region = i;
      if (regions[i].shadow) look(regions[i], a, end, how, pc);
      return;
    }
  if (is_internal(reinterpret_cast<const void*>(a), size)) return;
  outside(a, size, how, pc);
}

}  // namespace mx::metal::host::checks

#endif
