// fuse.h — between the parts of fusion: composites are opened into simple steps (fuse_open.cpp), steps are grouped (fuse.cpp), groups
// take over products of matrices (fuse_matmul.cpp) and are written as programs (fuse_write.cpp).
#pragma once

#include <map>

#include "compile/compile.h"
#include "compile/program.h"

namespace mx {

/// Slots that no step makes: numbers that opened composites compute with. Their types are of the shape they are used at.
using Numbers = std::map<int, std::pair<Constant, Type>>;

/// Replaces softmax and logsumexp over the last axes by the operations they are made of, equal ones once.
void open_composites(Subgraph& g, Numbers& numbers);

/// What is known of the slots of a graph.
struct SlotTable {
  std::vector<int> maker;          ///< The step that makes it, or -1.
  std::vector<const Type*> type;   ///< Null for slots of steps that were dropped.

  SlotTable(const Subgraph& g, const Numbers& numbers);
  int maker_of(int slot) const { return maker[static_cast<size_t>(slot)]; }
  const Type& type_of(int slot) const { return *type[static_cast<size_t>(slot)]; }
};

/// Whole shape and number of axes in a row of a group that has rows.
struct Frame {
  Shape whole;
  int row_axes = 0;  ///< 0: no rows, `whole` is the shape of all values.

  bool operator==(const Frame&) const = default;
  /// Shapes of a value per row: with ones for the axes of a row, or without these axes.
  Shape per_row() const;
  Shape squeezed() const { return Shape(whole.begin(), whole.end() - row_axes); }
  bool is_per_row(const Shape& s) const { return row_axes > 0 && (s == squeezed() || s == per_row()); }
};

/// Steps of a graph that run together.
struct Group {
  std::vector<size_t> members;  ///< In order.
  Frame frame;
};

/// A product of matrices that a group begins with.
struct Product {
  const Step* step = nullptr;  ///< Null: none.
  bool kept = false;           ///< Something outside the group reads the product itself.
};

/// For each unit, in the order in which they run, the product that its work is done with: while the product's elements are in a
/// cache. `of` is the unit of each step. Units that such a product is by itself are not to be written any more.
std::vector<Product> products_for(const Subgraph& g, const SlotTable& slots, const std::vector<Group>& units, const std::vector<size_t>& of,
                                  const std::vector<size_t>& order);

/// The steps that do a group's work: a program, and views of its results. The steps as they are if a program
/// would not pay. `escapes`: slots that something outside reads.
class GroupWriter {
 public:
  GroupWriter(Subgraph& g, const SlotTable& slots, const Numbers& numbers, const std::vector<bool>& escapes, const Arrays& captured)
      : g_(g), slots_(slots), numbers_(numbers), escapes_(escapes), captured_(captured), number_(static_cast<size_t>(g.n_slots), -1) {}
  void write(const Group& group, const Product& product, std::vector<Step>& out);

 private:
  bool pays(const Group& group) const;
  bool number_operands(const Group& group, const Product& product, Program& program, Step& fused);
  void begin_with(const Product& product, std::shared_ptr<const Program> program, Step& fused) const;
  std::optional<Constant> constant_in(int slot) const;
  void write_instr(const Step& s, const Group& group, Program& program);
  void give(int slot, int number);
  int write_number(int slot, const Step& like, std::vector<Step>& out);

  Subgraph& g_;  ///< Gets new slots.
  const SlotTable& slots_;
  const Numbers& numbers_;
  const std::vector<bool>& escapes_;
  const Arrays& captured_;
  std::vector<int> number_;  ///< Slot -> value number in the program being written, or -1.
  std::vector<int> touched_; ///< Slots that have one.
};

/// Kinds of steps, as fusion sees them.
bool is_elementwise(const Step& s);
/// sum, prod, max, min, all, any.
std::optional<Reduce> reduction_of(const Primitive& p);
/// Over the last axes (the number), or over the first ones so many axes are left (negative); 0: others.
int reduced_row_axes(const Step& s, const Shape& in);

}  // namespace mx
