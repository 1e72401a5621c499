// queue.h — a stream's work on the GPU: plans are encoded into command buffers, which are committed when they hold enough or when
// somebody waits. Nobody waits for the GPU here but in wait(), finish() and synchronize().
//
// A command buffer has one encoder of concurrent dispatches, with barriers where launches share memory (ranges.h). Encoders of a
// queue follow each other by a fence. Work of another queue is waited for by its event, which counts serials.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include "backend/metal/driver/ledger.h"
#include "backend/metal/driver/objects.h"
#include "backend/metal/driver/ranges.h"
#include "backend/metal/plan/launch.h"
#include "graph/array.h"

namespace mx::metal {

class Gpu;
struct Encoding;

/// What a kernel leaves about a bad index: struct Status of metal/kernels/common.h.
struct Status {
  uint32_t taken;
  int32_t axis;
  int64_t index, size;
};

class Queue final : public WorkQueue {
 public:
  explicit Queue(Gpu& gpu);

  /// Enqueues the launches of `plan` and says at all memory of `task` when it is done. The caller holds the scheduler's lock.
  void run(const Task& task, Plan& plan);

  void wait(uint64_t serial) override;
  void finish(uint64_t serial) noexcept override;
  bool done(uint64_t serial) const override { return serial < unfinished_.load(std::memory_order_acquire); }
  /// Waits for everything, and throws what nobody has met yet.
  void synchronize();
  /// Commits work up to `serial`, so that its event will come.
  void publish(uint64_t serial);
  MTL::SharedEvent* event() const { return event_.get(); }
  MTL::CommandQueue* commands() const { return queue_.get(); }

 private:
  /// Records in a buffer of zeros, one for each launch that asks for it.
  struct StatusBlock {
    Ref<MTL::Buffer> buffer;
    uint32_t used = 0;
    Status* records() const;
  };
  struct Report {
    uint64_t serial;
    const Status* status;
    size_t reporter;  ///< Of Finished::reporters.
  };
  /// A command buffer, open or on its way.
  struct Submission {
    Ref<MTL::CommandBuffer> commands;
    Ref<MTL::ComputeCommandEncoder> encoder;
    Hazards hazards;
    size_t n_launches = 0, n_bytes = 0;
    double estimate = 0;  ///< Of its time, in seconds.
    std::unique_ptr<Finished> record = std::make_unique<Finished>();
    std::vector<StatusBlock> statuses;
    std::vector<Report> reports;
    bool over = false;
  };

  void encode(Encoding& e, Plan& plan);
  uint64_t begin(const Task& task, const Plan& plan);
  void encode_launch(const Encoding& e, const Plan& plan, size_t l, uint64_t serial, size_t& large);
  void open();
  void open_encoder();
  void close_encoder();
  void commit();
  std::pair<MTL::Buffer*, size_t> new_status(size_t reporter, uint64_t serial);
  void completed(Submission& s, MTL::CommandBuffer& commands);
  void retire();
  void update_unfinished();
  void wait_done(std::unique_lock<std::mutex>& guard, uint64_t serial);
  void check_forked();

  Gpu& gpu_;
  Ref<MTL::CommandQueue> queue_;
  Ref<MTL::SharedEvent> event_;
  Ref<MTL::Fence> fence_;
  bool fence_used_ = false;

  std::mutex lock_;
  std::condition_variable changed_;
  std::unique_ptr<Submission> open_;
  std::deque<std::unique_ptr<Submission>> in_flight_;
  std::vector<StatusBlock> clean_statuses_;
  /// The first serial that is not done.
  std::atomic<uint64_t> unfinished_{UINT64_MAX};
  /// How much longer work took than estimated.
  double slowness_ = 1;
};

}  // namespace mx::metal
