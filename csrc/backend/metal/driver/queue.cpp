// queue.cpp — command buffers: opening, committing, hearing that they are done, waiting. Encoding is in encode.cpp.

#include "backend/metal/driver/queue.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>

#include "backend/metal/driver/device.h"

namespace mx::metal {

namespace {

constexpr size_t kStatusBytes = 4096;

constexpr size_t kMostOrigins = 4;  // in a text

std::string explain(MTL::CommandBuffer& commands) {
  const NS::Error* error = commands.error();
  std::string advice;
  switch (error ? error->code() : 0) {
    case MTL::CommandBufferErrorTimeout: advice = " It took too long: compute in smaller pieces."; break;
    case MTL::CommandBufferErrorOutOfMemory: advice = " Free memory, or compute in smaller pieces."; break;
    default: break;
  }
  return cat("[metal] work on the GPU failed: ", text_of(error), ".", advice);
}

/// Where the work of a command buffer came from. Which part of it failed Metal does not say.
std::string places(const Finished& record) {
  std::vector<std::string> found;
  for (auto& [serial, origin] : record.origins) {
    if (std::find(found.begin(), found.end(), *origin) == found.end()) found.push_back(*origin);
  }
  if (found.empty()) return {};
  std::string text = cat(" (made at ", found[0]);
  for (size_t i = 1; i < std::min(found.size(), kMostOrigins); ++i) text += cat(i + 1 == found.size() ? " or " : ", ", found[i]);
  return cat(text, found.size() > kMostOrigins ? cat(" or ", found.size() - kMostOrigins, " other places") : "", ")");
}

}  // namespace

Status* Queue::StatusBlock::records() const { return static_cast<Status*>(buffer.get()->contents()); }

Queue::Queue(Gpu& gpu) : gpu_(gpu) {
  AutoreleaseScope scope;
  queue_ = Ref(gpu.device()->newCommandQueue());
  event_ = Ref(gpu.device()->newSharedEvent());
  fence_ = Ref(gpu.device()->newFence());
  if (!queue_ || !event_ || !fence_) throw BackendError("[metal] the GPU gives no more command queues; use fewer streams.");
  if (MTL::ResidencySet* r = gpu.memory().residency()) queue_->addResidencySet(r);
}

// ---- these need the lock

void Queue::open() {
  if (open_) return;
  AutoreleaseScope scope;
  auto s = std::make_unique<Submission>();
  // Whoever frees memory has waited for its last use, so that Metal need not count references.
  s->commands = retained(queue_->commandBufferWithUnretainedReferences());
  if (!s->commands) throw BackendError("[metal] the GPU gives no command buffer.");
  s->record->queue = this;
  open_ = std::move(s);
}

void Queue::open_encoder() {
  if (open_->encoder) return;
  AutoreleaseScope scope;
  open_->encoder = retained(open_->commands->computeCommandEncoder(MTL::DispatchTypeConcurrent));
  if (!open_->encoder) throw BackendError("[metal] the GPU gives no encoder.");
  if (fence_used_) open_->encoder->waitForFence(fence_.get());
}

void Queue::close_encoder() {
  if (!open_->encoder) return;
  open_->encoder->updateFence(fence_.get());
  fence_used_ = true;
  open_->encoder->endEncoding();
  open_->encoder = {};
  open_->hazards.clear();
}

void Queue::commit() {
  if (!open_) return;
  AutoreleaseScope scope;
  close_encoder();
  if (open_->record->last == 0) {  // nothing was encoded
    open_.reset();
    return;
  }
  Submission& s = *open_;
  s.commands->encodeSignalEvent(event_.get(), s.record->last);
  s.commands->addCompletedHandler(MTL::HandlerFunction([this, &s](MTL::CommandBuffer* c) { completed(s, *c); }));
  gpu_.memory().commit_residency();
  in_flight_.push_back(std::move(open_));
  s.commands->commit();
}

void Queue::update_unfinished() {
  uint64_t first = UINT64_MAX;
  if (!in_flight_.empty()) first = in_flight_.front()->record->first;
  else if (open_ && open_->record->last) first = open_->record->first;
  unfinished_.store(first, std::memory_order_release);
}

std::pair<MTL::Buffer*, size_t> Queue::new_status(size_t reporter, uint64_t serial) {
  Submission& s = *open_;
  if (s.statuses.empty() || (s.statuses.back().used + 1) * sizeof(Status) > kStatusBytes) {
    if (clean_statuses_.empty()) {
      StatusBlock block{Ref(gpu_.device()->newBuffer(kStatusBytes, MTL::ResourceStorageModeShared | MTL::ResourceHazardTrackingModeUntracked))};
      if (!block.buffer) throw MemoryError("[metal] the GPU gives no more memory.");
      std::memset(block.records(), 0, kStatusBytes);
      clean_statuses_.push_back(std::move(block));
    }
    s.statuses.push_back(std::move(clean_statuses_.back()));
    clean_statuses_.pop_back();
  }
  StatusBlock& block = s.statuses.back();
  uint32_t i = block.used++;
  s.reports.push_back({serial, block.records() + i, reporter});
  return {block.buffer.get(), i * sizeof(Status)};
}

// Hands over what is done, in order.
void Queue::retire() {
  while (!in_flight_.empty() && in_flight_.front()->over) {
    Ledger::instance().add(std::move(in_flight_.front()->record));
    in_flight_.pop_front();
  }
  update_unfinished();
}

// ---- on a thread of Metal's. No array may be let go of here: someone who waits may hold the allocator's lock.

void Queue::completed(Submission& s, MTL::CommandBuffer& commands) {
  AutoreleaseScope scope;
  Ledger& ledger = Ledger::instance();
  std::lock_guard guard(lock_);
  Finished& record = *s.record;
  if (commands.status() == MTL::CommandBufferStatusError) {
    std::string text = explain(commands) + places(record);
    for (uint64_t serial : record.made) ledger.add(Fault{this, serial, text});
    // Other queues may wait for it.
    if (event_->signaledValue() < record.last) event_->setSignaledValue(record.last);
  } else {
    uint64_t reported = 0;
    for (const Report& r : s.reports) {
      if (!r.status->taken || r.serial == reported) continue;
      reported = r.serial;
      std::string text = "[metal] an index is out of bounds.";
      try {
        text = record.reporters[r.reporter](r.status->index, r.status->size, r.status->axis);
      } catch (...) {
      }
      if (auto at = record.origins.find(r.serial); at != record.origins.end()) text += cat(" (made at ", *at->second, ")");
      ledger.add(Fault{this, r.serial, std::move(text), true});
    }
    double took = commands.GPUEndTime() - commands.GPUStartTime();
    if (took > 0 && s.estimate > 0) slowness_ = std::clamp(0.75 * slowness_ + 0.25 * took / s.estimate, 0.05, 1e4);
  }
  for (StatusBlock& b : s.statuses) {
    std::memset(b.records(), 0, b.used * sizeof(Status));
    b.used = 0;
    clean_statuses_.push_back(std::move(b));
  }
  s.statuses.clear();
  s.over = true;
  retire();
  changed_.notify_all();
}

// ---- waiting

void Queue::publish(uint64_t serial) {
  std::lock_guard guard(lock_);
  if (open_ && open_->record->last && open_->record->first <= serial) commit();
}

void Queue::wait_done(std::unique_lock<std::mutex>& guard, uint64_t serial) {
  if (open_ && open_->record->last && open_->record->first <= serial) commit();
  // Before the wait: newer work may be opened meanwhile, and is not asked for.
  changed_.wait(guard, [&] { return done(serial) || (in_flight_.empty() && !(open_ && open_->record->last)); });
}

void Queue::finish(uint64_t serial) noexcept {
  if (forked() || done(serial)) return;
  try {
    std::unique_lock guard(lock_);
    wait_done(guard, serial);
  } catch (...) {
  }
}

void Queue::wait(uint64_t serial) {
  Ledger& ledger = Ledger::instance();
  if (!done(serial)) {
    if (forked()) refuse_forked("eval");
    std::unique_lock guard(lock_);
    wait_done(guard, serial);
  }
  if (forked()) return;
  ledger.settle();
  // Its sources on other queues are done; that they say so takes a moment.
  while (ledger.unsettled(this, serial)) {
    std::this_thread::sleep_for(std::chrono::microseconds(20));
    ledger.settle();
  }
  gpu_.memory().forget_wrapped();
  ledger.raise(this, serial);
  ledger.raise_unmet(this, serial, false);
}

void Queue::synchronize() {
  if (forked()) refuse_forked("synchronize");
  uint64_t last;
  {
    std::unique_lock guard(lock_);
    commit();
    if (in_flight_.empty()) last = 0;
    else last = in_flight_.back()->record->last;
    if (last) wait_done(guard, last);
  }
  if (last) wait(last);
  Ledger::instance().settle();
  Ledger::instance().raise_unmet(this, UINT64_MAX, true);
}

}  // namespace mx::metal
