#pragma once
// The dataset `tables`: synthetic tables drawn from random mixtures. Each world has its own columns and
// classes, like a table from a different source. A task uses one world.
//
// A row of class y belongs to one of the class's 1 to 4 clusters k, drawn by their weights, and has a
// position in L dimensions (L is log-uniform, 2 to 20). n are normal numbers of the row; everything else
// belongs to the world:
//
//   z   = r (m_y + q m_yk) + S_yk n + n / 4       class, cluster within the class, spread within the cluster
//   h   = z + b s(B z),  s(u) = u / (1 + |u|)     bent
//   v_j = a_j h / (|a_j| σ_h) + σ_j n             seen by column j: variance about 1, and noise
//   x_j = g_j w_j(v_j)                            warped, on a scale of its own
//
// r, q, b, the shares of the kinds of columns, how many entries of a_j are zero and how much noise there is
// differ between worlds; numbers and spreads of clusters and numbers of rows differ between classes. Some a_j
// are entirely zero: uninformative columns.
//
// The bits are the same on every machine: numbers are computed with sums, products, quotients and square
// roots only (dice.h), E(u) = (1 + u / 1024)^1024 replaces exp(u), and log-uniform numbers are rounded down
// to integers.
#include <cstdint>
#include <vector>

#include "common/data/working_set.h"

namespace outerloop::data {

constexpr std::uint32_t kTableWorlds = 100;
constexpr std::int32_t kClassesPerWorld = 20;
constexpr std::int64_t kFewestColumns = 8, kMostColumns = 200;
/// Rows of a class, log-uniform: enough for 30 examples in each of a task's two labelled minibatches.
constexpr std::int64_t kFewestRows = 64, kMostRows = 256;

/// w of a column; t is its threshold.
enum class ColumnKind : std::uint8_t {
  linear,      ///< v
  skewed,      ///< E(1.5 v), v within -3 .. 3: many small numbers, few large ones
  two_tailed,  ///< v + v^3: heavy tails
  bounded,     ///< s(2 v)
  binary,      ///< 0 or 1: v > t
  sparse,      ///< max(0, v - t): mostly 0
  stepped,     ///< v in 2 to 9 steps per unit, as whole numbers
  category,    ///< one of 2 to 6 neighbouring columns is 1, that of the largest v; the others are 0
};
constexpr std::size_t kColumnKinds = 8;

/// The rows of one world, class by class.
struct TableWorld {
  std::vector<ColumnKind> kinds;     ///< [columns], 8 to 200, log-uniform
  std::vector<std::int32_t> labels;  ///< [rows], 0 .. kClassesPerWorld - 1
  std::vector<double> values;        ///< [rows, columns]

  std::int64_t columns() const { return static_cast<std::int64_t>(kinds.size()); }
};

/// World `number`: a pure function of any number.
TableWorld make_world(std::uint32_t number);

/// kTableWorlds worlds, each a group of the set ("table 7") with the classes "table 7/0" and so on.
WorkingSet make_tables();

}  // namespace outerloop::data
