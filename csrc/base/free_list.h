// free_list.h — operator new and delete for small objects that come and go by the thousand.
//
// Freed blocks wait in a list of the thread that freed them. A block may be freed on another thread than the one
// that made it; the lists are bounded, so that a thread which only frees does not hoard.
#pragma once

#include <cstddef>
#include <new>

namespace mx {

template <class T>
class FreeListed {
 public:
  static void* operator new(size_t n) {
    List& list = mine();
    if (n != sizeof(T) || !list.head) return ::operator new(n);
    Block* block = list.head;
    list.head = block->next;
    --list.n_blocks;
    return block;
  }
  static void operator delete(void* p, size_t n) {
    List& list = mine();
    if (n != sizeof(T) || list.n_blocks >= kMost) return ::operator delete(p);
    list.head = new (p) Block{list.head};
    ++list.n_blocks;
  }

 private:
  static constexpr size_t kMost = 4096;
  struct Block {
    Block* next;
  };
  // Trivial, so that it can be used until the thread is gone: other destructors may free blocks after Cleaner's.
  struct List {
    Block* head = nullptr;
    size_t n_blocks = 0;
  };
  struct Cleaner {
    List& list;
    ~Cleaner() {
      list.n_blocks = kMost;  // what is freed from here on goes back at once
      while (list.head) {
        Block* block = list.head;
        list.head = block->next;
        ::operator delete(block);
      }
    }
  };
  static List& mine() {
    static thread_local List list;
    static thread_local Cleaner cleaner{list};
    (void)cleaner;
    return list;
  }
};

}  // namespace mx
