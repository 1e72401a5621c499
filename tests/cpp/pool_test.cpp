// The thread pool: everything is covered once, exceptions arrive, nesting and forking do not hang.
#include <doctest/doctest.h>

#include <atomic>
#include <stdexcept>
#include <thread>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include "backend/cpu/pool.h"

using mx::cpu::n_threads;
using mx::cpu::parallel_for;

TEST_CASE("every index is visited once, in pieces that begin at multiples of the grain") {
  for (int64_t n : {0, 1, 7, 64, 65, 1000, 123457}) {
    for (int64_t grain : {1, 3, 64, 5000}) {
      std::vector<std::atomic<int>> visits(static_cast<size_t>(n));
      std::atomic<bool> aligned{true};
      parallel_for(n, grain, [&](int64_t begin, int64_t end) {
        if (begin % grain) aligned = false;
        for (int64_t i = begin; i < end; ++i) visits[static_cast<size_t>(i)].fetch_add(1, std::memory_order_relaxed);
      });
      CHECK(aligned);
      bool once = true;
      for (auto& v : visits) once &= v == 1;
      CHECK(once);
    }
  }
}

TEST_CASE("many small regions in a row") {
  int64_t total = 0;
  for (int k = 0; k < 20000; ++k) {
    std::atomic<int64_t> sum{0};
    parallel_for(8, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) sum.fetch_add(i, std::memory_order_relaxed);
    });
    total += sum;
  }
  CHECK(total == 20000 * 28);
}

TEST_CASE("an exception of a piece reaches the caller, and the pool goes on") {
  for (int k = 0; k < 100; ++k) {
    CHECK_THROWS_AS(parallel_for(100, 1, [](int64_t begin, int64_t) {
      if (begin >= 50) throw std::out_of_range("piece");
    }), std::out_of_range);
  }
  std::atomic<int> n{0};
  parallel_for(100, 1, [&](int64_t begin, int64_t end) { n += static_cast<int>(end - begin); });
  CHECK(n == 100);
}

TEST_CASE("a region within a region runs on its thread") {
  std::atomic<int> n{0}, elsewhere{0};
  parallel_for(16, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      auto here = std::this_thread::get_id();
      parallel_for(100, 1, [&](int64_t b, int64_t e) {
        n += static_cast<int>(e - b);
        if (std::this_thread::get_id() != here) ++elsewhere;
      });
    }
  });
  CHECK(n == 1600);
  CHECK(elsewhere == 0);
}

TEST_CASE("several threads may call at once") {
  std::atomic<int64_t> n{0};
  std::vector<std::thread> callers;
  for (int t = 0; t < 4; ++t) {
    callers.emplace_back([&] {
      for (int k = 0; k < 500; ++k) parallel_for(64, 1, [&](int64_t begin, int64_t end) { n += end - begin; });
    });
  }
  for (auto& t : callers) t.join();
  CHECK(n == 4 * 500 * 64);
}

// A sanitizer that follows threads refuses to start them in a forked child.
#if !defined(__SANITIZE_THREAD__)
TEST_CASE("a forked child computes with threads of its own") {
  parallel_for(100, 1, [](int64_t, int64_t) {});
  pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    alarm(20);
    std::atomic<int> n{0};
    for (int k = 0; k < 100; ++k) parallel_for(100, 1, [&](int64_t begin, int64_t end) { n += static_cast<int>(end - begin); });
    _exit(n == 10000 ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}
#endif
