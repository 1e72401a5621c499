// fused_matmul.cpp — a product of matrices whose elements go through a program while they are in a cache: the program, as generated
// code or in tiles (fused.h), is the product's epilogue (gemm.h). The bits are those of the product and the program
// one after the other, which is also what is done where inputs lie so that their rows cannot be read as they are.
// Start at fused_matmul_kernel().

#include <algorithm>
#include <cstring>

#include "backend/cpu/fused.h"
#include "backend/cpu/matmul.h"
#include "backend/cpu/scratch.h"
#include "backend/cpu/strided.h"
#include "compile/program.h"

namespace mx::cpu {

namespace {

constexpr int64_t kShortRow = 128;  // Of elements: rows of a part that are shorter go through the program together,
constexpr int64_t kTogether = 2048;  // about so many elements at a time.

class Finish {
 public:
  Finish(const FusedMatmulParams& p, const Task& task) : n_(task.out[0].shape().back()) {
    const Program& program = *p.program;
    size_t kept = p.kept ? 1 : 0;
    product_ = p.kept ? 0 : first_of(program.inputs[0], task);
    Operand product{nullptr, 0, 1, {}};
    product.itemsize = itemsize_ = static_cast<int64_t>(task.out[product_].itemsize());
    SmallVector<Operand, 6> inputs{product};
    SmallVector<Level, 8> levels{Level::full};
    for (size_t i = 1; i < program.inputs.size(); ++i) {
      const array& x = task.in[p.first_input() + i - 1];
      inputs.push_back(operand(x));
      int64_t inner = inputs.back().inner;
      ready_ &= inner == 0 || inner == 1;
      levels.push_back(inner == 0 ? Level::single : Level::full);
      bool constant = inputs.back().rows.constant(0);
      alike_ &= inner == 1 || constant;
      dense_ &= x.row_contiguous() || (inner == 0 && constant);
    }
    if (!ready_) return;
    pass_ = &flat_pass(program, {levels.begin(), levels.size()});
    for (const PlanPlace& place : pass_->in) operands_.push_back(inputs[place.index]);
    for (const PlanPlace& place : pass_->out) {
      size_t k = place.index + kept;
      operands_.push_back(k == product_ ? product : operand(task.out[k]));
    }
  }

  bool ready() const { return ready_; }
  size_t product() const { return product_; }  ///< The output that has the product's memory.

  // Elements [row, row + rows) x [col, col + cols).
  void run(std::byte* c, int64_t c_row, int64_t row, int64_t rows, int64_t col, int64_t cols) const {
    if (dense_ && cols == n_ && c_row == cols) {
      run_rows(c, c_row, row, 1, col, rows * cols);
    } else if (alike_ && cols < kShortRow && rows > 1) {
      int64_t most = std::max<int64_t>(1, kTogether / cols);
      for (int64_t r = 0; r < rows; r += most) {
        run_together(c + r * c_row * itemsize_, c_row, row + r, std::min(most, rows - r), col, cols);
      }
    } else {
      run_rows(c, c_row, row, rows, col, cols);
    }
  }

 private:
  struct Operand {
    std::byte* base;  // Null: where the product is.
    int64_t itemsize, inner;
    Layout rows;
    bool even() const { return rows.shape.size() == 1; }
    int64_t row_bytes() const { return rows.strides[0][0] * itemsize; }
    std::byte* at(int64_t row, int64_t col) const {
      int64_t first = even() ? row * rows.strides[0][0] : Walk(rows, row).offset(0);
      return base + (first + col * inner) * itemsize;
    }
  };

  static Operand operand(const array& x) {
    const Strides& s = x.strides();
    Strides lead(s.begin(), s.end() - 1);
    return {x.bytes(), static_cast<int64_t>(x.itemsize()), s.back(), collapse(Shape(x.shape().begin(), x.shape().end() - 1), {&lead})};
  }
  static size_t first_of(Dtype t, const Task& task) {
    size_t k = 0;
    while (task.out[k].dtype() != t) ++k;
    return k;
  }

  // Row by row where it lies.
  void run_rows(std::byte* c, int64_t c_row, int64_t row, int64_t rows, int64_t col, int64_t cols) const {
    size_t n_in = pass_->in.size();
    SmallVector<std::byte*, 12> at;
    SmallVector<int64_t, 12> step;
    bool even = true;
    for (const Operand& o : operands_) {
      at.push_back(o.base ? o.at(row, col) : c);
      step.push_back(o.base ? o.row_bytes() : c_row * o.itemsize);
      even &= !o.base || o.even();
    }
    auto** list = reinterpret_cast<void**>(at.begin());
    for (int64_t r = 0;;) {
      pass_->code->run(list, list + n_in, nullptr, cols);
      if (++r == rows) return;
      for (size_t k = 0; k < at.size(); ++k) at[k] = even || !operands_[k].base ? at[k] + step[k] : operands_[k].at(row + r, col);
    }
  }

  // Rows copied side by side, all through the program at once.
  void run_together(std::byte* c, int64_t c_row, int64_t row, int64_t rows, int64_t col, int64_t cols) const {
    size_t n_in = pass_->in.size();
    auto room_of = [&](const Operand& o) { return (rows * cols * o.itemsize + 63) & ~int64_t(63); };
    int64_t bytes = 0;
    for (const Operand& o : operands_) bytes += room_of(o);
    Scratch memory(static_cast<size_t>(bytes));
    auto* room = memory.as<std::byte>();
    std::byte* product = nullptr;
    SmallVector<std::byte*, 12> at;
    // Row r of operand k in memory of its own.
    auto line = [&](size_t k, int64_t r) {
      const Operand& o = operands_[k];
      return o.base ? o.even() ? o.at(row, col) + r * o.row_bytes() : o.at(row + r, col) : c + r * c_row * o.itemsize;
    };
    for (size_t k = 0; k < operands_.size(); ++k) {
      const Operand& o = operands_[k];
      bool in = k < n_in;
      if (in && o.inner == 0) {
        at.push_back(o.base);
        continue;
      }
      if (!in && !o.base && product) {
        at.push_back(product);
        continue;
      }
      at.push_back(std::exchange(room, room + room_of(o)));
      if (!o.base) product = at.back();
      for (int64_t r = 0; r < rows && in; ++r) std::memcpy(at[k] + r * cols * o.itemsize, line(k, r), static_cast<size_t>(cols * o.itemsize));
    }
    auto** list = reinterpret_cast<void**>(at.begin());
    pass_->code->run(list, list + n_in, nullptr, rows * cols);
    for (size_t k = n_in; k < operands_.size(); ++k) {
      const Operand& o = operands_[k];
      for (int64_t r = 0; r < rows; ++r) std::memcpy(line(k, r), at[k] + r * cols * o.itemsize, static_cast<size_t>(cols * o.itemsize));
    }
  }

  int64_t n_;              // Columns of the product.
  int64_t itemsize_ = 0;   // Of its elements.
  size_t product_ = 0;
  bool ready_ = true;
  bool dense_ = true;      // Every input lies as the product does.
  bool alike_ = true;      // Inputs with one element for a row have one for all.
  SmallVector<Operand, 8> operands_;  // Of the pass: inputs, then outputs.
  const Pass* pass_ = nullptr;
};

}  // namespace

void fused_matmul_kernel(const Task& task) {
  const auto& p = task.params.get<FusedMatmulParams>();
  if (task.out[0].size() == 0) return;
  Finish finish(p, task);
  array product = task.out[finish.product()];
  Epilogue epilogue;
  if (finish.ready()) {
    epilogue.context = &finish;
    epilogue.run = [](void* context, void* c, int64_t c_row, int64_t row, int64_t rows, int64_t col, int64_t cols) {
      static_cast<const Finish*>(context)->run(static_cast<std::byte*>(c), c_row, row, rows, col, cols);
    };
  }
  multiply(task.in[0], task.in[1], p.addend ? &task.in[2] : nullptr, product, p.addend ? p.alpha : 1, p.addend ? p.beta : 0, epilogue);
  if (finish.ready()) return;
  Arrays in{product};
  in.insert(in.end(), task.in.begin() + static_cast<ptrdiff_t>(p.first_input()), task.in.end());
  fused_kernel({fused_p, FusedParams(p.program), in, task.out.subspan(p.kept ? 1 : 0)});
}

}  // namespace mx::cpu
